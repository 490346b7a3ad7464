//! The buffers of one image's forward pass, reused for the next image.

use super::config::VitConfig;
use super::landmark_bias::Table;

/// Buffers that a block needs besides the tokens, which pass through it in place.
pub(super) struct Workspace {
    /// The input of a linear layer, `[token, dim]`.
    pub(super) rows: Vec<f32>,
    /// `[token, 3·dim]`.
    pub(super) qkv: Vec<f32>,
    /// `[head, token, head_dim]`.
    pub(super) mixed: Vec<f32>,
    /// `[token, mlp_outputs]`; before the first block, the pixels of every patch.
    pub(super) hidden: Vec<f32>,
    /// The bias that landmarks add to the logits; empty if the network has no such bias.
    pub(super) bias: Table,
}

impl Workspace {
    pub(super) fn new(config: &VitConfig) -> Self {
        let (tokens, dim) = (config.tokens(), config.embed_dim);
        let pixels = 3 * config.patch_size * config.patch_size;
        Self {
            rows: vec![0.0; tokens * dim],
            qkv: vec![0.0; tokens * 3 * dim],
            mixed: vec![0.0; tokens * dim],
            hidden: vec![0.0; tokens * config.mlp_outputs().max(pixels)],
            bias: Table::new(),
        }
    }
}
