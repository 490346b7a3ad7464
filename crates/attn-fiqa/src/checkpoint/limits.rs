//! Limits on the memory that a configuration can make the engine allocate.
//!
//! Most dimensions are backed by a matching number of bytes in the file. Their products are not: a
//! file of a few megabytes can declare a million tokens of width one, and their attention matrix
//! would have 10¹² elements. The limits leave ample room for future networks and keep the memory
//! per image below a few gigabytes.

use super::error::CheckpointProblem;
use crate::vit::config::VitConfig;

/// Ratio of MLP width to token width: published face ViTs have 3 to 5.
pub(super) const MAX_MLP_RATIO: usize = 64;

/// Side of the input, in pixels: published face ViTs have 112.
const MAX_IMAGE_SIZE: u64 = 1024;

/// Maximum elements per image and kind of buffer: 10⁹ bytes. ViT-L with 8-pixel patches and an
/// input of 448 pixels stays below two thirds of it. Smaller while fuzzing, where every network is
/// run.
const MAX_BUFFER_ELEMENTS: u64 = if cfg!(fuzzing) { 1 << 20 } else { 1 << 28 };

/// # Errors
///
/// If one image would need more memory than any face ViT does.
pub(super) fn check(config: &VitConfig) -> Result<(), CheckpointProblem> {
    let VitConfig { image_size, patch_size, embed_dim, num_heads, mlp_dim, .. } = *config;
    let most_mlp = (MAX_MLP_RATIO as u64).saturating_mul(embed_dim as u64);
    at_most("MLP width", mlp_dim as u64, "numbers", most_mlp)?;
    at_most("side of the input", image_size as u64, "pixels", MAX_IMAGE_SIZE)?;
    // Both factors are bounded by now, so this count cannot overflow.
    let tokens = config.tokens() as u64;
    let attention = tokens.saturating_mul(tokens).saturating_mul(num_heads as u64);
    at_most("matrix of attention", attention, "numbers", MAX_BUFFER_ELEMENTS)?;
    let pixels = (patch_size as u64).saturating_pow(2).saturating_mul(3);
    let hidden = (mlp_dim as u64).saturating_mul(1 + u64::from(config.activation.is_gated()));
    let widest = (embed_dim as u64).saturating_mul(3).max(hidden).max(pixels);
    at_most("layer's output", tokens.saturating_mul(widest), "numbers", MAX_BUFFER_ELEMENTS)
}

fn at_most(
    what: &'static str,
    found: u64,
    unit: &'static str,
    limit: u64,
) -> Result<(), CheckpointProblem> {
    if found > limit {
        return Err(CheckpointProblem::Oversized { what, found, unit, limit });
    }
    Ok(())
}
