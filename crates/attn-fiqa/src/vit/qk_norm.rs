//! LayerNorm of every query and key, `attn.q_norm` and `attn.k_norm` (Henry et al. 2020;
//! Dehghani et al. 2023): over the `head_dim` values of a head, per token.

use attn_fiqa_kernels::layer_norm;

use crate::checkpoint::CheckpointError;

use super::config::VitConfig;
use super::layer_norm::LayerNorm;
use super::weights::Weights;

#[derive(Clone)]
pub(super) struct QkNorm {
    pub(super) query: LayerNorm,
    pub(super) key: LayerNorm,
    pub(super) heads: usize,
}

impl QkNorm {
    /// `None` if the network has none.
    pub(super) fn load(
        weights: &Weights<'_>,
        config: &VitConfig,
        block: usize,
    ) -> Result<Option<Self>, CheckpointError> {
        if !config.qk_norm {
            return Ok(None);
        }
        let norm = |part: &str| {
            weights.layer_norm(&format!("blocks.{block}.attn.{part}"), config.layer_norm_eps)
        };
        Ok(Some(Self { query: norm("q_norm")?, key: norm("k_norm")?, heads: config.num_heads }))
    }

    /// Normalises queries and keys in place. A row of `width` values starts with `[query | key]`,
    /// each `[head, head_dim]`; the rest is unchanged.
    pub(super) fn forward(&self, rows: &mut [f32], width: usize) {
        let head_dim = self.query.weight.len();
        let dim = self.heads * head_dim;
        let mut input = vec![0.0; dim];
        for row in rows.chunks_exact_mut(width) {
            let (query, rest) = row.split_at_mut(dim);
            for (part, norm) in [(query, &self.query), (&mut rest[..dim], &self.key)] {
                input.copy_from_slice(part);
                layer_norm(norm.isa, &input, &norm.weight, &norm.bias, norm.eps, part);
            }
        }
    }
}
