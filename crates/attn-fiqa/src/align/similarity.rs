//! Similarity transforms of the plane.

/// A similarity transform of the plane without reflection: `x' = a·x − b·y + shift[0]`,
/// `y' = b·x + a·y + shift[1]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Similarity {
    /// Scale times the cosine of the rotation.
    pub a: f64,
    /// Scale times the sine of the rotation; positive is clockwise with y pointing down.
    pub b: f64,
    /// The image of the origin.
    pub shift: [f64; 2],
}

/// The result of a least-squares fit between two sets of points.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fit {
    /// The similarity transform with the least sum of squared distances.
    pub(super) similarity: Similarity,
    /// Correlation of the points after the fit, 0 to 1.
    pub(super) correlation: f64,
    /// The same with the first set of points mirrored.
    pub(super) mirrored_correlation: f64,
}

impl Similarity {
    /// Applies the transform to a point.
    pub fn apply(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let Self { a, b, shift } = self;
        [a * x - b * y + shift[0], b * x + a * y + shift[1]]
    }

    /// The scale factor, not negative.
    pub fn scale(&self) -> f64 {
        self.a.hypot(self.b)
    }

    /// The inverse, or `None` if the scale is zero.
    pub fn inverse(&self) -> Option<Self> {
        let square = self.a * self.a + self.b * self.b;
        if !square.is_normal() {
            return None;
        }
        let (a, b) = (self.a / square, -self.b / square);
        let [x, y] = self.shift;
        Some(Self { a, b, shift: [b * y - a * x, -b * x - a * y] })
    }
}

/// The similarity transform that maps `from` closest to `to` in the least-squares sense (Umeyama
/// 1991, without reflection), or `None` if all points of `from` or all points of `to` coincide.
///
/// In the plane, the singular value decomposition of the general case has a closed form: with
/// points as complex numbers relative to their mean, the optimal factor is `Σ conj(p)·q / Σ |p|²`.
pub(super) fn fit<const N: usize>(from: &[[f64; 2]; N], to: &[[f64; 2]; N]) -> Option<Fit> {
    let (from_mean, to_mean) = (mean(from), mean(to));
    let (mut real, mut imaginary) = (0.0, 0.0);
    let (mut mirrored_real, mut mirrored_imaginary) = (0.0, 0.0);
    for (p, q) in from.iter().zip(to) {
        let (px, py) = (p[0] - from_mean[0], p[1] - from_mean[1]);
        let (qx, qy) = (q[0] - to_mean[0], q[1] - to_mean[1]);
        real += px * qx + py * qy;
        imaginary += px * qy - py * qx;
        mirrored_real += px * qx - py * qy;
        mirrored_imaginary += px * qy + py * qx;
    }
    let (from_square, to_square) = (square(from, from_mean), square(to, to_mean));
    let norm = (from_square * to_square).sqrt();
    if !norm.is_normal() || !from_square.is_normal() {
        return None;
    }
    let (a, b) = (real / from_square, imaginary / from_square);
    let [x, y] = from_mean;
    let shift = [to_mean[0] - (a * x - b * y), to_mean[1] - (b * x + a * y)];
    Some(Fit {
        similarity: Similarity { a, b, shift },
        correlation: real.hypot(imaginary) / norm,
        mirrored_correlation: mirrored_real.hypot(mirrored_imaginary) / norm,
    })
}

/// Root mean square distance of points from their mean.
pub(super) fn spread<const N: usize>(points: &[[f64; 2]; N]) -> f64 {
    (square(points, mean(points)) / N as f64).sqrt()
}

fn mean<const N: usize>(points: &[[f64; 2]; N]) -> [f64; 2] {
    let sum = points.iter().fold([0.0, 0.0], |sum, p| [sum[0] + p[0], sum[1] + p[1]]);
    sum.map(|sum| sum / N as f64)
}

fn square<const N: usize>(points: &[[f64; 2]; N], mean: [f64; 2]) -> f64 {
    points.iter().map(|p| (p[0] - mean[0]).powi(2) + (p[1] - mean[1]).powi(2)).sum()
}
