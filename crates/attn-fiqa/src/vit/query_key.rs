//! The pre-softmax attention of one block, computed from the block's input.
//!
//! With `A[h,i,j] = scale · q[h,i]·k[h,j]`, the mean over i and j of a product is the product of
//! the means. So with `m` the mean over tokens of `norm1(x)`, `q̄ = W_q·m + b_q` and
//! `k̄ = W_k·m + b_k`, the mean of head h is `scale · q̄[h]·k̄[h]`: two matrix–vector products and
//! no N×N matrix. What patch j receives is
//! `scale · q̄[h]·k[h,j] = scale · (W_kᵀ·q̄)[h]·norm1(x)[j] + const`: one dot product per patch.
//!
//! If the network normalises each query and key ([`QkNorm`]), `q̄` and `k̄` are the means of the
//! normalised ones, which are not functions of `m`: queries and keys of all tokens are computed,
//! but still no N×N matrix.
//!
//! If scores include the bias that landmarks add ([`BlockBias`]), its mean is added to that of the
//! products.

use std::ops::Range;

use attn_fiqa_kernels::{
    Accumulate, Isa, Matrix, MatrixMut, Precision, add_rows, gemm, matrix_vector,
};

use crate::buffer_pool::BufferPool;
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::crop::Crop;

use super::config::{LandmarkBias, VitConfig};
use super::landmark_bias::{BlockBias, Table, landmarks_of};
use super::layer_norm::Standardise;
use super::linear::Linear;
use super::qk_norm::QkNorm;
use super::weights::Weights;

/// The layers that compute the queries and keys of one block: the corresponding rows of `attn.qkv`,
/// with the affine part of `norm1` folded in.
pub struct QueryKey {
    norm1: Standardise,
    /// `[query | key, in]`, the affine part of `norm1` folded in.
    weight: Vec<f32>,
    /// `[query | key]`; zeros if the checkpoint has no bias.
    bias: Vec<f64>,
    /// The normalisation of each query and key, if any.
    qk_norm: Option<QkNorm>,
    /// The bias that landmarks add to the logits, if any.
    landmark_bias: Option<BlockBias>,
    bias_in_score: bool,
    heads: usize,
    head_dim: usize,
    scale: f64,
    /// Number of leading tokens excluded from the score.
    skipped_tokens: usize,
    buffers: BufferPool<Buffers>,
}

