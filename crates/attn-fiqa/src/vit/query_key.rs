//! The pre-softmax attention of one block, computed from the block's input.
//!
//! With `A[h,i,j] = scale · q[h,i]·k[h,j]`, the mean over i and j of a product is
//! the product of the means. So with `m` the mean over tokens of `norm1(x)`,
//! `q̄ = W_q·m + b_q` and `k̄ = W_k·m + b_k`, the mean of head h is
//! `scale · q̄[h]·k̄[h]`: two matrix–vector products and no N×N matrix. What patch
//! j receives is `scale · q̄[h]·k[h,j] = scale · (W_kᵀ·q̄)[h]·norm1(x)[j] + const`:
//! one dot product per patch.

use std::ops::Range;

use attn_fiqa_kernels::{Accumulate, Isa, Matrix, MatrixMut, Precision, gemm, matrix_vector};

use crate::buffer_pool::BufferPool;
use crate::checkpoint::{Checkpoint, CheckpointError};

use super::config::VitConfig;
use super::layer_norm::Standardise;
use super::linear::Linear;
use super::weights::Weights;

/// What the queries and keys of one block are made from: the rows of `attn.qkv` that give
/// them, with the affine part of `norm1` folded in.
pub struct QueryKey {
    norm1: Standardise,
    /// `[query | key, in]`, the affine part of `norm1` folded in.
    weight: Vec<f32>,
    /// `[query | key]`; zeros where the checkpoint has no bias.
    bias: Vec<f64>,
    heads: usize,
    head_dim: usize,
    scale: f64,
    buffers: BufferPool<Buffers>,
}

/// What a statistics writes into, kept for the next image.
#[derive(Default)]
struct Buffers {
    /// `[dim]`: one token, normalised.
    token: Vec<f32>,
    /// `[dim]`: the mean token.
    mean: Vec<f64>,
    /// `[query | key]`.
    bias: Vec<f64>,
    /// `[query | key]` of the mean token.
    mean_query_key: Vec<f64>,
}

/// The direction of attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From all tokens to one: the mean over queries.
    Received,
    /// From one token to all: the mean over keys.
    Paid,
}

impl QueryKey {
    /// Cut out of a block's joint linear.
    pub(super) fn from_qkv(norm1: Standardise, qkv: &Linear, config: &VitConfig) -> Self {
        let outputs = 2 * config.embed_dim;
        let weight = qkv.first_rows(outputs);
        Self::new(norm1, weight, &qkv.bias()[..outputs], config)
    }

    /// The last block's, without statistics anything else of that block: what a score is
    /// read off. Always in f32: the score itself is never rounded to the precision of the
    /// blocks before it.
    ///
    /// # Errors
    ///
    /// When a tensor cannot be read.
    pub fn of_last_block(checkpoint: &Checkpoint, isa: Isa) -> Result<Self, CheckpointError> {
        let config = checkpoint.config();
        let last = config.depth - 1;
        let norm = format!("blocks.{last}.norm1");
        let name = if checkpoint.is_quality_only() { "qk" } else { "qkv" };
        let name = format!("blocks.{last}.attn.{name}");
        let weights = Weights::new(checkpoint, Precision::F32, isa);
        let (norm1, linear) = weights.linear_after(&norm, &name, config)?;
        Ok(Self::from_qkv(norm1, &linear, config))
    }

    /// The rows that give the query, `[head·head_dim, in]`.
    pub(crate) fn query_weight(&self) -> &[f32] {
        &self.weight[..self.weight.len() / 2]
    }

    /// `[query | key, in]`, the affine part of `norm1` folded in.
    #[cfg(feature = "export")]
    pub(crate) fn weight(&self) -> &[f32] {
        &self.weight
    }

    /// `[query | key]`.
    #[cfg(feature = "export")]
    pub(crate) fn bias(&self) -> &[f64] {
        &self.bias
    }

    fn new(norm1: Standardise, weight: Vec<f32>, bias: &[f32], config: &VitConfig) -> Self {
        Self {
            norm1,
            weight,
            bias: bias.iter().map(|&bias| f64::from(bias)).collect(),
            heads: config.num_heads,
            head_dim: config.head_dim(),
            scale: f64::from(config.scale()),
            buffers: BufferPool::new(),
        }
    }

