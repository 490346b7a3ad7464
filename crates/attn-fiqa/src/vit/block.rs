//! One transformer block: `x += attn(norm1(x))`, then `x += mlp(norm2(x))`.

use attn_fiqa_kernels::Epilogue;
use rayon::prelude::*;

use crate::checkpoint::CheckpointError;

use super::attention::Attention;
use super::config::VitConfig;
use super::dropout::drop_out;
use super::landmark_bias::Points;
use super::layer_norm::Standardise;
use super::mlp::Mlp;
use super::query_key::QueryKey;
use super::token_chunk;
use super::weights::Weights;
use super::workspace::Workspace;

pub(super) struct Block {
    norm1: Standardise,
    attn: Attention,
    norm2: Standardise,
    mlp: Mlp,
    config: VitConfig,
}

impl Block {
    pub(super) fn load(
        weights: &Weights<'_>,
        config: &VitConfig,
        index: usize,
    ) -> Result<Self, CheckpointError> {
        let (norm1, attn) = Attention::load(weights, config, index)?;
        let (norm2, mlp) = Mlp::load(weights, config, index)?;
        Ok(Self { norm1, attn, norm2, mlp, config: *config })
    }

    /// This block's queries and keys.
    pub(super) fn query_key(&self) -> QueryKey {
        let Attention { qkv, qk_norm, bias, .. } = &self.attn;
        QueryKey::from_qkv(self.norm1, qkv, qk_norm.clone(), bias.clone(), &self.config)
    }

    /// Passes `tokens` `[token, dim]` of an image with these landmarks through the block, in place.
    ///
    /// Tokens interact only in the attention, so everything before and after it is computed chunk
    /// by chunk, while the chunk is in the cache.
    pub(super) fn forward(
        &self,
        landmarks: &Points,
        tokens: &mut [f32],
        workspace: &mut Workspace,
    ) {
        self.forward_dropping(landmarks, tokens, workspace, None);
    }

    /// The same, but drops a fifth of what the attention adds to each token and of the hidden
    /// values of the MLP (inverted dropout); which ones depends on `pass` alone.
    pub(super) fn forward_with_dropout(
        &self,
        landmarks: &Points,
        tokens: &mut [f32],
        workspace: &mut Workspace,
        pass: u64,
    ) {
        self.forward_dropping(landmarks, tokens, workspace, Some(pass));
    }

    fn forward_dropping(
        &self,
        landmarks: &Points,
        tokens: &mut [f32],
        workspace: &mut Workspace,
        pass: Option<u64>,
    ) {
        let (dim, mlp_outputs) = (self.config.embed_dim, self.config.mlp_outputs());
        let chunk_len = token_chunk(tokens.len() / dim);
        let Workspace { rows, qkv, mixed, hidden, bias } = workspace;
        if let Some(of_block) = &self.attn.bias {
            of_block.fill_in(landmarks, bias);
        }
        let chunks = tokens.par_chunks(chunk_len * dim).zip(rows.par_chunks_mut(chunk_len * dim));
        chunks.zip(qkv.par_chunks_mut(chunk_len * 3 * dim)).for_each(|((tokens, rows), qkv)| {
            self.norm1.forward(tokens, rows);
            self.attn.qkv.forward(rows, qkv, Epilogue::Overwrite);
            if let Some(norm) = &self.attn.qk_norm {
                norm.forward(qkv, 3 * dim);
            }
        });
        self.attn.mix(qkv, bias, mixed);
        let chunks =
            tokens.par_chunks_mut(chunk_len * dim).zip(rows.par_chunks_mut(chunk_len * dim));
        let chunks = chunks.zip(hidden.par_chunks_mut(chunk_len * mlp_outputs)).enumerate();
        chunks.for_each(|(chunk, ((tokens, rows), hidden))| {
            self.attn.gather(mixed, chunk * chunk_len, rows);
            let seed = pass.map(|pass| 2 * (pass << 16 | chunk as u64));
            match seed {
                None => self.attn.proj.forward(rows, tokens, Epilogue::Add),
                Some(seed) => {
                    let mut added = vec![0.0; tokens.len()];
                    self.attn.proj.forward(rows, &mut added, Epilogue::Overwrite);
                    drop_out(&mut added, seed);
                    tokens.iter_mut().zip(&added).for_each(|(token, added)| *token += added);
                }
            }
            self.norm2.forward(tokens, rows);
            let hidden = &mut hidden[..tokens.len() / dim * mlp_outputs];
            self.mlp.forward_add(rows, hidden, tokens, seed.map(|seed| seed + 1));
        });
    }
}
