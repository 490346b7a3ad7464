//! LayerNorm with its affine part.

use attn_fiqa_kernels::{Isa, layer_norm};

#[derive(Clone)]
pub(super) struct LayerNorm {
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
    pub(super) eps: f32,
}

impl LayerNorm {
    /// Normalises every row of `x` `[row, dim]` into `out`.
    pub(super) fn forward(&self, x: &[f32], out: &mut [f32]) {
        layer_norm(Isa::best(), x, &self.weight, &self.bias, self.eps, out);
    }
}
