//! Landmark refinement.
//!
//! A detector handles faces of any position, size and rotation, at the cost of precision. Its
//! landmarks are good enough to align a face roughly; in this view and in its mirror image, a
//! landmark network locates them again, and the two results are averaged. The face is then aligned
//! anew and the step repeated until the points no longer move, because the network is more precise
//! the better its view is aligned.

use super::landmark_network::{LandmarkNetwork, VIEW};
use crate::align::{Landmarks, Similarity, TEMPLATE_112, similarity_to_template, warp};
use crate::crop::Crop;
use crate::pixels::Image;
use crate::recognise::mirrored;

/// Inter-eye distance of a face that fits the template, in pixels: the network was trained on views
/// of this size (`training/landmarks/geometry.py`).
const EYES: f64 = 27.0;
/// Minimum and maximum number of refinement steps per face.
const PASSES: (usize, usize) = (2, 4);
/// Mean displacement of the points in one step, as a fraction of the inter-eye distance, below
/// which refinement stops.
const CONVERGED: f64 = 0.05;
/// Mean displacement of the five points, as a fraction of the inter-eye distance of the fitted
/// template, above which the new points are rejected.
const MAX_SHIFT: f64 = 0.75;
/// Mirroring swaps the eyes and the corners of the mouth.
const MIRRORED: [usize; 5] = [1, 0, 2, 4, 3];

/// A face's refined landmarks from rough ones; `None` if the rough ones should be kept.
pub(super) fn refined(
    network: &LandmarkNetwork,
    image: &Image,
    rough: &Landmarks,
) -> Option<Landmarks> {
    let mut points = *rough;
    for pass in 1..=PASSES.1 {
        let found = View::of(image, &points)?.landmarks(|view| network.points(view));
        let before = std::mem::replace(&mut points, found);
        if pass >= PASSES.0
            && relative_shift(&before, &points).is_some_and(|shift| shift < CONVERGED)
        {
            break;
        }
    }
    believable(rough, &points, image).then_some(points)
}

/// An aligned view of a face.
struct View {
    to_image: Similarity,
    pixels: Crop,
}

impl View {
    /// The upright view of a face from its rough landmarks; `None` if they cannot be a face's.
    fn of(image: &Image, rough: &Landmarks) -> Option<Self> {
        let to_view = in_view(&similarity_to_template(rough, 112).ok()?);
        let to_image = to_view.inverse()?;
        Some(Self { to_image, pixels: warp(image, &to_view, VIEW) })
    }

    /// The mean of what `find` returns for the view and for its mirror image, in the image's
    /// pixels.
    fn landmarks(&self, find: impl Fn(&Image) -> Landmarks) -> Landmarks {
        let plain = find(&image_of(&self.pixels));
        let in_mirror = mirror(&find(&image_of(&mirrored(&self.pixels))));
        Landmarks(std::array::from_fn(|point| {
            let mean = |axis: usize| {
                (f64::from(plain.0[point][axis]) + f64::from(in_mirror.0[point][axis])) / 2.0
            };
            self.to_image.apply([mean(0), mean(1)]).map(|value| value as f32)
        }))
    }
}

fn image_of(crop: &Crop) -> Image {
    Image::from_rgb(VIEW, VIEW, crop.rgb().to_vec()).expect("a crop is an image: this is a bug")
}

/// Whether points can be a face's in the image and are close enough to the detection.
fn believable(rough: &Landmarks, found: &Landmarks, image: &Image) -> bool {
    similarity_to_template(found, 112).is_ok()
        && found.check_within(image.width(), image.height()).is_ok()
        && relative_shift(rough, found).is_some_and(|shift| shift <= MAX_SHIFT)
}

/// Mean displacement of the points, as a fraction of the inter-eye distance of the template fitted
/// to the old ones; `None` if those cannot be a face's.
fn relative_shift(before: &Landmarks, after: &Landmarks) -> Option<f64> {
    let eyes = template_eyes() / similarity_to_template(before, 112).ok()?.scale();
    let pairs = before.0.iter().zip(&after.0);
    let sum: f64 = pairs.map(|(a, b)| f64::from((a[0] - b[0]).hypot(a[1] - b[1]))).sum();
    Some(sum / 5.0 / eyes)
}

fn template_eyes() -> f64 {
    let [[lx, ly], [rx, ry], ..] = TEMPLATE_112;
    (rx - lx).hypot(ry - ly)
}

/// Maps an image to a view: the template scaled, its centroid in the centre of the view.
fn in_view(to_template: &Similarity) -> Similarity {
    let scale = EYES / template_eyes();
    let middle = (VIEW as f64 - 1.0) / 2.0;
    let mean = |axis: usize| TEMPLATE_112.iter().map(|point| point[axis]).sum::<f64>() / 5.0;
    let shift = [0, 1].map(|axis| (to_template.shift[axis] - mean(axis)) * scale + middle);
    Similarity { a: to_template.a * scale, b: to_template.b * scale, shift }
}

