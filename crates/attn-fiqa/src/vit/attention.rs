//! Multi-head self-attention: `attn.qkv` and `attn.proj`.

use attn_fiqa_kernels::{AttentionShape, Isa, Precision, attention};
use rayon::prelude::*;

use crate::checkpoint::CheckpointError;

use super::config::VitConfig;
use super::landmark_bias::{BlockBias, Table};
use super::layer_norm::Standardise;
use super::linear::Linear;
use super::mixed_precision;
use super::qk_norm::QkNorm;
use super::weights::Weights;

pub(super) struct Attention {
    /// Outputs in the order `[query | key | value]`, each `[head, head_dim]`.
    pub(super) qkv: Linear,
    /// The normalisation of queries and keys before they are multiplied, if any.
    pub(super) qk_norm: Option<QkNorm>,
    /// The bias that landmarks add to the logits, if any.
    pub(super) bias: Option<BlockBias>,
    pub(super) proj: Linear,
    shape: AttentionShape,
    precision: Precision,
    isa: Isa,
}

impl Attention {
    /// Loads the layer together with the normalisation before it.
    pub(super) fn load(
        weights: &Weights<'_>,
        config: &VitConfig,
        block: usize,
    ) -> Result<(Standardise, Self), CheckpointError> {
        let (norm, name) = (format!("blocks.{block}.norm1"), format!("blocks.{block}.attn.qkv"));
        let precision = mixed_precision::of_qkv(weights, block, config.depth);
        let (norm1, qkv) = weights.in_precision(precision).linear_after(&norm, &name, config)?;
        let precision = mixed_precision::of_proj_and_fc1(weights, config.embed_dim);
        let proj = weights.in_precision(precision);
        let gamma = weights.layer_scale(config, block, "ls1")?;
        let name = format!("blocks.{block}.attn.proj");
        let attention = Self {
            qkv,
            qk_norm: QkNorm::load(weights, config, block)?,
            bias: BlockBias::load(weights, config, block)?,
            proj: proj.scaled_linear(&name, config.embed_dim, gamma)?,
            shape: AttentionShape {
                heads: config.num_heads,
                head_dim: config.head_dim(),
                scale: config.scale(),
            },
            precision: weights.precision(),
            isa: weights.isa(),
        };
        Ok((norm1, attention))
    }

    /// `softmax(scale·q·kᵀ + bias)·v` for every head: `qkv` `[token, 3·dim]` to
    /// `[head, token, head_dim]`. `table` is that of the image, if the network has a bias.
    pub(super) fn mix(&self, qkv: &[f32], table: &Table, mixed: &mut [f32]) {
        let AttentionShape { heads, head_dim, .. } = self.shape;
        let tokens = qkv.len() / (3 * heads * head_dim);
        mixed.par_chunks_mut(tokens * head_dim).enumerate().for_each(|(head, mixed)| {
            let mut mix = |bias: Option<&[f32]>| {
                attention(self.isa, self.precision, qkv, &self.shape, head, bias, mixed);
            };
            match &self.bias {
                Some(bias) => bias.with_matrix(table, head, |bias| mix(Some(bias))),
                None => mix(None),
            }
        });
    }

    /// Concatenates the heads of the tokens starting at `first`, one per row of `rows`:
    /// `[head, token, head_dim]` to `[token, dim]`.
    pub(super) fn gather(&self, mixed: &[f32], first: usize, rows: &mut [f32]) {
        let AttentionShape { heads, head_dim, .. } = self.shape;
        let tokens = mixed.len() / (heads * head_dim);
        for (row, out) in rows.chunks_exact_mut(heads * head_dim).enumerate() {
            for (head, out) in out.chunks_exact_mut(head_dim).enumerate() {
                let start = (head * tokens + first + row) * head_dim;
                out.copy_from_slice(&mixed[start..start + head_dim]);
            }
        }
    }
}
