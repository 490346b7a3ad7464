//! The Vision Transformer, one file per part, with names as in the checkpoint.
//!
//! In the order of the forward pass: `patch_embed` turns pixels into tokens, each `block` passes
//! them through `attention` and `mlp`, and `query_key` computes the pre-softmax attention of a
//! block from its input. `embedding_head` comes after the last block and is not needed for a score.
//!
//! # Threads and bits
//!
//! Work is split by shape: into heads, and into equal chunks of tokens. With more threads, the
//! outputs of a linear layer are also shared, each sum being computed by one thread. Whichever
//! thread runs a piece, and whatever batch the image is in, the same arithmetic is done in the same
//! order, so a score depends on neither.

mod attention;
mod block;
pub mod config;
mod cpu;
mod dropout;
mod embedding_head;
mod landmark_bias;
mod layer_norm;
mod linear;
mod mixed_precision;
mod mlp;
mod patch_embed;
mod projection;
mod qk_norm;
mod query_key;
mod weights;
mod workspace;

#[cfg(feature = "export")]
pub(crate) use embedding_head::BATCH_NORM_EPS;
pub(crate) use embedding_head::EmbeddingHead;
#[cfg(feature = "builtin-model")]
pub(crate) use mixed_precision::finer_than_int8;
#[cfg(feature = "export")]
pub(crate) use patch_embed::{start_tokens, weights_of_pixels};
pub use query_key::QueryKey;
pub(crate) use query_key::{AttentionStatistics, Direction};

use std::sync::OnceLock;

use attn_fiqa_kernels::{Isa, Precision};
use rayon::prelude::*;

use block::Block;
use config::VitConfig;
use patch_embed::PatchEmbed;

use crate::backend::{ForwardOptions, ForwardOutput};
use crate::buffer_pool::BufferPool;
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::crop::Crop;
use landmark_bias::landmarks_of;
use layer_norm::{LayerNorm, Standardise};
use weights::Weights;
use workspace::Workspace;

/// Maximum tokens per chunk in the linear layers: half of the 196 of published networks, so that
/// two cores share a single image evenly; more cores share the outputs of a chunk. From about sixty
/// rows, the matrix product hides the packing of the weights.
const TOKEN_CHUNK: usize = 98;

/// The size of equal chunks of `tokens`, at most [`TOKEN_CHUNK`].
fn token_chunk(tokens: usize) -> usize {
    tokens.div_ceil(tokens.div_ceil(TOKEN_CHUNK))
}

/// A loaded network: weights laid out for the forward pass.
pub(crate) struct Vit {
    config: VitConfig,
    precision: Precision,
    isa: Isa,
    patch_embed: PatchEmbed,
    /// The norm before the first block, if any.
    norm_pre: Option<LayerNorm>,
    blocks: Vec<Block>,
    /// The norm between the last block's input and its queries and keys.
    last_norm: Standardise,
    /// The full last block, loaded only if an embedding may be requested.
    last_block: Option<Block>,
    /// The queries and keys of every block but the last, extracted on first use.
    query_keys: Vec<OnceLock<QueryKey>>,
    workspaces: BufferPool<Workspace>,
    /// Buffers of `[token, dim]`.
    token_buffers: BufferPool<Vec<f32>>,
    /// Empty lists with room for [`ForwardOutput::block_inputs`].
    lists: BufferPool<BlockInputs>,
}

/// For blocks in ascending order: the index and the input `[token, dim]`.
type BlockInputs = Vec<(usize, Vec<f32>)>;