/// Buffers for computing statistics, reused for the next image.
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
    /// Extracts the query and key rows of a block's joint linear layer.
    pub(super) fn from_qkv(
        norm1: Standardise,
        qkv: &Linear,
        qk_norm: Option<QkNorm>,
        landmark_bias: Option<BlockBias>,
        config: &VitConfig,
    ) -> Self {
        let outputs = 2 * config.embed_dim;
        let weight = qkv.first_rows(outputs);
        let new = Self::new(norm1, weight, &qkv.bias()[..outputs], qk_norm, config);
        Self { landmark_bias, ..new }
    }

    /// The queries and keys of the last block, from which the score is computed, without loading
    /// anything else of that block. Always in f32: the score itself is never rounded to the
    /// precision of the preceding blocks.
    ///
    /// # Errors
    ///
    /// If a tensor cannot be read.
    pub fn of_last_block(checkpoint: &Checkpoint, isa: Isa) -> Result<Self, CheckpointError> {
        let config = checkpoint.config();
        let last = config.depth - 1;
        let norm = format!("blocks.{last}.norm1");
        let name = if checkpoint.is_quality_only() { "qk" } else { "qkv" };
        let name = format!("blocks.{last}.attn.{name}");
        let weights = Weights::new(checkpoint, Precision::F32, isa);
        let (norm1, linear) = weights.linear_after(&norm, &name, config)?;
        let qk_norm = QkNorm::load(&weights, config, last)?;
        let landmark_bias = BlockBias::load(&weights, config, last)?;
        Ok(Self::from_qkv(norm1, &linear, qk_norm, landmark_bias, config))
    }

    /// The query rows, `[head·head_dim, in]`.
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

    fn new(
        norm1: Standardise,
        weight: Vec<f32>,
        bias: &[f32],
        qk_norm: Option<QkNorm>,
        config: &VitConfig,
    ) -> Self {
        Self {
            norm1,
            weight,
            bias: bias.iter().map(|&bias| f64::from(bias)).collect(),
            qk_norm,
            landmark_bias: None,
            bias_in_score: config.landmark_bias == Some(LandmarkBias::Score),
            heads: config.num_heads,
            head_dim: config.head_dim(),
            scale: f64::from(config.scale()),
            skipped_tokens: config.tokens_before_score(),
            buffers: BufferPool::new(),
        }
    }

    /// Whether the mean query and key are functions of the mean token, so that
    /// [`Self::mean_statistics`] gives scores.
    pub(crate) fn needs_only_mean_token(&self) -> bool {
        self.qk_norm.is_none()
    }

    /// Attention statistics of a mean token `[dim]`, as returned by [`Backend::forward`] for
    /// `crop`.
    ///
    /// `key_bias` `[head, head_dim]` is added to every key: a degree of freedom that softmax, and
    /// therefore the embedding, does not see (definitions §2).
    ///
    /// # Panics
    ///
    /// Unless [`Self::needs_only_mean_token`].
    ///
    /// [`Backend::forward`]: crate::backend::Backend::forward
    pub(crate) fn mean_statistics<'a>(
        &'a self,
        mean_token: &[f64],
        key_bias: Option<&[f32]>,
        crop: &Crop,
    ) -> MeanStatistics<'a> {
        assert!(self.needs_only_mean_token(), "queries are normalised: this is a bug");
        let mut buffers = self.buffers();
        buffers.mean.copy_from_slice(mean_token);
        self.project_mean(buffers, key_bias, self.table_of_score(crop))
    }

    /// Normalises the block's input `[token, dim]` for `crop` and computes the mean query and key
    /// over the score's tokens. Everything in the result refers to these tokens alone.
    pub(crate) fn statistics<'a>(
        &'a self,
        block_input: &'a [f32],
        key_bias: Option<&[f32]>,
        crop: &Crop,
    ) -> AttentionStatistics<'a> {
        let first = self.skipped_tokens * self.heads * self.head_dim;
        self.statistics_of(&block_input[first..], key_bias, self.table_of_score(crop))
    }

    /// The same over every token and with the landmark bias, as softmax sees them.
    pub(crate) fn statistics_of_all<'a>(
        &'a self,
        block_input: &'a [f32],
        crop: &Crop,
    ) -> AttentionStatistics<'a> {
        self.statistics_of(block_input, None, self.table(crop))
    }

    /// The bias that the landmarks of `crop` add to the logits, if any.
    fn table(&self, crop: &Crop) -> Option<Table> {
        Some(self.landmark_bias.as_ref()?.table(&landmarks_of(crop)))
    }

    /// The same, if scores include it.
    fn table_of_score(&self, crop: &Crop) -> Option<Table> {
        if self.bias_in_score { self.table(crop) } else { None }
    }

    fn statistics_of<'a>(
        &'a self,
        block_input: &'a [f32],
        key_bias: Option<&[f32]>,
        table: Option<Table>,
    ) -> AttentionStatistics<'a> {
        let mut buffers = self.buffers();
        self.norm1.mean(block_input, &mut buffers.token, &mut buffers.mean);
        let Some(qk_norm) = &self.qk_norm else {
            let mean = self.project_mean(buffers, key_bias, table);
            return AttentionStatistics { mean, block_input, normalised: None };
        };
        let dim = self.heads * self.head_dim;
        let mut query_key = self.project(&self.standardised(block_input), &self.bias);
        qk_norm.forward(&mut query_key, 2 * dim);
        if let Some(key_bias) = key_bias {
            for row in query_key.chunks_exact_mut(2 * dim) {
                row[dim..].iter_mut().zip(key_bias).for_each(|(key, bias)| *key += bias);
            }
        }
        let mean = &mut buffers.mean_query_key;
        mean.fill(0.0);
        for row in query_key.chunks_exact(2 * dim) {
            add_rows(self.norm1.isa, row, mean);
        }
        let tokens = (block_input.len() / dim) as f64;
        mean.iter_mut().for_each(|mean| *mean /= tokens);
        let mean = MeanStatistics { of: self, buffers, table };
        AttentionStatistics { mean, block_input, normalised: Some(query_key) }
    }

    /// A block's input, standardised, `[token, dim]`.
    fn standardised(&self, block_input: &[f32]) -> Vec<f32> {
        let mut normed = vec![0.0; block_input.len()];
        self.norm1.forward(block_input, &mut normed);
        normed
    }

    /// Queries and keys of normalised tokens `[token, dim]`, before [`QkNorm`]:
    /// `[token, query | key]`.
    fn project(&self, normed: &[f32], bias: &[f64]) -> Vec<f32> {
        let dim = self.heads * self.head_dim;
        let tokens = normed.len() / dim;
        let bias: Vec<f32> = bias.iter().map(|&bias| bias as f32).collect();
        let mut query_key = bias.repeat(tokens);
        gemm(
            self.norm1.isa,
            MatrixMut::contiguous(&mut query_key, tokens, 2 * dim),
            Matrix::contiguous(normed, tokens, dim),
            Matrix::contiguous(&self.weight, 2 * dim, dim).transposed(),
            1.0,
            Accumulate::Add,
        );
        query_key
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

    fn project_mean(
        &self,
        mut buffers: Buffers,
        key_bias: Option<&[f32]>,
        table: Option<Table>,
    ) -> MeanStatistics<'_> {
        let dim = self.heads * self.head_dim;
        let Buffers { mean, bias, mean_query_key, .. } = &mut buffers;
        bias.copy_from_slice(&self.bias);
        if let Some(key_bias) = key_bias {
            bias[dim..].iter_mut().zip(key_bias).for_each(|(bias, &c)| *bias += f64::from(c));
        }
        matrix_vector(self.norm1.isa, &self.weight, mean, bias, mean_query_key);
        MeanStatistics { of: self, buffers, table }
    }
}

