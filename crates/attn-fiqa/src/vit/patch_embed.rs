//! Pixels to tokens: `patch_embed.proj`, `cls_token`, `reg_token` and `pos_embed`.

use attn_fiqa_kernels::{Epilogue, Isa, Precision};
use rayon::prelude::*;

use crate::checkpoint::{Checkpoint, CheckpointError};

use super::config::VitConfig;
use super::linear::Linear;
use super::token_chunk;
use super::weights::Weights;

const CHANNELS: usize = 3;

pub(super) struct PatchEmbed {
    image_size: usize,
    patch_size: usize,
    grid: usize,
    /// The convolution as a linear layer over a patch's pixels `[channel, row, column]`, 0 to 255:
    /// kernel and stride are equal, so patches do not overlap. The pixel normalisation is folded
    /// in.
    proj: Linear,
    /// The part of every token that does not depend on the image, `[token, dim]`: class token,
    /// registers and `pos_embed`, added together.
    start: Vec<f32>,
    prefix_tokens: usize,
}

impl PatchEmbed {
    pub(super) fn load(weights: &Weights<'_>, config: &VitConfig) -> Result<Self, CheckpointError> {
        Ok(Self {
            image_size: config.image_size,
            patch_size: config.patch_size,
            grid: config.grid(),
            proj: pixel_linear(weights, config)?,
            start: start_tokens(weights.checkpoint())?,
            prefix_tokens: config.prefix_tokens(),
        })
    }

    /// `rgb` `[row, column, channel]` to `tokens` `[token, dim]`, patches row by row. `pixels` is
    /// scratch space of `[patch, pixel]`.
    pub(super) fn forward(&self, rgb: &[u8], pixels: &mut [f32], tokens: &mut [f32]) {
        let dim = self.proj.outputs();
        let patch_len = CHANNELS * self.patch_size * self.patch_size;
        tokens.copy_from_slice(&self.start);
        let chunk_len = token_chunk(self.grid * self.grid);
        let first_patch = self.prefix_tokens * dim;
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

/// Class token, registers and zeros for the patches, plus `pos_embed`. Its last rows belong to the
/// patches and any rows before them to as many leading tokens; the other prefix tokens have no
/// position.
pub(crate) fn start_tokens(checkpoint: &Checkpoint) -> Result<Vec<f32>, CheckpointError> {
    let config = checkpoint.config();
    let dim = config.embed_dim;
    let position = checkpoint.read_f32("pos_embed")?;
    let (leading, patches) = position.split_at((config.positions - config.patches()) * dim);
    let mut start = leading.to_vec();
    start.resize(config.prefix_tokens() * dim, 0.0);
    let mut rows = start.as_mut_slice();
    for (name, count) in
        [("cls_token", usize::from(config.class_token)), ("reg_token", config.register_tokens)]
    {
        if count > 0 {
            let (these, rest) = rows.split_at_mut(count * dim);
            let tokens = checkpoint.read_f32(name)?;
            these.iter_mut().zip(&tokens).for_each(|(start, token)| *start += token);
            rows = rest;
        }
    }
    start.extend(patches);
    Ok(start)
}

/// Weights `[dim, channel, row, column]` and bias `[dim]` of `patch_embed.proj` for pixels from 0
/// to 255, given mean and deviation per channel:
/// `W·((x/255 − mean)/deviation) + b = (W/(255·deviation))·x + (b − W·mean/deviation)`.
pub(crate) fn weights_of_pixels(
    checkpoint: &Checkpoint,
) -> Result<(Vec<f32>, Vec<f32>), CheckpointError> {
    let config = checkpoint.config();
    let pixels = config.patch_size * config.patch_size;
    let mut weight = checkpoint.read_f32("patch_embed.proj.weight")?;
    let mut bias = match config.patch_bias {
        true => checkpoint.read_f32("patch_embed.proj.bias")?,
        false => vec![0.0; config.embed_dim],
    };
    let channels: Vec<(f64, f64)> = config
        .pixel_mean
        .iter()
        .zip(config.pixel_std)
        .map(|(&mean, deviation)| (f64::from(mean), f64::from(deviation)))
        .collect();
    for (row, bias) in weight.chunks_exact_mut(CHANNELS * pixels).zip(&mut bias) {
        // One sum over all channels, in the order of the weights.
        let sum: f64 = row
            .chunks_exact(pixels)
            .zip(&channels)
            .flat_map(|(row, (mean, deviation))| {
                row.iter().map(move |&weight| f64::from(weight) * (mean / deviation))
            })
            .sum();
        *bias = (f64::from(*bias) - sum) as f32;
        for (row, (_, deviation)) in row.chunks_exact_mut(pixels).zip(&channels) {
            for weight in row {
                *weight = (f64::from(*weight) / (255.0 * deviation)) as f32;
            }
        }
    }
    Ok((weight, bias))
}

fn pixel_linear(weights: &Weights<'_>, config: &VitConfig) -> Result<Linear, CheckpointError> {
    let inputs = CHANNELS * config.patch_size * config.patch_size;
    let (weight, bias) = weights_of_pixels(weights.checkpoint())?;
    let precision = precision_of_pixels(weights.isa(), weights.precision());
    Ok(Linear::new(weights.isa(), precision, weight, Some(bias), inputs))
}

/// Everything depends on the patch embedding, so it is never coarser than bf16x2, in which a pixel
/// is exact and a weight has 16 bits.
fn precision_of_pixels(isa: Isa, precision: Precision) -> Precision {
    match precision {
        Precision::F32 => Precision::F32,
        Precision::Bf16x2 => Precision::Bf16x2,
        Precision::Bf16 | Precision::Int8 => {
            let fast = isa.faster_than_f32().contains(&Precision::Bf16x2);
            if fast { Precision::Bf16x2 } else { Precision::F32 }
        }
    }
}
