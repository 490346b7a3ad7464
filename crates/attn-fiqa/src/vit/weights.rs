//! Tensors on their way from the checkpoint into the layers.

use attn_fiqa_kernels::Precision;

use crate::checkpoint::{Checkpoint, CheckpointError};

use super::layer_norm::LayerNorm;
use super::linear::Linear;

/// Reads layers by their canonical names.
pub(super) struct Weights<'a> {
    checkpoint: &'a Checkpoint,
    precision: Precision,
}

impl<'a> Weights<'a> {
    /// Linears will multiply in this precision.
    pub(super) fn new(checkpoint: &'a Checkpoint, precision: Precision) -> Self {
        Self { checkpoint, precision }
    }

    /// The same with linears in f32.
    pub(super) fn in_f32(&self) -> Self {
        Self::new(self.checkpoint, Precision::F32)
    }

    pub(super) fn precision(&self) -> Precision {
        self.precision
    }

    pub(super) fn tensor(&self, name: &str) -> Result<Vec<f32>, CheckpointError> {
        self.checkpoint.read_f32(name)
    }

    /// `NAME.weight` `[out, in]` and, where there is one, `NAME.bias` `[out]`.
    pub(super) fn linear(&self, name: &str, inputs: usize) -> Result<Linear, CheckpointError> {
        let bias_name = format!("{name}.bias");
        let bias = match self.checkpoint.contains(&bias_name) {
            true => Some(self.tensor(&bias_name)?),
            false => None,
        };
        let weight = self.tensor(&format!("{name}.weight"))?;
        Ok(Linear::new(self.precision, weight, bias, inputs))
    }

    pub(super) fn layer_norm(&self, name: &str, eps: f32) -> Result<LayerNorm, CheckpointError> {
        Ok(LayerNorm {
            weight: self.tensor(&format!("{name}.weight"))?,
            bias: self.tensor(&format!("{name}.bias"))?,
            eps,
        })
    }
}