/// Maps points of a mirrored view to the view.
fn mirror(points: &Landmarks) -> Landmarks {
    Landmarks(MIRRORED.map(|index| {
        let [x, y] = points.0[index];
        [VIEW as f32 - 1.0 - x, y]
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turned(turn: f64, scale: f64, shift: [f64; 2]) -> Similarity {
        Similarity { a: scale * turn.cos(), b: scale * turn.sin(), shift }
    }

    fn moved(landmarks: &Landmarks, by: &Similarity) -> Landmarks {
        Landmarks(landmarks.0.map(|point| by.apply(point.map(f64::from)).map(|v| v as f32)))
    }

    fn template() -> Landmarks {
        Landmarks(TEMPLATE_112.map(|[x, y]| [x as f32, y as f32]))
    }

    /// A black image with a white square of 3×3 pixels on each landmark: a view may skip single
    /// pixels.
    fn marked(points: &Landmarks, side: usize) -> Image {
        let mut rgb = vec![0; side * side * 3];
        for [x, y] in points.0 {
            for row in y.round() as usize - 1..=y.round() as usize + 1 {
                let at = (row * side + x.round() as usize - 1) * 3;
                rgb[at..at + 9].fill(255);
            }
        }
        Image::from_rgb(side, side, rgb).unwrap()
    }

    fn is_bright_near(view: &Image, [x, y]: [f64; 2]) -> bool {
        let near = |at: f64| (at.round() as usize - 1)..=(at.round() as usize + 1);
        near(y).any(|y| near(x).any(|x| view.rgb()[(y * VIEW + x) * 3] > 60))
    }

    #[test]
    fn view_is_upright_and_centred() {
        let upright = TEMPLATE_112.map(|point| in_view(&turned(0.0, 1.0, [0.0; 2])).apply(point));
        let eyes = (upright[1][0] - upright[0][0]).hypot(upright[1][1] - upright[0][1]);
        assert!((eyes - EYES).abs() < 1e-9);
        for (turn, scale) in [(0.0, 1.0), (0.6, 1.3), (-0.9, 1.2), (3.0, 0.9)] {
            // About the centre of the image.
            let by = turned(turn, scale, [0.0; 2]);
            let [x, y] = by.apply([56.0, 72.0]);
            let by = Similarity { shift: [150.0 - x, 150.0 - y], ..by };
            let points = moved(&template(), &by);
            let view = View::of(&marked(&points, 300), &points).unwrap();
            let in_mirror = image_of(&mirrored(&view.pixels));
            for [x, y] in upright {
                assert!(is_bright_near(&image_of(&view.pixels), [x, y]), "{turn} {scale}");
                let far_side = VIEW as f64 - 1.0 - x;
                assert!(is_bright_near(&in_mirror, [far_side, y]), "{turn} {scale}");
            }
        }
    }

    #[test]
    fn view_landmarks_are_mapped_back_to_the_image() {
        let points = moved(&template(), &turned(0.4, 1.7, [120.0, 30.0]));
        let image = marked(&points, 400);
        // Rough landmarks: rotated, shrunk and shifted a little.
        let rough = moved(&points, &turned(0.1, 0.9, [15.0, 25.0]));
        let view = View::of(&image, &rough).unwrap();
        let to_view = view.to_image.inverse().unwrap();
        let found = moved(&points, &to_view);
        let in_mirror = mirror(&found);
        assert!(in_mirror.0[0][0] < in_mirror.0[1][0], "left and right are the image's");
        let plain = image_of(&view.pixels);
        let close = |found: Landmarks, in_mirror: Landmarks| {
            let seen = view.landmarks(|view| if *view == plain { found } else { in_mirror });
            let pairs = seen.0.into_iter().zip(points.0);
            pairs.for_each(|(a, b)| assert!((a[0] - b[0]).hypot(a[1] - b[1]) < 1e-2));
        };
        close(found, in_mirror);
        // Opposite errors of the two cancel out.
        let off = |points: &Landmarks| moved(points, &turned(0.0, 1.0, [2.0, 0.0]));
        close(off(&found), off(&in_mirror));
    }

    #[test]
    fn implausible_landmarks_are_rejected() {
        let image = Image::from_rgb(200, 200, vec![0; 200 * 200 * 3]).unwrap();
        let rough = template();
        assert!(believable(&rough, &moved(&rough, &turned(0.0, 1.0, [18.0, 18.0])), &image));
        assert!(!believable(&rough, &moved(&rough, &turned(0.0, 1.0, [19.0, 19.0])), &image));
        assert!(!believable(&rough, &Landmarks([[56.0, 72.0]; 5]), &image));
        let mut broken = rough;
        broken.0[2][0] = f32::NAN;
        assert!(!believable(&rough, &broken, &image));
    }
}
