//! The MLP of a block: `mlp.fc1` and `mlp.fc2`.

use attn_fiqa_kernels::{Epilogue, Isa, gelu, quick_gelu, swiglu};

use crate::checkpoint::CheckpointError;

use super::config::{Activation, VitConfig};
use super::dropout::drop_out;
use super::layer_norm::Standardise;
use super::linear::Linear;
use super::mixed_precision;
use super::weights::Weights;

pub(super) struct Mlp {
    fc1: Linear,
    fc2: Linear,
    activation: Activation,
    mlp_dim: usize,
    isa: Isa,
}

impl Mlp {
    /// Loads the MLP together with the normalisation before it.
    pub(super) fn load(
        weights: &Weights<'_>,
        config: &VitConfig,
        block: usize,
    ) -> Result<(Standardise, Self), CheckpointError> {
        let (norm, name) = (format!("blocks.{block}.norm2"), format!("blocks.{block}.mlp.fc1"));
        let precision = mixed_precision::of_proj_and_fc1(weights, config.embed_dim);
        let (norm2, fc1) = weights.in_precision(precision).linear_after(&norm, &name, config)?;
        let fc2 = format!("blocks.{block}.mlp.fc2");
        let gamma = weights.layer_scale(config, block, "ls2")?;
        let fc2 = weights.scaled_linear(&fc2, config.mlp_dim, gamma)?;
        let (activation, mlp_dim) = (config.activation, config.mlp_dim);
        Ok((norm2, Self { fc1, fc2, activation, mlp_dim, isa: weights.isa() }))
    }

    /// `out += fc2(activation(fc1(x)))`; both are `[token, dim]`, and `hidden` is scratch space of
    /// `[token, mlp_outputs]`. With a seed, some of the hidden values are dropped.
    pub(super) fn forward_add(
        &self,
        x: &[f32],
        hidden: &mut [f32],
        out: &mut [f32],
        dropout: Option<u64>,
    ) {
        match self.activation {
            Activation::Relu6 => self.fc1.forward(x, hidden, Epilogue::Relu6),
            Activation::Gelu => {
                self.fc1.forward(x, hidden, Epilogue::Overwrite);
                gelu(self.isa, hidden);
            }
            Activation::QuickGelu => {
                self.fc1.forward(x, hidden, Epilogue::Overwrite);
                quick_gelu(self.isa, hidden);
            }
            Activation::SwiGlu => {
                self.fc1.forward(x, hidden, Epilogue::Overwrite);
                swiglu(self.isa, hidden, self.mlp_dim);
            }
        }
        let rows = out.len() / self.fc2.outputs();
        let hidden = &mut hidden[..rows * self.mlp_dim];
        if let Some(seed) = dropout {
            drop_out(hidden, seed);
        }
        self.fc2.forward(hidden, out, Epilogue::Add);
    }
}
