//! From the last block's output to the embedding: `norm` and `feature.{0,1,2,3}`, with TransFace's
//! gate `senet.{0,2}`; or `norm`, pooling, `fc_norm` and `head`.

use attn_fiqa_kernels::{Isa, Precision, sigmoid};
use rayon::prelude::*;

use crate::checkpoint::{Checkpoint, CheckpointError};

use super::config::{
    EmbeddingHeadConfig, EmbeddingTokens, FlattenedHead, PooledHead, Pooling, VitConfig,
};
use super::layer_norm::LayerNorm;
use super::projection::Projection;
use super::weights::Weights;

/// Epsilon of both batch norms (definitions §1).
pub(crate) const BATCH_NORM_EPS: f64 = 2e-5;

/// The layers after the last block.
pub(crate) struct EmbeddingHead {
    norm: Option<LayerNorm>,
    stage: Stage,
    embed_dim: usize,
    prefix_tokens: usize,
}

/// The layers after the last norm.
enum Stage {
    /// `[gate] → flatten → linear → batch norm → linear → batch norm`.
    Flattened {
        tokens: EmbeddingTokens,
        gate: Option<Box<Gate>>,
        first: Projection,
        second: Projection,
    },
    /// `pool → [fc_norm] → [head]`.
    Pooled { pooling: Pooling, norm: Option<LayerNorm>, projection: Option<Projection> },
}

/// TransFace's gate: `sigmoid(W₂·relu(W₀·x))` over the flattened tokens, one factor per token.
struct Gate {
    first: Projection,
    second: Projection,
}

impl EmbeddingHead {
    /// `None` if the checkpoint has no head.
    pub(crate) fn load(checkpoint: &Checkpoint, isa: Isa) -> Result<Option<Self>, CheckpointError> {
        let config: &VitConfig = checkpoint.config();
        let Some(head) = config.embedding_head else {
            return Ok(None);
        };
        let weights = Weights::new(checkpoint, Precision::F32, isa);
        let norm = |name, wanted: bool| {
            wanted.then(|| weights.layer_norm(name, config.layer_norm_eps)).transpose()
        };
        let (norm, stage) = match head {
            EmbeddingHeadConfig::Flattened(FlattenedHead { tokens, gated, .. }) => {
                let gate = gated
                    .then(|| Gate::load(&weights, config.flattened_tokens(tokens)))
                    .transpose()?;
                let first = Projection::with_batch_norm(&weights, "feature.0", "feature.1")?;
                let second = Projection::with_batch_norm(&weights, "feature.2", "feature.3")?;
                let gate = gate.map(Box::new);
                (norm("norm", true)?, Stage::Flattened { tokens, gate, first, second })
            }
            EmbeddingHeadConfig::Pooled(PooledHead {
                pooling,
                norm: first,
                pooled_norm,
                projection,
                dim,
                ..
            }) => {
                let projection =
                    projection.then(|| Projection::load(&weights, "head", dim)).transpose()?;
                let pooled_norm = norm("fc_norm", pooled_norm)?;
                (norm("norm", first)?, Stage::Pooled { pooling, norm: pooled_norm, projection })
            }
        };
        let (embed_dim, prefix_tokens) = (config.embed_dim, config.prefix_tokens());
        Ok(Some(Self { norm, stage, embed_dim, prefix_tokens }))
    }

    /// Tokens `[token, dim]` of any block, normalised like the last ones: by `norm` or, if the
    /// network normalises only the pooled vector, by `fc_norm`.
    pub(crate) fn normed(&self, tokens: &[f32]) -> Vec<f32> {
        let norm = match &self.stage {
            Stage::Pooled { norm, .. } => self.norm.as_ref().or(norm.as_ref()),
            Stage::Flattened { .. } => self.norm.as_ref(),
        };
        normed(norm, tokens)
    }

