//! Recognition embeddings of a set of images.

use std::array;

use crate::comparisons::Pair;
use crate::error::EvalError;

/// Number of pairs whose products are summed in parallel.
const LANES: usize = 8;

/// One embedding per image, as computed by a recognition network.
///
/// Row-major `[images, dim]`, not normalised; comparisons normalise.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    dim: usize,
    values: Vec<f32>,
}

impl Embeddings {
    /// Takes `values`, row-major, `dim` numbers per image.
    ///
    /// # Errors
    ///
    /// If there are no values, their number is not a multiple of `dim`, one is not finite, or an
    /// embedding is zero.
    pub fn new(dim: usize, values: Vec<f32>) -> Result<Self, EvalError> {
        if dim == 0 || values.is_empty() {
            return Err(EvalError::Empty { what: "embedding" });
        }
        if !values.len().is_multiple_of(dim) {
            return Err(EvalError::Count {
                what: "numbers in the last embedding",
                found: values.len() % dim,
                against: "in each of the others",
                expected: dim,
            });
        }
        for (index, row) in values.chunks_exact(dim).enumerate() {
            if let Some(&value) = row.iter().find(|value| !value.is_finite()) {
                let value = value.into();
                return Err(EvalError::NotFinite { what: "a number of embedding", index, value });
            }
            if row.iter().all(|&value| value == 0.0) {
                return Err(EvalError::ZeroEmbedding { index });
            }
        }
        Ok(Self { dim, values })
    }

    /// Length of an embedding.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of embeddings.
    pub fn len(&self) -> usize {
        self.values.len() / self.dim
    }

    /// Always false: there is at least one embedding.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The embedding of image `index`, as given.
    ///
    /// # Panics
    ///
    /// If there is no such image.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.dim..][..self.dim]
    }

    /// The Euclidean norm of an embedding, itself a measure of quality (MagFace).
    pub fn norm(&self, index: usize) -> f64 {
        self.row(index).iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt()
    }

    /// The embeddings at `indices`, in that order.
    pub fn select(&self, indices: &[usize]) -> Self {
        let mut values = Vec::with_capacity(indices.len() * self.dim);
        for &index in indices {
            values.extend_from_slice(self.row(index));
        }
        Self { dim: self.dim, values }
    }

    /// The cosine of the angle between the two embeddings of each pair, −1 to 1; `norms` has one
    /// value per embedding.
    ///
    /// A sum of products in order is a chain of dependent additions; several pairs are summed in
    /// parallel, each in that order.
    pub(crate) fn cosines(&self, norms: &[f64], pairs: &[Pair], cosines: &mut [f64]) {
        for (pairs, cosines) in pairs.chunks(LANES).zip(cosines.chunks_mut(LANES)) {
            let lane = |lane: usize| pairs[lane.min(pairs.len() - 1)];
            let a: [&[f32]; LANES] = array::from_fn(|l| self.row(lane(l).a as usize));
            let b: [&[f32]; LANES] = array::from_fn(|l| self.row(lane(l).b as usize));
            let mut sums = [-0.0_f64; LANES];
            for number in 0..self.dim {
                for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(&b)) {
                    *sum += f64::from(a[number]) * f64::from(b[number]);
                }
            }
            for (cosine, (pair, dot)) in cosines.iter_mut().zip(pairs.iter().zip(sums)) {
                let norms = norms[pair.a as usize] * norms[pair.b as usize];
                *cosine = (dot / norms).clamp(-1.0, 1.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparisons::Comparisons;

    #[test]
    fn cosines_match_sequential_sums_bit_for_bit() {
        let dim = 13;
        let values: Vec<f32> = (0..9 * dim).map(|n| ((n * n) as f32 * 0.37).sin()).collect();
        let embeddings = Embeddings::new(dim, values).expect("embeddings");
        let pair = |n: u32| Pair { a: n % 9, b: (n * n + 1) % 9, mated: n.is_multiple_of(2) };
        let pairs: Vec<Pair> = (0..23).map(pair).collect();
        let found = Comparisons::from_embeddings(&embeddings, &pairs).expect("comparisons");
        for (pair, &found) in pairs.iter().zip(found.values()) {
            let [a, b] = [pair.a as usize, pair.b as usize];
            let products = embeddings.row(a).iter().zip(embeddings.row(b));
            let dot: f64 = products.map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
            let expected = (dot / (embeddings.norm(a) * embeddings.norm(b))).clamp(-1.0, 1.0);
            assert_eq!(found.to_bits(), expected.to_bits());
        }
    }

    #[test]
    fn malformed_embeddings_are_rejected() {
        let build = |dim, values: &[f32]| Embeddings::new(dim, values.to_vec());
        let empty = Err(EvalError::Empty { what: "embedding" });
        assert_eq!((build(0, &[1.0]), build(3, &[])), (empty.clone(), empty));
        let error = build(3, &[1.0; 8]).expect_err("refused");
        assert!(matches!(error, EvalError::Count { found: 2, expected: 3, .. }), "{error}");
        let error = build(2, &[1.0, 0.0, 0.0, 0.0]).expect_err("refused");
        assert_eq!(error, EvalError::ZeroEmbedding { index: 1 });
        assert!(build(2, &[1.0, f32::NAN]).is_err());

        let embeddings = build(2, &[1.0, 0.0, 3.0, 4.0]).expect("embeddings");
        assert_eq!((embeddings.len(), embeddings.norm(1)), (2, 5.0));
        let pair = |b, mated| Pair { a: 0, b, mated };
        let cosines = Comparisons::from_embeddings(&embeddings, &[pair(0, true), pair(1, false)]);
        assert_eq!(cosines.expect("comparisons").values(), [1.0, 0.6]);
        let error = Comparisons::from_embeddings(&embeddings, &[pair(0, true), pair(2, false)]);
        let expected = EvalError::NoSuchImage { index: 1, image: 2, images: 2 };
        assert_eq!(error, Err(expected));
    }
}
