//! A linear layer, `y = x·Wᵀ + b`.

use attn_fiqa_kernels::{Accumulate, Matrix, MatrixMut, gemm};

/// The weight stays `[out, in]`, as checkpoints hold it: the matrix product packs
/// it faster from there than from its transpose.
pub(super) struct Linear {
    weight: Vec<f32>,
    bias: Option<Vec<f32>>,
    inputs: usize,
    outputs: usize,
}

impl Linear {
    /// From a weight `[out, in]`.
    pub(super) fn new(weight: Vec<f32>, bias: Option<Vec<f32>>, inputs: usize) -> Self {
        let outputs = weight.len() / inputs;
        assert_eq!(outputs * inputs, weight.len(), "a weight is not whole rows: this is a bug");
        Self { weight, bias, inputs, outputs }
    }

    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    /// The weight `[out, in]`.
    pub(super) fn weight(&self) -> &[f32] {
        &self.weight
    }

    pub(super) fn bias(&self) -> Option<&[f32]> {
        self.bias.as_deref()
    }

    /// `out = x·Wᵀ + b`; `x` is `[row, in]` and `out` `[row, out]`.
    pub(super) fn forward(&self, x: &[f32], out: &mut [f32]) {
        let accumulate = match &self.bias {
            Some(bias) => {
                out.chunks_exact_mut(self.outputs).for_each(|row| row.copy_from_slice(bias));
                Accumulate::Add
            }
            None => Accumulate::Overwrite,
        };
        self.multiply(x, out, accumulate);
    }

    /// `out += x·Wᵀ + b`: the residual connection.
    pub(super) fn forward_add(&self, x: &[f32], out: &mut [f32]) {
        if let Some(bias) = &self.bias {
            for row in out.chunks_exact_mut(self.outputs) {
                row.iter_mut().zip(bias).for_each(|(out, bias)| *out += bias);
            }
        }
        self.multiply(x, out, Accumulate::Add);
    }

    fn multiply(&self, x: &[f32], out: &mut [f32], accumulate: Accumulate) {
        let rows = x.len() / self.inputs;
        gemm(
            MatrixMut::contiguous(out, rows, self.outputs),
            Matrix::contiguous(x, rows, self.inputs),
            Matrix::contiguous(&self.weight, self.outputs, self.inputs).transposed(),
            1.0,
            accumulate,
        );
    }
}