    /// Attention statistics of a mean token `[dim]`, as [`Backend::forward`] gives it.
    ///
    /// `key_bias` `[head, head_dim]` is added to every key: the freedom that
    /// softmax, and with it the embedding, does not see (definitions §2).
    ///
    /// [`Backend::forward`]: crate::backend::Backend::forward
    pub(crate) fn mean_statistics<'a>(
        &'a self,
        mean_token: &[f64],
        key_bias: Option<&[f32]>,
    ) -> MeanStatistics<'a> {
        let mut buffers = self.buffers();
        buffers.mean.copy_from_slice(mean_token);
        self.project_mean(buffers, key_bias)
    }

    /// Normalises the block's input `[token, dim]` and takes the mean query and key.
    pub(crate) fn statistics<'a>(
        &'a self,
        block_input: &'a [f32],
        key_bias: Option<&[f32]>,
    ) -> AttentionStatistics<'a> {
        let mut buffers = self.buffers();
        self.norm1.mean(block_input, &mut buffers.token, &mut buffers.mean);
        AttentionStatistics { mean: self.project_mean(buffers, key_bias), block_input }
    }

    fn buffers(&self) -> Buffers {
        let dim = self.heads * self.head_dim;
        self.buffers.acquire(|| Buffers {
            token: vec![0.0; dim],
            mean: vec![0.0; dim],
            bias: vec![0.0; 2 * dim],
            mean_query_key: vec![0.0; 2 * dim],
        })
    }

    fn project_mean(&self, mut buffers: Buffers, key_bias: Option<&[f32]>) -> MeanStatistics<'_> {
        let dim = self.heads * self.head_dim;
        let Buffers { mean, bias, mean_query_key, .. } = &mut buffers;
        bias.copy_from_slice(&self.bias);
        if let Some(key_bias) = key_bias {
            bias[dim..].iter_mut().zip(key_bias).for_each(|(bias, &c)| *bias += f64::from(c));
        }
        matrix_vector(self.norm1.isa, &self.weight, mean, bias, mean_query_key);
        MeanStatistics { of: self, buffers }
    }
}

/// Attention statistics of one image at one block from its mean token alone: the scores that
/// are means.
pub(crate) struct MeanStatistics<'a> {
    of: &'a QueryKey,
    buffers: Buffers,
}

impl Drop for MeanStatistics<'_> {
    fn drop(&mut self) {
        self.of.buffers.release(std::mem::take(&mut self.buffers));
    }
}

/// Attention statistics of one image at one block, maps included.
pub(crate) struct AttentionStatistics<'a> {
    pub(crate) mean: MeanStatistics<'a>,
    /// `[token, dim]`.
    block_input: &'a [f32],
}

impl MeanStatistics<'_> {
    fn dim(&self) -> usize {
        self.of.heads * self.of.head_dim
    }

    /// The mean over tokens of the queries, `[head, head_dim]`.
    pub(crate) fn mean_query(&self) -> Vec<f32> {
        self.buffers.mean_query_key[..self.dim()].iter().map(|&query| query as f32).collect()
    }

    /// The mean over tokens of the normalised input, `[dim]`.
    pub(crate) fn mean_token(&self) -> Vec<f64> {
        self.buffers.mean.clone()
    }

    /// The mean over all token pairs of one head, by the closed form.
    pub(crate) fn head_score(&self, head: usize) -> f64 {
        let (dim, width) = (self.dim(), self.of.head_dim);
        let query = &self.buffers.mean_query_key[head * width..][..width];
        let key = &self.buffers.mean_query_key[dim + head * width..][..width];
        self.of.scale * query.iter().zip(key).map(|(q, k)| q * k).sum::<f64>()
    }

    /// The mean over heads of [`Self::head_score`]; all heads make `Q` (definitions §2).
    pub(crate) fn score(&self, heads: Range<usize>) -> f64 {
        let count = heads.len() as f64;
        heads.map(|head| self.head_score(head)).sum::<f64>() / count
    }
}