    /// Embeddings of many images, not normalised; each is the same as if computed alone.
    ///
    /// `last_outputs` are the last block's outputs, `[token, dim]` each.
    pub(crate) fn forward(&self, last_outputs: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let vectors: Vec<Vec<f32>> =
            last_outputs.par_iter().map(|tokens| self.vector(tokens)).collect();
        match &self.stage {
            Stage::Flattened { gate, first, second, .. } => {
                let vectors = match gate {
                    Some(gate) => gate.forward(vectors, self.embed_dim),
                    None => vectors,
                };
                second.forward(&first.forward(&vectors))
            }
            Stage::Pooled { projection: Some(projection), .. } => projection.forward(&vectors),
            Stage::Pooled { projection: None, .. } => vectors,
        }
    }

    /// The input of the linear layers for one image: its normalised tokens, flattened or pooled.
    fn vector(&self, tokens: &[f32]) -> Vec<f32> {
        let (dim, norm) = (self.embed_dim, self.norm.as_ref());
        let patches = &tokens[self.prefix_tokens * dim..];
        match &self.stage {
            Stage::Flattened { tokens: kept, .. } => match kept {
                EmbeddingTokens::All => normed(norm, tokens),
                EmbeddingTokens::Patches => normed(norm, patches),
                EmbeddingTokens::Class => normed(norm, &tokens[..dim]),
            },
            Stage::Pooled { pooling, norm: pooled_norm, .. } => {
                let pooled = match pooling {
                    Pooling::Class => normed(norm, &tokens[..dim]),
                    Pooling::Average => mean_row(&normed(norm, patches), dim),
                };
                normed(pooled_norm.as_ref(), &pooled)
            }
        }
    }
}

/// Normalises every row of `tokens`; without a norm, returns them as they are.
fn normed(norm: Option<&LayerNorm>, tokens: &[f32]) -> Vec<f32> {
    let Some(norm) = norm else { return tokens.to_vec() };
    let mut normed = vec![0.0; tokens.len()];
    norm.forward(tokens, &mut normed);
    normed
}

fn mean_row(rows: &[f32], dim: usize) -> Vec<f32> {
    let mut sums = vec![0.0f64; dim];
    for row in rows.chunks_exact(dim) {
        sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
    }
    let count = (rows.len() / dim) as f64;
    sums.into_iter().map(|sum| (sum / count) as f32).collect()
}

impl Gate {
    fn load(weights: &Weights<'_>, tokens: usize) -> Result<Self, CheckpointError> {
        Ok(Self {
            first: Projection::load(weights, "senet.0", tokens)?,
            second: Projection::load(weights, "senet.2", tokens)?,
        })
    }

    /// Flattened tokens `[image][token, dim]`, each token multiplied by its gate.
    fn forward(&self, mut images: Vec<Vec<f32>>, dim: usize) -> Vec<Vec<f32>> {
        let mut hidden = self.first.forward(&images);
        hidden.iter_mut().flatten().for_each(|value| *value = value.max(0.0));
        for (image, gates) in images.iter_mut().zip(self.second.forward(&hidden)) {
            for (token, gate) in image.chunks_exact_mut(dim).zip(gates) {
                let gate = sigmoid(gate);
                token.iter_mut().for_each(|value| *value *= gate);
            }
        }
        images
    }
}

impl Projection {
    /// A linear layer with or without bias.
    fn load(weights: &Weights<'_>, linear: &str, outputs: usize) -> Result<Self, CheckpointError> {
        let weight = weights.tensor(&format!("{linear}.weight"))?;
        let offset = weights.bias(linear)?.unwrap_or_else(|| vec![0.0; outputs]);
        Ok(Self::new(weights.isa(), weight, vec![1.0; outputs], offset))
    }

    /// A linear layer without bias, and the batch norm after it, which at inference is
    /// `y·factor + offset`.
    fn with_batch_norm(
        weights: &Weights<'_>,
        linear: &str,
        batch_norm: &str,
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
        let factor = factor.into_iter().map(|factor| factor as f32).collect();
        Ok(Self::new(weights.isa(), weight, factor, offset))
    }
}
