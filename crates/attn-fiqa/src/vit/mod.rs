//! The Vision Transformer, one file per part, names as in the checkpoint.
//!
//! In the order of the forward pass: `patch_embed` makes tokens of pixels, each
//! `block` passes them through `attention` and `mlp`, and `query_key` reads the
//! pre-softmax attention of a block off its input. `embedding_head` comes after
//! the last block and is not on the way of a score.
//!
//! # Threads and bits
//!
//! Work is split by shape only: into heads, and into equal chunks of
//! tokens. Whoever runs a piece, and in whatever batch its image came, the same
//! arithmetic is done in the same order, so a score never depends on either.

mod attention;
mod block;
pub mod config;
mod dropout;
mod embedding_head;
mod layer_norm;
mod linear;
mod mlp;
mod patch_embed;
mod query_key;
mod sensitive;
mod weights;
mod workspace;

pub(crate) use embedding_head::EmbeddingHead;
pub(crate) use query_key::{Direction, QueryKey, Reading};

use std::sync::OnceLock;

use attn_fiqa_kernels::Precision;
use rayon::prelude::*;

use block::Block;
use config::VitConfig;
use patch_embed::PatchEmbed;

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::lent::Pool;
use weights::Weights;
use workspace::Workspace;

/// At most so many tokens go through the linears together: half of the published
/// networks' 196, so that two cores share a single image evenly. From about sixty
/// rows on the matrix product hides the packing of the weights.
const TOKEN_CHUNK: usize = 98;

/// The size of equal chunks of `tokens`, none above [`TOKEN_CHUNK`].
fn token_chunk(tokens: usize) -> usize {
    tokens.div_ceil(tokens.div_ceil(TOKEN_CHUNK))
}

/// A loaded network: weights laid out for the forward pass.
pub(crate) struct Vit {
    config: VitConfig,
    patch_embed: PatchEmbed,
    blocks: Vec<Block>,
    /// The last block in full, loaded only when an embedding may be asked for.
    last_block: Option<Block>,
    /// Of every block; cut out when first asked for, the last one's at loading.
    query_keys: Vec<OnceLock<QueryKey>>,
    workspaces: Pool<Workspace>,
    /// Buffers of `[token, dim]`.
    token_buffers: Pool<Vec<f32>>,
    /// Empty lists with room for [`Passed::block_inputs`].
    lists: Pool<BlockInputs>,
}

/// Of blocks, ascending: the index and the input `[token, dim]`.
pub(crate) type BlockInputs = Vec<(usize, Vec<f32>)>;

/// What one forward pass leaves behind.
pub(crate) struct Passed {
    /// Of every block asked for.
    pub(crate) block_inputs: BlockInputs,
    /// The last block's output `[token, dim]`, when it was asked for.
    pub(crate) last_output: Option<Vec<f32>>,
}

impl Vit {
    /// Reads what a score needs, and the last block in full when `through_last`.
    ///
    /// The blocks' linears and attention multiply in `precision`; the patch
    /// embedding and the reading of the last block's attention in f32.
    pub(crate) fn load(
        checkpoint: &Checkpoint,
        precision: Precision,
        through_last: bool,
    ) -> Result<Self, CheckpointError> {
        let config = *checkpoint.config();
        let weights = Weights::new(checkpoint, precision);
        let last = config.depth - 1;
        // Called on the pool, every core lays out weights.
        let blocks = (0..last)
            .into_par_iter()
            .map(|index| Block::load(&weights, &config, index))
            .collect::<Result<Vec<_>, _>>()?;
        let last_query_key = QueryKey::load_last(&weights, &config, checkpoint.is_quality_only())?;
        let mut query_keys: Vec<OnceLock<QueryKey>> = (0..last).map(|_| OnceLock::new()).collect();
        query_keys.push(OnceLock::from(last_query_key));
        Ok(Self {
            patch_embed: PatchEmbed::load(&weights, &config)?,
            blocks,
            last_block: through_last.then(|| Block::load(&weights, &config, last)).transpose()?,
            query_keys,
            workspaces: Pool::new(),
            token_buffers: Pool::new(),
            lists: Pool::new(),
            config,
        })
    }

    pub(crate) fn config(&self) -> &VitConfig {
        &self.config
    }

    /// The queries and keys of block `index`, ready to read attention off its input.
    ///
    /// # Panics
    ///
    /// When there is no such block: requests are checked before they get here.
    pub(crate) fn query_key(&self, index: usize) -> &QueryKey {
        self.query_keys[index].get_or_init(|| self.blocks[index].query_key())
    }

    /// The last block's output `[token, dim]` for its input, with parts dropped at
    /// random: the same parts for the same `pass`.
    ///
    /// # Panics
    ///
    /// When the last block was not loaded: requests are checked before they get here.
    pub(crate) fn last_block_with_dropout(&self, input: &[f32], pass: u64) -> Vec<f32> {
        let block = self.last_block.as_ref().expect("the last block was not loaded: this is a bug");
        let mut tokens = input.to_vec();
        let mut workspace = self.workspaces.take(|| Workspace::new(&self.config));
        block.forward_with_dropout(&mut tokens, &mut workspace, pass);
        self.workspaces.give_back(workspace);
        tokens
    }

    /// One image through the network, as far as it is needed.
    ///
    /// `rgb` is `[row, column, channel]`, `image_size` on a side. `inputs_of` are
    /// the blocks whose inputs to keep, ascending. Blocks behind the last of them
    /// are not computed unless `through_last`.
    pub(crate) fn forward(&self, rgb: &[u8], inputs_of: &[usize], through_last: bool) -> Passed {
        let last = self.config.depth - 1;
        let stop = if through_last { last } else { inputs_of.last().copied().unwrap_or(0) };
        let mut workspace = self.workspaces.take(|| Workspace::new(&self.config));
        let mut tokens = self.token_buffer();
        self.patch_embed.forward(rgb, &mut workspace.hidden, &mut tokens);
        let mut block_inputs = self.lists.take(Vec::new);
        let keep = |block_inputs: &mut BlockInputs, index, tokens: &[f32]| {
            if inputs_of.contains(&index) {
                let mut kept = self.token_buffer();
                kept.copy_from_slice(tokens);
                block_inputs.push((index, kept));
            }
        };
        for (index, block) in self.blocks[..stop].iter().enumerate() {
            keep(&mut block_inputs, index, &tokens);
            block.forward(&mut tokens, &mut workspace);
        }
        let last_output = if through_last {
            keep(&mut block_inputs, last, &tokens);
            let block =
                self.last_block.as_ref().expect("the last block was not loaded: this is a bug");
            block.forward(&mut tokens, &mut workspace);
            Some(tokens)
        } else {
            block_inputs.push((stop, tokens));
            None
        };
        self.workspaces.give_back(workspace);
        Passed { block_inputs, last_output }
    }

    fn token_buffer(&self) -> Vec<f32> {
        self.token_buffers.take(|| vec![0.0; self.config.tokens() * self.config.embed_dim])
    }

    /// Takes back what [`Self::forward`] lent, so that a steady run needs no more memory.
    pub(crate) fn recycle(&self, mut block_inputs: BlockInputs) {
        for (_, tokens) in block_inputs.drain(..) {
            self.token_buffers.give_back(tokens);
        }
        self.lists.give_back(block_inputs);
    }
}
