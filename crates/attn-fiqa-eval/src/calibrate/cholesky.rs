//! Solving symmetric positive definite systems.

/// The lower triangle `L` of `A = L·Lᵀ`, row-major.
pub(super) struct Cholesky {
    size: usize,
    lower: Vec<f64>,
}

impl Cholesky {
    /// The factor of a symmetric matrix `[size, size]`; only its lower triangle is read.
    ///
    /// `None` unless it is positive definite.
    pub(super) fn of(matrix: &[f64], size: usize) -> Option<Self> {
        let mut lower = matrix.to_vec();
        for row in 0..size {
            let (above, rest) = lower.split_at_mut(row * size);
            let current = &mut rest[..size];
            for column in 0..row {
                let other = &above[column * size..][..=column];
                let known = dot(&current[..column], &other[..column]);
                current[column] = (current[column] - known) / other[column];
            }
            let rest = current[row] - dot(&current[..row], &current[..row]);
            if !(rest.is_finite() && rest > 0.0) {
                return None;
            }
            current[row] = rest.sqrt();
        }
        Some(Self { size, lower })
    }

    /// Solves `A·x = right` for `x`.
    pub(super) fn solve(&self, right: &[f64]) -> Vec<f64> {
        let row = |index: usize| &self.lower[index * self.size..][..=index];
        let mut x = right.to_vec();
        for index in 0..self.size {
            let known = dot(&row(index)[..index], &x[..index]);
            x[index] = (x[index] - known) / row(index)[index];
        }
        for index in (0..self.size).rev() {
            let row = row(index);
            x[index] /= row[index];
            let value = x[index];
            x[..index].iter_mut().zip(row).for_each(|(x, lower)| *x -= lower * value);
        }
        x
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use attn_fiqa::random::Random;

    #[test]
    fn cholesky_solves_linear_system() {
        let mut random = Random::new(1, "cholesky");
        for size in [1, 2, 7, 33] {
            let half: Vec<f64> = (0..size * size).map(|_| random.normal()).collect();
            let mut matrix = vec![0.0; size * size];
            for i in 0..size {
                for j in 0..size {
                    let product = (0..size).map(|k| half[i * size + k] * half[j * size + k]);
                    matrix[i * size + j] = product.sum::<f64>() + f64::from(u8::from(i == j));
                }
            }
            let expected: Vec<f64> = (0..size).map(|_| random.normal()).collect();
            let right: Vec<f64> =
                matrix.chunks_exact(size).map(|row| dot(row, &expected)).collect();
            let found = Cholesky::of(&matrix, size).expect("positive definite").solve(&right);
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-9, "{found} ≠ {expected}");
            }
        }
    }

    #[test]
    fn non_positive_definite_matrix_is_rejected() {
        assert!(Cholesky::of(&[1.0, 2.0, 2.0, 1.0], 2).is_none());
        assert!(Cholesky::of(&[0.0], 1).is_none());
        assert!(Cholesky::of(&[f64::NAN], 1).is_none());
    }
}