/// Attention statistics of one image at one block from its mean token alone: the scores that are
/// means.
pub(crate) struct MeanStatistics<'a> {
    of: &'a QueryKey,
    buffers: Buffers,
    /// The bias that landmarks add to the logits, if it is included.
    table: Option<Table>,
}

impl Drop for MeanStatistics<'_> {
    fn drop(&mut self) {
        self.of.buffers.release(std::mem::take(&mut self.buffers));
    }
}

/// Attention statistics of one image at one block, including maps.
pub(crate) struct AttentionStatistics<'a> {
    pub(crate) mean: MeanStatistics<'a>,
    /// `[token, dim]`.
    block_input: &'a [f32],
    /// `[token, query | key]`, with the key bias added, if each query and key is normalised.
    normalised: Option<Vec<f32>>,
}

impl MeanStatistics<'_> {
    fn dim(&self) -> usize {
        self.of.heads * self.of.head_dim
    }

    /// The mean query over the score's tokens, `[head, head_dim]`.
    pub(crate) fn mean_query(&self) -> Vec<f32> {
        self.buffers.mean_query_key[..self.dim()].iter().map(|&query| query as f32).collect()
    }

    /// The mean over tokens of the normalised input, `[dim]`.
    pub(crate) fn mean_token(&self) -> Vec<f64> {
        self.buffers.mean.clone()
    }

    /// The bias that landmarks add to the logits, and the block's coefficients for it.
    fn landmark_bias(&self) -> Option<(&BlockBias, &Table)> {
        self.of.landmark_bias.as_ref().zip(self.table.as_ref())
    }

    /// The mean of one head over all token pairs, by the closed form.
    pub(crate) fn head_score(&self, head: usize) -> f64 {
        let (dim, width) = (self.dim(), self.of.head_dim);
        let query = &self.buffers.mean_query_key[head * width..][..width];
        let key = &self.buffers.mean_query_key[dim + head * width..][..width];
        let of_products = self.of.scale * query.iter().zip(key).map(|(q, k)| q * k).sum::<f64>();
        let bias = self.landmark_bias();
        of_products + bias.map_or(0.0, |(bias, table)| bias.mean(table, head))
    }

    /// The mean over heads of [`Self::head_score`]; over all heads it is `Q` (definitions §2).
    pub(crate) fn score(&self, heads: Range<usize>) -> f64 {
        let count = heads.len() as f64;
        heads.map(|head| self.head_score(head)).sum::<f64>() / count
    }
}