impl Vit {
    /// Loads what a score needs, and the full last block if `through_last`.
    ///
    /// The blocks multiply in `precision`, except for the layers that `mixed_precision` keeps from
    /// int8. The patch embedding is in f32 for f32, in bf16x2 for bf16x2, and otherwise in the
    /// faster of the two.
    fn load(
        checkpoint: &Checkpoint,
        precision: Precision,
        through_last: bool,
        isa: Isa,
    ) -> Result<Self, CheckpointError> {
        let config = *checkpoint.config();
        let weights = Weights::new(checkpoint, precision, isa);
        let last = config.depth - 1;
        // If called on the pool, every core packs weights.
        let blocks = (0..last)
            .into_par_iter()
            .map(|index| Block::load(&weights, &config, index))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            patch_embed: PatchEmbed::load(&weights, &config)?,
            norm_pre: config
                .norm_pre
                .then(|| weights.layer_norm("norm_pre", config.layer_norm_eps))
                .transpose()?,
            blocks,
            last_norm: Standardise { dim: config.embed_dim, eps: config.layer_norm_eps, isa },
            last_block: through_last.then(|| Block::load(&weights, &config, last)).transpose()?,
            query_keys: (0..last).map(|_| OnceLock::new()).collect(),
            workspaces: BufferPool::new(),
            token_buffers: BufferPool::new(),
            lists: BufferPool::new(),
            config,
            precision: isa.computes_in(precision),
            isa,
        })
    }

    fn config(&self) -> &VitConfig {
        &self.config
    }

    fn precision(&self) -> Precision {
        self.precision
    }

    fn isa(&self) -> Isa {
        self.isa
    }

    /// The queries and keys of block `index`, for computing attention from its input; `None` for
    /// the last block, whose queries and keys the engine holds.
    fn query_key(&self, index: usize) -> Option<&QueryKey> {
        let query_key = self.query_keys.get(index)?;
        Some(query_key.get_or_init(|| self.blocks[index].query_key()))
    }

    /// Computes the input of the first block, `[token, dim]`, from pixels.
    fn embed(&self, rgb: &[u8], workspace: &mut Workspace, tokens: &mut [f32]) {
        self.patch_embed.forward(rgb, &mut workspace.hidden, tokens);
        if let Some(norm) = &self.norm_pre {
            workspace.rows.copy_from_slice(tokens);
            norm.forward(&workspace.rows, tokens);
        }
    }

    /// The mean over the score's tokens of the last block's normalized input, into `mean` `[dim]`.
    ///
    /// `crop` is `image_size` on a side.
    fn mean_token(&self, crop: &Crop, mean: &mut [f64]) {
        let landmarks = landmarks_of(crop);
        let mut workspace = self.workspaces.acquire(|| Workspace::new(&self.config));
        let mut tokens = self.token_buffer();
        self.embed(crop.rgb(), &mut workspace, &mut tokens);
        for block in &self.blocks {
            block.forward(&landmarks, &mut tokens, &mut workspace);
        }
        let token = &mut workspace.rows[..self.config.embed_dim];
        let first = self.config.tokens_before_score() * self.config.embed_dim;
        self.last_norm.mean(&tokens[first..], token, mean);
        self.token_buffers.release(tokens);
        self.workspaces.release(workspace);
    }

    /// Runs one image through the network, as far as needed.
    ///
    /// # Panics
    ///
    /// If the last block's output is requested and the last block was not loaded: requests are
    /// checked before this point.
    fn forward_keeping(&self, crop: &Crop, wanted: &ForwardOptions<'_>) -> ForwardOutput {
        let landmarks = landmarks_of(crop);
        let last = self.config.depth - 1;
        let &ForwardOptions { block_inputs: inputs_of, last_output, dropout_passes } = wanted;
        let through_last = last_output || dropout_passes > 0;
        let stop = if through_last { last } else { inputs_of.last().copied().unwrap_or(0) };
        let mut workspace = self.workspaces.acquire(|| Workspace::new(&self.config));
        let mut tokens = self.token_buffer();
        self.embed(crop.rgb(), &mut workspace, &mut tokens);
        let mut block_inputs = self.lists.acquire(Vec::new);
        let keep = |block_inputs: &mut BlockInputs, index, tokens: &[f32]| {
            if inputs_of.contains(&index) {
                let mut kept = self.token_buffer();
                kept.copy_from_slice(tokens);
                block_inputs.push((index, kept));
            }
        };
        for (index, block) in self.blocks[..stop].iter().enumerate() {
            keep(&mut block_inputs, index, &tokens);
            block.forward(&landmarks, &mut tokens, &mut workspace);
        }
        let mut output = ForwardOutput::default();
        if through_last {
            keep(&mut block_inputs, last, &tokens);
            let block =
                self.last_block.as_ref().expect("the last block was not loaded: this is a bug");
            let passes = (0..dropout_passes).into_par_iter();
            output.dropout_outputs = passes
                .map(|pass| {
                    let mut tokens = tokens.clone();
                    let mut workspace = self.workspaces.acquire(|| Workspace::new(&self.config));
                    block.forward_with_dropout(&landmarks, &mut tokens, &mut workspace, pass);
                    self.workspaces.release(workspace);
                    tokens
                })
                .collect();
            block.forward(&landmarks, &mut tokens, &mut workspace);
            output.last_output = Some(tokens);
        } else {
            block_inputs.push((stop, tokens));
        }
        self.workspaces.release(workspace);
        output.block_inputs = block_inputs;
        output
    }

    fn token_buffer(&self) -> Vec<f32> {
        self.token_buffers.acquire(|| vec![0.0; self.config.tokens() * self.config.embed_dim])
    }

    /// Keeps the buffers of an output for the next images.
    fn release_output(&self, output: ForwardOutput) {
        let ForwardOutput { mut block_inputs, last_output, dropout_outputs } = output;
        let tokens = block_inputs.drain(..).map(|(_, tokens)| tokens).chain(last_output);
        let length = self.config.tokens() * self.config.embed_dim;
        tokens
            .filter(|tokens| tokens.len() == length)
            .for_each(|tokens| self.token_buffers.release(tokens));
        drop(dropout_outputs);
        self.lists.release(block_inputs);
    }
}
