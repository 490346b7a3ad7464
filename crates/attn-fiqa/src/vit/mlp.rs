//! The two-layer perceptron of a block: `mlp.fc1` and `mlp.fc2`.

use attn_fiqa_kernels::{Finish, gelu};

use crate::checkpoint::CheckpointError;

use super::config::{Activation, VitConfig};
use super::dropout::drop_out;
use super::linear::Linear;
use super::weights::Weights;

pub(super) struct Mlp {
    fc1: Linear,
    fc2: Linear,
    activation: Activation,
}

impl Mlp {
    pub(super) fn load(
        weights: &Weights<'_>,
        config: &VitConfig,
        block: usize,
    ) -> Result<Self, CheckpointError> {
        Ok(Self {
            fc1: weights.linear(&format!("blocks.{block}.mlp.fc1"), config.embed_dim)?,
            fc2: weights.linear(&format!("blocks.{block}.mlp.fc2"), config.mlp_dim)?,
            activation: config.activation,
        })
    }

    /// `out += fc2(activation(fc1(x)))`; both are `[token, dim]`. With a seed some of
    /// the hidden numbers are dropped.
    pub(super) fn forward_add(&self, x: &[f32], out: &mut [f32], dropout: Option<u64>) {
        let tokens = x.len() / self.fc2.outputs();
        let mut hidden = vec![0.0; tokens * self.fc1.outputs()];
        match self.activation {
            Activation::Relu6 => self.fc1.forward(x, &mut hidden, Finish::Relu6),
            Activation::Gelu => {
                self.fc1.forward(x, &mut hidden, Finish::Overwrite);
                gelu(&mut hidden);
            }
        }
        if let Some(seed) = dropout {
            drop_out(&mut hidden, seed);
        }
        self.fc2.forward(&hidden, out, Finish::Add);
    }
}