impl AttentionStatistics<'_> {
    /// The block's input, standardised, `[token, dim]`; needed only beyond the score.
    fn normed(&self) -> Vec<f32> {
        self.mean.of.standardised(self.block_input)
    }

    /// Mean attention of each token in one direction over `heads`, `[token]`, in O(N·D), plus O(N²)
    /// if a landmark bias is included.
    pub(crate) fn per_token(&self, direction: Direction, heads: Range<usize>) -> Vec<f32> {
        let mut means = self.mean_products(direction, heads.clone());
        if let Some((bias, table)) = self.mean.landmark_bias() {
            let mut sums = vec![0.0; means.len()];
            for head in heads.clone() {
                match direction {
                    Direction::Received => bias.add_received(table, head, &mut sums),
                    Direction::Paid => bias.add_paid(table, head, &mut sums),
                }
            }
            for (mean, sum) in means.iter_mut().zip(sums) {
                *mean += (sum / heads.len() as f64) as f32;
            }
        }
        means
    }

    fn mean_products(&self, direction: Direction, heads: Range<usize>) -> Vec<f32> {
        let MeanStatistics { of, buffers, .. } = &self.mean;
        let (dim, width) = (self.mean.dim(), of.head_dim);
        let outputs = heads.start * width..heads.end * width;
        // The side that is averaged, and the side that is kept per token.
        let (averaged, own) = match direction {
            Direction::Received => (0, dim),
            Direction::Paid => (dim, 0),
        };
        let averaged = &buffers.mean_query_key[averaged..][outputs.clone()];
        let factor = of.scale / heads.len() as f64;
        if let Some(normalised) = &self.normalised {
            let rows = normalised.chunks_exact(2 * dim).map(|row| &row[own..][outputs.clone()]);
            let products =
                rows.map(|row| averaged.iter().zip(row).map(|(a, &x)| a * f64::from(x)).sum());
            return products.map(|product: f64| (factor * product) as f32).collect();
        }
        let own = own + outputs.start..own + outputs.end;
        let constant: f64 =
            averaged.iter().zip(&buffers.bias[own.clone()]).map(|(a, b)| a * b).sum();
        let mut towards = vec![0.0f64; dim];
        let rows = of.weight[own.start * dim..own.end * dim].chunks_exact(dim);
        for (averaged, row) in averaged.iter().zip(rows) {
            let towards = towards.iter_mut().zip(row);
            towards.for_each(|(towards, &weight)| *towards += averaged * f64::from(weight));
        }
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
        let MeanStatistics { of, buffers, .. } = &self.mean;
        let (dim, width) = (self.mean.dim(), of.head_dim);
        let tokens = self.block_input.len() / dim;
        let isa = of.norm1.isa;
        let projected;
        let query_key = match &self.normalised {
            Some(normalised) => normalised,
            None => {
                projected = of.project(&self.normed(), &buffers.bias);
                &projected
            }
        };
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
            if let Some((bias, table)) = self.mean.landmark_bias() {
                bias.with_matrix(table, head, |bias| {
                    logits.iter_mut().zip(bias).for_each(|(logit, bias)| *logit += bias);
                });
            }
        }
        logits
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use attn_fiqa_kernels::Isa;

    use super::*;
    use crate::vit::config::ScoreTokens;
    use crate::vit::layer_norm::LayerNorm;

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
        let of_head = |token: usize, first: usize, norm: Option<&LayerNorm>| -> Vec<f64> {
            let mut values: Vec<f64> =
                (0..width).map(|d| projected(token, first + head * width + d)).collect();
            let Some(norm) = norm else { return values };
            let mean = values.iter().sum::<f64>() / width as f64;
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / width as f64;
            for (d, value) in values.iter_mut().enumerate() {
                let unit = (*value - mean) / (variance + f64::from(norm.eps)).sqrt();
                *value = unit * f64::from(norm.weight[d]) + f64::from(norm.bias[d]);
            }
            values
        };
        let norm = qk.qk_norm.as_ref();
        let query = of_head(i, 0, norm.map(|norm| &norm.query));
        let key = of_head(j, dim, norm.map(|norm| &norm.key));
        let products = query.iter().zip(&key).enumerate().map(|(d, (query, key))| {
            query * (key + key_bias.map_or(0.0, |bias| f64::from(bias[head * width + d])))
        });
        qk.scale * products.sum::<f64>()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn the_closed_form_is_the_mean_of_the_full_matrix(
            heads in 1usize..5, head_dim in 2usize..9, patches in 1usize..20,
            has_bias in any::<bool>(), has_key_bias in any::<bool>(), has_norm in any::<bool>(),
            (registers, of_patches) in (0usize..4, any::<bool>()), mut seed in any::<u64>(),
        ) {
            let dim = heads * head_dim;
            let isa = Isa::widest();
            let config = VitConfig {
                qkv_bias: has_bias,
                register_tokens: registers,
                qk_norm: has_norm,
                score_tokens: if of_patches { ScoreTokens::Patches } else { ScoreTokens::All },
                ..VitConfig::official(112, 16, dim, 1, heads)
            };
            let norm1 = Standardise { dim, eps: 1e-5, isa };
            let mut norm = || LayerNorm {
                weight: random(head_dim, &mut seed),
                bias: random(head_dim, &mut seed),
                // Not much less than the variance, which may be small if there are few values.
                eps: 0.01,
                isa,
            };
            let qk_norm = has_norm.then(|| QkNorm { query: norm(), key: norm(), heads });
            let bias = if has_bias { random(2 * dim, &mut seed) } else { vec![0.0; 2 * dim] };
            let weight = random(dim * 2 * dim, &mut seed);
            let qk = QueryKey::new(norm1, weight, &bias, qk_norm, &config);
            let key_bias = has_key_bias.then(|| random(dim, &mut seed));
            let input = random((registers + patches) * dim, &mut seed);
            let crop = Crop::from_rgb(1, vec![0; 3]).expect("a crop");
            let statistics = qk.statistics(&input, key_bias.as_deref(), &crop);

            // The tokens of the score: the mean is of the whole matrix or of that of the patches.
            let tokens = if of_patches { patches } else { registers + patches };
            let matrix = statistics.logits(0..heads);
            let normed = statistics.normed();
            prop_assert_eq!(normed.len(), tokens * dim);
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
            let exact = if has_norm { 1e-5 } else { 1e-6 };
            prop_assert!((statistics.mean.score(0..heads) - score).abs() < exact);
            for (direction, expected) in [(Direction::Received, received), (Direction::Paid, paid)] {
                let found = statistics.per_token(direction, 0..heads);
                let mean = found.iter().map(|&v| f64::from(v)).sum::<f64>() / tokens as f64;
                prop_assert!((mean - score).abs() < 1e-5, "the map's mean is the score");
                for (found, expected) in found.iter().zip(expected) {
                    prop_assert!((f64::from(*found) - expected).abs() < 2e-5);
                }
            }
        }
    }
}
