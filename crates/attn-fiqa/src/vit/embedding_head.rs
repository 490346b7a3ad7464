//! From the last block's output to the embedding: `norm` and `feature.{0,1,2,3}`.

use attn_fiqa_kernels::{Epilogue, Isa, PackedWeights, Precision};
use rayon::prelude::*;

use crate::checkpoint::{Checkpoint, CheckpointError};

use super::config::{EmbeddingTokens, VitConfig};
use super::layer_norm::LayerNorm;
use super::weights::Weights;

/// Epsilon of both batch norms (definitions §1).
const BATCH_NORM_EPS: f64 = 2e-5;
/// Outputs that are computed together, each group by one task.
const GROUP: usize = 2 * PackedWeights::PANEL;
/// Most inputs of a block, unless one token has more. A sum of a hundred thousand products in f32
/// would lose two digits, so the sums of blocks are added in f64.
const BLOCK: usize = 2048;

/// `norm → flatten → linear → batch norm → linear → batch norm`.
pub(crate) struct EmbeddingHead {
    norm: LayerNorm,
    first: Projection,
    second: Projection,
    tokens: EmbeddingTokens,
    embed_dim: usize,
}

/// A linear layer without bias, and the batch norm after it.
struct Projection {
    groups: Vec<Group>,
    /// Inputs of a block; the last one may have fewer.
    block: usize,
    /// The batch norm at inference is `y·factor + offset`.
    factor: Vec<f32>,
    offset: Vec<f32>,
}

/// The weights of some outputs, block after block as they are read.
struct Group {
    blocks: Vec<PackedWeights>,
}

impl EmbeddingHead {
    /// `None` when the checkpoint holds no head.
    pub(crate) fn load(checkpoint: &Checkpoint, isa: Isa) -> Result<Option<Self>, CheckpointError> {
        let config: &VitConfig = checkpoint.config();
        let Some(head) = config.embedding_head else {
            return Ok(None);
        };
        let weights = Weights::new(checkpoint, Precision::F32, isa);
        Ok(Some(Self {
            norm: weights.layer_norm("norm", config.layer_norm_eps)?,
            first: Projection::load(
                &weights,
                ["feature.0", "feature.1"],
                head.hidden_dim,
                // Whole tokens, because they are normalised block by block.
                config.embed_dim * (BLOCK / config.embed_dim).max(1),
            )?,
            second: Projection::load(
                &weights,
                ["feature.2", "feature.3"],
                head.dim,
                head.hidden_dim,
            )?,
            tokens: head.tokens,
            embed_dim: config.embed_dim,
        }))
    }

    /// The network's last norm, of tokens `[token, dim]` of any block.
    pub(crate) fn normed(&self, tokens: &[f32]) -> Vec<f32> {
        let mut normed = vec![0.0; tokens.len()];
        self.norm.forward(tokens, &mut normed);
        normed
    }

    /// Embeddings of many images, not normalised: weights are read once for the whole batch, and
    /// each image's sums run in the same order whatever the batch.
    ///
    /// `last_outputs` are the last block's outputs, `[token, dim]` each.
    pub(crate) fn forward(&self, last_outputs: &[Vec<f32>], class_token: bool) -> Vec<Vec<f32>> {
        let images = last_outputs.len();
        let Some(tokens) = last_outputs.first() else { return Vec::new() };
        let kept = match self.tokens {
            EmbeddingTokens::All => 0..tokens.len(),
            EmbeddingTokens::Patches if class_token => self.embed_dim..tokens.len(),
            EmbeddingTokens::Patches => 0..tokens.len(),
            EmbeddingTokens::Class => 0..self.embed_dim,
        };
        let block = self.first.block;
        let mut normed = vec![0.0; images * kept.len()];
        normed.par_chunks_mut(images * block).enumerate().for_each(|(index, normed)| {
            let width = normed.len() / images;
            for (tokens, normed) in last_outputs.iter().zip(normed.chunks_exact_mut(width)) {
                self.norm.forward(&tokens[kept.clone()][index * block..][..width], normed);
            }
        });
        let hidden = self.first.forward(&normed, images);
        let embeddings = self.second.forward(&hidden, images);
        embeddings.chunks_exact(embeddings.len() / images).map(<[f32]>::to_vec).collect()
    }
}

