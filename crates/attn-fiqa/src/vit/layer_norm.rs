//! LayerNorm. Its affine part can be folded into the linear layer after it.

use attn_fiqa_kernels::{Isa, add_rows, layer_norm, matrix_vector, standardise};

/// LayerNorm with its affine part: before the first block, for queries and keys, and before the
/// embedding head.
#[derive(Clone)]
pub(super) struct LayerNorm {
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
    pub(super) eps: f32,
    pub(super) isa: Isa,
}

impl LayerNorm {
    /// Normalises every row of `x` `[row, dim]` into `out`.
    pub(super) fn forward(&self, x: &[f32], out: &mut [f32]) {
        layer_norm(self.isa, x, &self.weight, &self.bias, self.eps, out);
    }

    /// Folds the affine part into the linear layer after it,
    /// `W·(n∘γ + β) + b = (W∘γ)·n + (W·β + b)`: `weight` is `[out, dim]`. What remains only
    /// standardises.
    pub(super) fn fold(&self, weight: &mut [f32], bias: &mut [f32]) -> Standardise {
        let dim = self.weight.len();
        let [beta, old] = [&self.bias[..], bias]
            .map(|values| values.iter().map(|&value| f64::from(value)).collect::<Vec<f64>>());
        let mut shifted = vec![0.0; old.len()];
        matrix_vector(self.isa, weight, &beta, &old, &mut shifted);
        bias.iter_mut().zip(shifted).for_each(|(bias, shifted)| *bias = shifted as f32);
        for row in weight.chunks_exact_mut(dim) {
            row.iter_mut().zip(&self.weight).for_each(|(weight, gamma)| *weight *= gamma);
        }
        Standardise { dim, eps: self.eps, isa: self.isa }
    }
}

/// LayerNorm without the affine part: zero mean and unit variance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standardise {
    pub(super) dim: usize,
    pub(super) eps: f32,
    pub(super) isa: Isa,
}

impl Standardise {
    /// Normalises every row of `x` `[row, dim]` into `out`.
    pub(super) fn forward(self, x: &[f32], out: &mut [f32]) {
        standardise(self.isa, x, self.dim, self.eps, out);
    }

    /// The mean over the rows of `x` `[row, dim]`, each normalised, into `mean` `[dim]`; `row`
    /// `[dim]` is scratch space for one of them.
    pub(super) fn mean(self, x: &[f32], row: &mut [f32], mean: &mut [f64]) {
        mean.fill(0.0);
        for input in x.chunks_exact(self.dim) {
            self.forward(input, row);
            add_rows(self.isa, row, mean);
        }
        let rows = (x.len() / self.dim) as f64;
        mean.iter_mut().for_each(|mean| *mean /= rows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_changes_no_output() {
        let value = |i: usize| ((i * 7919 % 1009) as f32 - 504.0) / 504.0;
        let (dim, outputs) = (13, 4);
        let norm = LayerNorm {
            weight: (0..dim).map(|i| value(i + 3)).collect(),
            bias: (0..dim).map(|i| value(i + 40)).collect(),
            eps: 1e-5,
            isa: Isa::widest(),
        };
        let weight: Vec<f32> = (0..dim * outputs).map(|i| value(i + 90)).collect();
        let bias: Vec<f32> = (0..outputs).map(|i| value(i + 7)).collect();
        let x: Vec<f32> = (0..dim).map(value).collect();
        let product = |weight: &[f32], bias: &[f32], normed: &[f32]| -> Vec<f32> {
            let rows = weight.chunks_exact(dim).zip(bias);
            rows.map(|(row, b)| row.iter().zip(normed).map(|(w, n)| w * n).sum::<f32>() + b)
                .collect()
        };
        let mut normed = vec![0.0; dim];
        norm.forward(&x, &mut normed);
        let expected = product(&weight, &bias, &normed);
        let (mut folded, mut folded_bias) = (weight, bias);
        norm.fold(&mut folded, &mut folded_bias).forward(&x, &mut normed);
        for (found, expected) in product(&folded, &folded_bias, &normed).iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
        }
    }
}
