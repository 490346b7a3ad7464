//! Recognition embeddings of a set of images.

use crate::error::EvalError;

/// One embedding an image, as a recognition network gave them.
///
/// Row-major `[images, dim]`, not normalised: comparisons do that.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    dim: usize,
    values: Vec<f32>,
}

impl Embeddings {
    /// Takes `values`, row-major, `dim` numbers an image.
    ///
    /// # Errors
    ///
    /// If there is no number, if their count is no multiple of `dim`, if one is
    /// not finite, or if an embedding is zero.
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

    /// Numbers an embedding.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// How many embeddings there are.
    pub fn len(&self) -> usize {
        self.values.len() / self.dim
    }

    /// Whether there is none; there always is one.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The embedding of image `index`, as it was given.
    ///
    /// # Panics
    ///
    /// If there is no such image.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.dim..][..self.dim]
    }

    /// The Euclidean length of an embedding, itself a measure of quality (MagFace).
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

    /// The cosine of the angle between two embeddings, −1 to 1; `norms` are those
    /// of the two.
    pub(crate) fn cosine(&self, [a, b]: [usize; 2], norms: [f64; 2]) -> f64 {
        let products = self.row(a).iter().zip(self.row(b));
        let dot: f64 = products.map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
        (dot / (norms[0] * norms[1])).clamp(-1.0, 1.0)
    }
}
