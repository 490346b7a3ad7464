//! Pixels to tokens: `patch_embed.proj`, `cls_token` and `pos_embed`.

use attn_fiqa_kernels::Finish;
use rayon::prelude::*;

use crate::checkpoint::CheckpointError;

use super::config::VitConfig;
use super::linear::Linear;
use super::token_chunk;
use super::weights::Weights;

/// Pixels become `(x/255 − 0.5)/0.5` (definitions §1): mean and deviation of the
/// face-recognition networks' input, per channel alike.
const PIXEL_MEAN: f32 = 0.5;
const PIXEL_DEVIATION: f32 = 0.5;
const CHANNELS: usize = 3;

pub(super) struct PatchEmbed {
    image_size: usize,
    patch_size: usize,
    grid: usize,
    /// The convolution as a linear over a patch's pixels `[channel, row, column]`:
    /// kernel and stride are equal, so patches do not overlap.
    proj: Linear,
    /// `pos_embed`, the class token already added to its first row if there is one.
    start: Vec<f32>,
    class_token: bool,
}

impl PatchEmbed {
    pub(super) fn load(weights: &Weights<'_>, config: &VitConfig) -> Result<Self, CheckpointError> {
        let mut start = weights.tensor("pos_embed")?;
        if config.class_token {
            let class_token = weights.tensor("cls_token")?;
            start.iter_mut().zip(&class_token).for_each(|(start, class)| *start += class);
        }
        Ok(Self {
            image_size: config.image_size,
            patch_size: config.patch_size,
            grid: config.grid(),
            // Pixels have eight bits already, and everything after rests on them.
            proj: weights
                .in_f32()
                .linear("patch_embed.proj", CHANNELS * config.patch_size * config.patch_size)?,
            start,
            class_token: config.class_token,
        })
    }

    /// `rgb` `[row, column, channel]` to tokens `[token, dim]`, patches row by row.
    pub(super) fn forward(&self, rgb: &[u8]) -> Vec<f32> {
        let dim = self.proj.outputs();
        let patch_len = CHANNELS * self.patch_size * self.patch_size;
        let mut tokens = self.start.clone();
        let chunk_len = token_chunk(self.grid * self.grid);
        let first_patch = if self.class_token { dim } else { 0 };
        tokens[first_patch..].par_chunks_mut(chunk_len * dim).enumerate().for_each(
            |(chunk, tokens)| {
                let mut pixels = vec![0.0; tokens.len() / dim * patch_len];
                for (row, pixels) in pixels.chunks_exact_mut(patch_len).enumerate() {
                    self.gather(rgb, chunk * chunk_len + row, pixels);
                }
                self.proj.forward(&pixels, tokens, Finish::Add);
            },
        );
        tokens
    }

    /// Normalised pixels of one patch, `[channel, row, column]`.
    fn gather(&self, rgb: &[u8], patch: usize, out: &mut [f32]) {
        let size = self.patch_size;
        let (top, left) = (patch / self.grid * size, patch % self.grid * size);
        for (channel, out) in out.chunks_exact_mut(size * size).enumerate() {
            for (row, out) in out.chunks_exact_mut(size).enumerate() {
                let start = ((top + row) * self.image_size + left) * CHANNELS + channel;
                for (out, &value) in out.iter_mut().zip(rgb[start..].iter().step_by(CHANNELS)) {
                    *out = (f32::from(value) / 255.0 - PIXEL_MEAN) / PIXEL_DEVIATION;
                }
            }
        }
    }
}