impl AttentionStatistics<'_> {
    /// The block's input without mean and deviation, `[token, dim]`; only what goes beyond
    /// a score needs it.
    fn normed(&self) -> Vec<f32> {
        let mut normed = vec![0.0; self.block_input.len()];
        self.mean.of.norm1.forward(self.block_input, &mut normed);
        normed
    }

    /// Mean attention of each token in one direction over `heads`, `[token]`, in O(N·D).
    pub(crate) fn per_token(&self, direction: Direction, heads: Range<usize>) -> Vec<f32> {
        let MeanStatistics { of, buffers } = &self.mean;
        let (dim, width) = (self.mean.dim(), of.head_dim);
        let outputs = heads.start * width..heads.end * width;
        // The side that is averaged, and the side that stays a token's own.
        let (averaged, own) = match direction {
            Direction::Received => (0, dim),
            Direction::Paid => (dim, 0),
        };
        let averaged = &buffers.mean_query_key[averaged..][outputs.clone()];
        let own = own + outputs.start..own + outputs.end;
        let constant: f64 =
            averaged.iter().zip(&buffers.bias[own.clone()]).map(|(a, b)| a * b).sum();
        let mut towards = vec![0.0f64; dim];
        let rows = of.weight[own.start * dim..own.end * dim].chunks_exact(dim);
        for (averaged, row) in averaged.iter().zip(rows) {
            let towards = towards.iter_mut().zip(row);
            towards.for_each(|(towards, &weight)| *towards += averaged * f64::from(weight));
        }
        let factor = of.scale / heads.len() as f64;
        self.normed()
            .chunks_exact(dim)
            .map(|token| {
                let product: f64 = token.iter().zip(&towards).map(|(&x, t)| f64::from(x) * t).sum();
                (factor * (product + constant)) as f32
            })
            .collect()
    }

    /// The whole matrix `A` of `heads`, `[head, query token, key token]`.
    pub(crate) fn logits(&self, heads: Range<usize>) -> Vec<f32> {
        let MeanStatistics { of, buffers } = &self.mean;
        let (dim, width) = (self.mean.dim(), of.head_dim);
        let normed = self.normed();
        let tokens = normed.len() / dim;
        let bias: Vec<f32> = buffers.bias.iter().map(|&bias| bias as f32).collect();
        let mut query_key = bias.repeat(tokens);
        let isa = of.norm1.isa;
        gemm(
            isa,
            MatrixMut::contiguous(&mut query_key, tokens, 2 * dim),
            Matrix::contiguous(&normed, tokens, dim),
            Matrix::contiguous(&of.weight, 2 * dim, dim).transposed(),
            1.0,
            Accumulate::Add,
        );
        let mut logits = vec![0.0; heads.len() * tokens * tokens];
        for (logits, head) in logits.chunks_exact_mut(tokens * tokens).zip(heads) {
            let part = |start: usize| {
                Matrix::strided(&query_key[start + head * width..], tokens, width, 2 * dim)
            };
            gemm(
                isa,
                MatrixMut::contiguous(logits, tokens, tokens),
                part(0),
                part(dim).transposed(),
                of.scale as f32,
                Accumulate::Overwrite,
            );
        }
        logits
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use attn_fiqa_kernels::Isa;

    use super::*;
    use crate::vit::config::Activation;

    fn random(count: usize, seed: &mut u64) -> Vec<f32> {
        let mut next = || {
            *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (*seed >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    /// `A[h,i,j]` by its definition, in f64 and one element at a time.
    fn naive_logits(
        qk: &QueryKey,
        normed: &[f32],
        key_bias: Option<&[f32]>,
        [head, i, j]: [usize; 3],
    ) -> f64 {
        let (dim, width) = (qk.heads * qk.head_dim, qk.head_dim);
        let projected = |token: usize, output: usize| {
            let inputs = (0..dim).map(|input| {
                f64::from(normed[token * dim + input]) * f64::from(qk.weight[output * dim + input])
            });
            qk.bias[output] + inputs.sum::<f64>()
        };
        let products = (head * width..(head + 1) * width).map(|output| {
            let shift = key_bias.map_or(0.0, |bias| f64::from(bias[output]));
            projected(i, output) * (projected(j, dim + output) + shift)
        });
        qk.scale * products.sum::<f64>()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn the_closed_form_is_the_mean_of_the_full_matrix(
            heads in 1usize..5, head_dim in 1usize..9, tokens in 1usize..20,
            has_bias in any::<bool>(), has_key_bias in any::<bool>(), mut seed in any::<u64>(),
        ) {
            let dim = heads * head_dim;
            let config = VitConfig {
                image_size: 112, patch_size: 16, embed_dim: dim, depth: 1, num_heads: heads,
                mlp_dim: dim, qkv_bias: has_bias, activation: Activation::Relu6,
                class_token: false, layer_norm_eps: 1e-5, embedding_head: None,
            };
            let norm1 = Standardise { dim, eps: 1e-5, isa: Isa::widest() };
            let bias = if has_bias { random(2 * dim, &mut seed) } else { vec![0.0; 2 * dim] };
            let qk = QueryKey::new(norm1, random(dim * 2 * dim, &mut seed), &bias, &config);
            let key_bias = has_key_bias.then(|| random(dim, &mut seed));
            let input = random(tokens * dim, &mut seed);
            let statistics = qk.statistics(&input, key_bias.as_deref());

            let matrix = statistics.logits(0..heads);
            let normed = statistics.normed();
            let mut score = 0.0;
            let mut received = vec![0.0; tokens];
            let mut paid = vec![0.0; tokens];
            for head in 0..heads {
                for i in 0..tokens {
                    for j in 0..tokens {
                        let value = naive_logits(&qk, &normed, key_bias.as_deref(), [head, i, j]);
                        let found = f64::from(matrix[(head * tokens + i) * tokens + j]);
                        prop_assert!((found - value).abs() < 1e-4, "logit {found} is not {value}");
                        let fraction = value / (heads * tokens) as f64;
                        score += fraction / tokens as f64;
                        received[j] += fraction;
                        paid[i] += fraction;
                    }
                }
            }
            prop_assert!((statistics.mean.score(0..heads) - score).abs() < 1e-6);
            for (direction, expected) in [(Direction::Received, received), (Direction::Paid, paid)] {
                let found = statistics.per_token(direction, 0..heads);
                let mean = found.iter().map(|&v| f64::from(v)).sum::<f64>() / tokens as f64;
                prop_assert!((mean - score).abs() < 1e-5, "the map's mean is the score");
                for (found, expected) in found.iter().zip(expected) {
                    prop_assert!((f64::from(*found) - expected).abs() < 1e-5);
                }
            }
        }
    }
}
