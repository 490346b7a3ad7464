//! Pixels to tokens: `patch_embed.proj`, `cls_token` and `pos_embed`.

use attn_fiqa_kernels::{Epilogue, Precision};
use rayon::prelude::*;

use crate::checkpoint::{Checkpoint, CheckpointError};

use super::config::VitConfig;
use super::linear::Linear;
use super::token_chunk;
use super::weights::Weights;

/// Pixels become `(x/255 − 0.5)/0.5` (definitions §1): mean and deviation of the
/// face-recognition networks' input, per channel alike.
const PIXEL_MEAN: f64 = 0.5;
const PIXEL_DEVIATION: f64 = 0.5;
const CHANNELS: usize = 3;

pub(super) struct PatchEmbed {
    image_size: usize,
    patch_size: usize,
    grid: usize,
    /// The convolution as a linear over a patch's pixels `[channel, row, column]`, 0 to
    /// 255: kernel and stride are equal, so patches do not overlap. The normalisation of
    /// pixels is folded in.
    proj: Linear,
    /// `pos_embed`, the class token already added to its first row if there is one.
    start: Vec<f32>,
    class_token: bool,
}

impl PatchEmbed {
    pub(super) fn load(weights: &Weights<'_>, config: &VitConfig) -> Result<Self, CheckpointError> {
        Ok(Self {
            image_size: config.image_size,
            patch_size: config.patch_size,
            grid: config.grid(),
            proj: pixel_linear(weights, CHANNELS * config.patch_size * config.patch_size)?,
            start: start_tokens(weights.checkpoint())?,
            class_token: config.class_token,
        })
    }

    /// `rgb` `[row, column, channel]` to `tokens` `[token, dim]`, patches row by row.
    /// `pixels` is room for `[patch, pixel]`.
    pub(super) fn forward(&self, rgb: &[u8], pixels: &mut [f32], tokens: &mut [f32]) {
        let dim = self.proj.outputs();
        let patch_len = CHANNELS * self.patch_size * self.patch_size;
        tokens.copy_from_slice(&self.start);
        let chunk_len = token_chunk(self.grid * self.grid);
        let first_patch = if self.class_token { dim } else { 0 };
        let chunks = tokens[first_patch..].par_chunks_mut(chunk_len * dim);
        chunks.zip(pixels.par_chunks_mut(chunk_len * patch_len)).enumerate().for_each(
            |(chunk, (tokens, pixels))| {
                let pixels = &mut pixels[..tokens.len() / dim * patch_len];
                for (row, pixels) in pixels.chunks_exact_mut(patch_len).enumerate() {
                    self.gather(rgb, chunk * chunk_len + row, pixels);
                }
                self.proj.forward(pixels, tokens, Epilogue::Add);
            },
        );
    }

    /// Pixels of one patch, `[channel, row, column]`.
    fn gather(&self, rgb: &[u8], patch: usize, out: &mut [f32]) {
        let size = self.patch_size;
        let (top, left) = (patch / self.grid * size, patch % self.grid * size);
        for (channel, out) in out.chunks_exact_mut(size * size).enumerate() {
            for (row, out) in out.chunks_exact_mut(size).enumerate() {
                let start = ((top + row) * self.image_size + left) * CHANNELS + channel;
                for (out, &value) in out.iter_mut().zip(rgb[start..].iter().step_by(CHANNELS)) {
                    *out = f32::from(value);
                }
            }
        }
    }
}

/// `pos_embed` `[token, dim]`, the class token already added to its first row if there is one.
pub(crate) fn start_tokens(checkpoint: &Checkpoint) -> Result<Vec<f32>, CheckpointError> {
    let mut start = checkpoint.read_f32("pos_embed")?;
    if checkpoint.config().class_token {
        let class_token = checkpoint.read_f32("cls_token")?;
        start.iter_mut().zip(&class_token).for_each(|(start, class)| *start += class);
    }
    Ok(start)
}

/// Weights `[dim, channel, row, column]` and bias `[dim]` of `patch_embed.proj` over pixels from 0
/// to 255:
/// `W·((x/255 − mean)/deviation) + b = (W/(255·deviation))·x + (b − W·mean/deviation)`.
pub(crate) fn weights_of_pixels(
    checkpoint: &Checkpoint,
) -> Result<(Vec<f32>, Vec<f32>), CheckpointError> {
    let mut weight = checkpoint.read_f32("patch_embed.proj.weight")?;
    let mut bias = checkpoint.read_f32("patch_embed.proj.bias")?;
    let inputs = weight.len() / bias.len();
    for (row, bias) in weight.chunks_exact_mut(inputs).zip(&mut bias) {
        let sum: f64 = row.iter().map(|&weight| f64::from(weight)).sum();
        *bias = (f64::from(*bias) - sum * PIXEL_MEAN / PIXEL_DEVIATION) as f32;
        for weight in row {
            *weight = (f64::from(*weight) / (255.0 * PIXEL_DEVIATION)) as f32;
        }
    }
    Ok((weight, bias))
}

fn pixel_linear(weights: &Weights<'_>, inputs: usize) -> Result<Linear, CheckpointError> {
    let (weight, bias) = weights_of_pixels(weights.checkpoint())?;
    // Pixels have eight bits already, and everything after rests on them.
    Ok(Linear::new(weights.isa(), Precision::F32, weight, Some(bias), inputs))
}
