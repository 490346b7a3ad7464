//! Tensors of the checkpoint, loaded into layers.

use attn_fiqa_kernels::{Isa, Precision};

use crate::checkpoint::{Checkpoint, CheckpointError};

use super::config::VitConfig;
use super::layer_norm::{LayerNorm, Standardise};
use super::linear::Linear;

/// Reads layers by their canonical names.
pub(super) struct Weights<'a> {
    checkpoint: &'a Checkpoint,
    precision: Precision,
    isa: Isa,
}

impl<'a> Weights<'a> {
    /// Linears will multiply in this precision, with this instruction set.
    pub(super) fn new(checkpoint: &'a Checkpoint, precision: Precision, isa: Isa) -> Self {
        Self { checkpoint, precision, isa }
    }

    /// The same with linears in another precision.
    pub(super) fn in_precision(&self, precision: Precision) -> Self {
        Self::new(self.checkpoint, precision, self.isa)
    }

    pub(super) fn precision(&self) -> Precision {
        self.precision
    }

    pub(super) fn checkpoint(&self) -> &Checkpoint {
        self.checkpoint
    }

    pub(super) fn isa(&self) -> Isa {
        self.isa
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
        Ok(Linear::new(self.isa, self.precision, weight, bias, inputs))
    }

    /// The linear layer after the LayerNorm `norm`, with the norm's affine part folded in.
    pub(super) fn linear_after(
        &self,
        norm: &str,
        name: &str,
        config: &VitConfig,
    ) -> Result<(Standardise, Linear), CheckpointError> {
        let norm = self.layer_norm(norm, config.layer_norm_eps)?;
        let mut weight = self.tensor(&format!("{name}.weight"))?;
        let bias_name = format!("{name}.bias");
        let mut bias = match self.checkpoint.contains(&bias_name) {
            true => self.tensor(&bias_name)?,
            false => vec![0.0; weight.len() / config.embed_dim],
        };
        let norm = norm.fold(&mut weight, &mut bias);
        Ok((norm, Linear::new(self.isa, self.precision, weight, Some(bias), config.embed_dim)))
    }

    pub(super) fn layer_norm(&self, name: &str, eps: f32) -> Result<LayerNorm, CheckpointError> {
        Ok(LayerNorm {
            weight: self.tensor(&format!("{name}.weight"))?,
            bias: self.tensor(&format!("{name}.bias"))?,
            eps,
            isa: self.isa,
        })
    }
}
