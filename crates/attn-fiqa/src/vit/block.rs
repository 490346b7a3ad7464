//! One transformer block: `x += attn(norm1(x))`, then `x += mlp(norm2(x))`.

use attn_fiqa_kernels::Finish;
use rayon::prelude::*;

use crate::checkpoint::CheckpointError;

use super::attention::Attention;
use super::config::VitConfig;
use super::dropout::drop_out;
use super::layer_norm::LayerNorm;
use super::mlp::Mlp;
use super::query_key::QueryKey;
use super::token_chunk;
use super::weights::Weights;

pub(super) struct Block {
    norm1: LayerNorm,
    attn: Attention,
    norm2: LayerNorm,
    mlp: Mlp,
    config: VitConfig,
}

impl Block {
    pub(super) fn load(
        weights: &Weights<'_>,
        config: &VitConfig,
        index: usize,
    ) -> Result<Self, CheckpointError> {
        let eps = config.layer_norm_eps;
        Ok(Self {
            norm1: weights.layer_norm(&format!("blocks.{index}.norm1"), eps)?,
            attn: Attention::load(weights, config, index)?,
            norm2: weights.layer_norm(&format!("blocks.{index}.norm2"), eps)?,
            mlp: Mlp::load(weights, config, index)?,
            config: *config,
        })
    }

    /// This block's queries and keys.
    pub(super) fn query_key(&self) -> QueryKey {
        QueryKey::from_qkv(&self.norm1, &self.attn.qkv, &self.config)
    }

    /// Passes `tokens` `[token, dim]` through the block, in place.
    ///
    /// Tokens meet only in the attention, so everything before and after it is
    /// done chunk by chunk, while the chunk is in the cache.
    pub(super) fn forward(&self, tokens: &mut [f32]) {
        self.forward_dropping(tokens, None);
    }

    /// The same, dropping a fifth of what the attention adds to each token and of the
    /// perceptron's hidden numbers (inverted dropout); which ones hangs on `pass` alone.
    pub(super) fn forward_with_dropout(&self, tokens: &mut [f32], pass: u64) {
        self.forward_dropping(tokens, Some(pass));
    }

    fn forward_dropping(&self, tokens: &mut [f32], pass: Option<u64>) {
        let dim = self.config.embed_dim;
        let chunk_len = token_chunk(tokens.len() / dim);
        let mut qkv = vec![0.0; 3 * tokens.len()];
        tokens.par_chunks(chunk_len * dim).zip(qkv.par_chunks_mut(chunk_len * 3 * dim)).for_each(
            |(tokens, qkv)| {
                let mut normed = vec![0.0; tokens.len()];
                self.norm1.forward(tokens, &mut normed);
                self.attn.qkv.forward(&normed, qkv, Finish::Overwrite);
            },
        );
        let mixed = self.attn.mix(&qkv);
        tokens.par_chunks_mut(chunk_len * dim).enumerate().for_each(|(chunk, tokens)| {
            let rows = self.attn.gather(&mixed, chunk * chunk_len, tokens.len() / dim);
            let mut normed = match pass {
                None => {
                    self.attn.proj.forward(&rows, tokens, Finish::Add);
                    rows
                }
                Some(pass) => {
                    let mut added = vec![0.0; tokens.len()];
                    self.attn.proj.forward(&rows, &mut added, Finish::Overwrite);
                    drop_out(&mut added, 2 * (pass << 16 | chunk as u64));
                    tokens.iter_mut().zip(&added).for_each(|(token, added)| *token += added);
                    added
                }
            };
            self.norm2.forward(tokens, &mut normed);
            let hidden_seed = pass.map(|pass| 2 * (pass << 16 | chunk as u64) + 1);
            self.mlp.forward_add(&normed, tokens, hidden_seed);
        });
    }
}
