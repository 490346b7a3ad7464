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
    /// Linear layers will multiply in this precision, with this instruction set.
    pub(super) fn new(checkpoint: &'a Checkpoint, precision: Precision, isa: Isa) -> Self {
        Self { checkpoint, precision, isa }
    }

    /// The same, with linear layers in another precision.
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

    /// `NAME.bias`, if there is one.
    pub(super) fn bias(&self, name: &str) -> Result<Option<Vec<f32>>, CheckpointError> {
        let name = format!("{name}.bias");
        self.checkpoint.contains(&name).then(|| self.tensor(&name)).transpose()
    }

    /// `NAME.weight` `[out, in]` and, if there is one, `NAME.bias` `[out]`, with the subsequent
    /// LayerScale `gamma` `[out]` folded in: `γ∘(W·x + b) = (γ∘W)·x + γ∘b`.
    pub(super) fn scaled_linear(
        &self,
        name: &str,
        inputs: usize,
        gamma: Option<Vec<f32>>,
    ) -> Result<Linear, CheckpointError> {
        let mut bias = self.bias(name)?;
        let mut weight = self.tensor(&format!("{name}.weight"))?;
        if let Some(gamma) = gamma {
            for (row, gamma) in weight.chunks_exact_mut(inputs).zip(&gamma) {
                row.iter_mut().for_each(|weight| *weight *= gamma);
            }
            let bias = bias.iter_mut().flatten();
            bias.zip(&gamma).for_each(|(bias, gamma)| *bias *= gamma);
        }
        Ok(Linear::new(self.isa, self.precision, weight, bias, inputs))
    }

    /// The LayerScale `ls1` or `ls2` of a block, `[dim]`, if the network has one.
    pub(super) fn layer_scale(
        &self,
        config: &VitConfig,
        block: usize,
        part: &str,
    ) -> Result<Option<Vec<f32>>, CheckpointError> {
        let name = format!("blocks.{block}.{part}.gamma");
        config.layer_scale.then(|| self.tensor(&name)).transpose()
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
        let mut bias =
            self.bias(name)?.unwrap_or_else(|| vec![0.0; weight.len() / config.embed_dim]);
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
