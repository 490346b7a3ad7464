//! From the last block's output to the embedding: `norm` and `feature.{0,1,2,3}`.

use attn_fiqa_kernels::{Isa, Precision};
use rayon::prelude::*;

use crate::checkpoint::{Checkpoint, CheckpointError};

use super::config::{EmbeddingTokens, VitConfig};
use super::layer_norm::LayerNorm;
use super::weights::Weights;

/// Epsilon of both batch norms (definitions §1).
pub(crate) const BATCH_NORM_EPS: f64 = 2e-5;

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
    /// `[out, in]`, as in the checkpoint: every output is one long dot product.
    weight: Vec<f32>,
    inputs: usize,
    /// The batch norm at inference is `y·factor + offset`.
    factor: Vec<f32>,
    offset: Vec<f32>,
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
            first: Projection::load(&weights, "feature.0", "feature.1", head.hidden_dim)?,
            second: Projection::load(&weights, "feature.2", "feature.3", head.dim)?,
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

    /// Embeddings of many images, not normalised: each output's weights are read
    /// once for the whole batch, and each image's sum runs in the same order
    /// whatever the batch.
    ///
    /// `last_outputs` are the last block's outputs, `[token, dim]` each.
    pub(crate) fn forward(&self, last_outputs: &[Vec<f32>], class_token: bool) -> Vec<Vec<f32>> {
        let flattened: Vec<Vec<f32>> = last_outputs
            .par_iter()
            .map(|tokens| {
                let first_patch = if class_token { self.embed_dim } else { 0 };
                let kept = match self.tokens {
                    EmbeddingTokens::All => &tokens[..],
                    EmbeddingTokens::Patches => &tokens[first_patch..],
                    EmbeddingTokens::Class => &tokens[..self.embed_dim],
                };
                let mut normed = vec![0.0; kept.len()];
                self.norm.forward(kept, &mut normed);
                normed
            })
            .collect();
        self.second.forward(&self.first.forward(&flattened))
    }
}

impl Projection {
    fn load(
        weights: &Weights<'_>,
        linear: &str,
        batch_norm: &str,
        outputs: usize,
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
            inputs: weight.len() / outputs,
            weight,
            factor: factor.into_iter().map(|factor| factor as f32).collect(),
            offset,
        })
    }

    fn forward(&self, images: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let columns: Vec<Vec<f32>> = self
            .weight
            .par_chunks_exact(self.inputs)
            .zip(&self.factor)
            .zip(&self.offset)
            .map(|((weight, factor), offset)| {
                images.iter().map(|image| dot(weight, image) * factor + offset).collect()
            })
            .collect();
        (0..images.len())
            .map(|image| columns.iter().map(|column| column[image]).collect())
            .collect()
    }
}

/// Partial sums of a hundred thousand products in f32 would lose two digits, so
/// they are kept over many lanes.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 64;
    let mut lanes = [0.0f32; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    (lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>() + f64::from(rest)) as f32
}