impl Projection {
    fn load(
        weights: &Weights<'_>,
        [linear, batch_norm]: [&str; 2],
        outputs: usize,
        block: usize,
    ) -> Result<Self, CheckpointError> {
        let weight = weights.tensor(&format!("{linear}.weight"))?;
        let gamma = weights.tensor(&format!("{batch_norm}.weight"))?;
        let beta = weights.tensor(&format!("{batch_norm}.bias"))?;
        let mean = weights.tensor(&format!("{batch_norm}.running_mean"))?;
        let variance = weights.tensor(&format!("{batch_norm}.running_var"))?;
        let factor: Vec<f64> = gamma
            .iter()
            .zip(&variance)
            .map(|(&gamma, &variance)| {
                f64::from(gamma) / (f64::from(variance) + BATCH_NORM_EPS).sqrt()
            })
            .collect();
        let offset = beta
            .iter()
            .zip(&mean)
            .zip(&factor)
            .map(|((&beta, &mean), factor)| (f64::from(beta) - f64::from(mean) * factor) as f32)
            .collect();
        Ok(Self {
            groups: pack(weights.isa(), weight, outputs, block),
            block,
            factor: factor.into_iter().map(|factor| factor as f32).collect(),
            offset,
        })
    }

    /// `x` is `[block, image, input of the block]`; the answer `[image, output]`.
    fn forward(&self, x: &[f32], images: usize) -> Vec<f32> {
        let sums: Vec<Vec<f64>> =
            self.groups.par_iter().map(|group| group.forward(x, images, self.block)).collect();
        let outputs = self.factor.len();
        let mut out = vec![0.0; images * outputs];
        for (image, out) in out.chunks_exact_mut(outputs).enumerate() {
            let batch_norm = self.factor.iter().zip(&self.offset);
            for (index, (out, (factor, offset))) in out.iter_mut().zip(batch_norm).enumerate() {
                let group = &sums[index / GROUP];
                let sum = group[image * (group.len() / images) + index % GROUP];
                *out = sum as f32 * factor + offset;
            }
        }
        out
    }
}

impl Group {
    /// `[image, output of the group]`.
    fn forward(&self, x: &[f32], images: usize, block: usize) -> Vec<f64> {
        let outputs = self.blocks[0].outputs();
        let mut sums = vec![0.0f64; images * outputs];
        let mut part = vec![0.0; images * outputs];
        for (weights, x) in self.blocks.iter().zip(x.chunks(images * block)) {
            weights.apply(x, &mut part, Epilogue::Overwrite);
            sums.iter_mut().zip(&part).for_each(|(sum, &part)| *sum += f64::from(part));
        }
        sums
    }
}

/// Packs a weight `[out, in]`, the last group first: what is packed is freed, so that the weight is
/// not held twice.
fn pack(isa: Isa, mut weight: Vec<f32>, outputs: usize, block: usize) -> Vec<Group> {
    let inputs = weight.len() / outputs;
    let mut groups = Vec::with_capacity(outputs.div_ceil(GROUP));
    for first in (0..outputs).step_by(GROUP).rev() {
        let rows = &weight[first * inputs..];
        let blocks = (0..inputs).into_par_iter().step_by(block).map(|from| {
            let to = inputs.min(from + block);
            let rows = rows.chunks_exact(inputs).flat_map(|row| &row[from..to]);
            let block: Vec<f32> = rows.copied().collect();
            PackedWeights::new(isa, Precision::F32, &block, None, to - from)
        });
        groups.push(Group { blocks: blocks.collect() });
        weight.truncate(first * inputs);
        weight.shrink_to_fit();
    }
    groups.reverse();
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_projection_is_its_definition_for_any_batch_on_every_instruction_set() {
        let value = |i: usize| ((i * 7919 % 1009) as f32 - 504.0) / 504.0;
        // Neither whole groups nor whole blocks.
        let (inputs, outputs, block, images) = (3 * 32 + 5, GROUP + 37, 32, 5);
        let weight: Vec<f32> = (0..inputs * outputs).map(value).collect();
        let x: Vec<f32> = (0..images * inputs).map(|i| value(i + 5)).collect();
        for isa in Isa::available() {
            let projection = Projection {
                groups: pack(isa, weight.clone(), outputs, block),
                block,
                factor: (0..outputs).map(|i| value(i + 11)).collect(),
                offset: (0..outputs).map(|i| value(i + 40)).collect(),
            };
            let forward = |images: &[&[f32]]| {
                let blocks = (0..inputs).step_by(block).flat_map(|from| {
                    let to = inputs.min(from + block);
                    images.iter().flat_map(move |image| image[from..to].to_vec())
                });
                projection.forward(&blocks.collect::<Vec<f32>>(), images.len())
            };
            let rows: Vec<&[f32]> = x.chunks_exact(inputs).collect();
            let together = forward(&rows);
            for (image, row) in rows.iter().enumerate() {
                let found = &together[image * outputs..][..outputs];
                assert_eq!(forward(&[row]), found, "{} alone", isa.name());
                for (output, found) in found.iter().enumerate() {
                    let weight = &weight[output * inputs..][..inputs];
                    let sum: f64 =
                        row.iter().zip(weight).map(|(&x, &w)| f64::from(x) * f64::from(w)).sum();
                    let expected = sum * f64::from(projection.factor[output])
                        + f64::from(projection.offset[output]);
                    assert!((f64::from(*found) - expected).abs() < 2e-5, "{}", isa.name());
                }
            }
        }
    }
}
