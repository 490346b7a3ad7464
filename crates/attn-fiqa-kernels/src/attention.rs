//! One head of self-attention, `softmax(scale · q·kᵀ + bias) · v`, without the full matrix of
//! logits.
//!
//! The head's keys and values are packed like weights. A block of queries is multiplied by all
//! keys, goes through the softmax and is multiplied by all values while its rows of logits are in
//! the L1 cache.

#[cfg(test)]
mod tests;

use std::cell::RefCell;

use crate::packed::kernel::{InputForm, select};
use crate::packed::{PackedWeights, Rows, as_bits};
use crate::quantize::{to_bf16, to_bf16_terms};
use crate::softmax::{scale_rows, softmax_numerators};
use crate::{Accumulate, Epilogue, Isa, Matrix, MatrixMut, Precision, gemm, softmax};

/// Most queries per block, if a tile of the packed product has no more rows: their logits stay in
/// the L1 cache.
const QUERIES: usize = 14;

/// The shape of `qkv`, `[token, (query | key | value), head, head_dim]`, and the scale of `q·k`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionShape {
    /// Number of heads.
    pub heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// The factor applied to the dot product of a query and a key.
    pub scale: f32,
}

/// The buffers of one head, one set per thread, so that a steady run allocates nothing.
struct Scratch {
    /// The scale of the logits. Queries are scaled when they are loaded, but in bf16.
    scale: f32,
    /// Queries per block: whole tiles.
    queries: usize,
    query_words: Vec<u32>,
    scaled_query: Vec<f32>,
    keys: PackedWeights,
    values: PackedWeights,
    logits: Vec<f32>,
    /// The rows of probabilities of a block as words, but in f32.
    probabilities: Vec<u32>,
    /// For bf16 only: the factor for each query of a block.
    inverses: Vec<f32>,
}

thread_local! {
    static SCRATCH: RefCell<Option<Scratch>> = const { RefCell::new(None) };
}

/// `softmax(scale · q·kᵀ + bias) · v` of one head: `qkv` `[token, 3 · heads · head_dim]` to
/// `out` `[token, head_dim]`.
///
/// `bias` is `[query token, key token]`, in f32 whatever the precision; `None` adds nothing.
///
/// With [`Precision::Bf16`] and [`Precision::Int8`], the operands of both products are bf16 if the
/// machine has a bf16 dot product, and f32 otherwise: the range of probabilities is too wide for
/// int8. [`Precision::Bf16x2`] is that of [`PackedWeights`].
///
/// # Panics
///
/// If `qkv` is not whole tokens, `bias` or `out` does not have the right length, or there is no
/// such head.
pub fn attention(
    isa: Isa,
    precision: Precision,
    qkv: &[f32],
    shape: &AttentionShape,
    head: usize,
    bias: Option<&[f32]>,
    out: &mut [f32],
) {
    let AttentionShape { heads, head_dim, scale } = *shape;
    let width = 3 * heads * head_dim;
    let tokens = qkv.len() / width;
    assert_eq!(tokens * width, qkv.len(), "qkv is not whole tokens");
    assert_eq!(tokens * head_dim, out.len(), "out and qkv have different numbers of tokens");
    assert!(head < heads, "head {head} of {heads}");
    assert!(
        bias.is_none_or(|bias| bias.len() == tokens * tokens),
        "the bias does not have one value per pair of tokens"
    );
    let start = |which: usize| (which * heads + head) * head_dim;
    match fused_precision(isa, precision) {
        Some(precision) => SCRATCH.with_borrow_mut(|scratch| {
            let scratch = Scratch::fitting(scratch, isa, precision, tokens, head_dim);
            let rows = |which: usize| {
                let from = start(which);
                qkv.chunks_exact(width).map(move |token| &token[from..from + head_dim])
            };
            scratch.load([rows(0), rows(1), rows(2)], scale);
            scratch.run(bias, out);
        }),
        None => {
            let part =
                |which: usize| Matrix::strided(&qkv[start(which)..], tokens, head_dim, width);
            attention_by_gemm(isa, [part(0), part(1), part(2)], scale, bias, out);
        }
    }
}

/// The precision of the fused kernel; `None` if the general matrix product is faster.
fn fused_precision(isa: Isa, precision: Precision) -> Option<Precision> {
    let bf16 = select(isa, Precision::Bf16).input() == InputForm::Bf16;
    match precision {
        Precision::Bf16 | Precision::Int8 if bf16 => Some(Precision::Bf16),
        Precision::Bf16x2 if isa.computes_in(precision) == precision => Some(precision),
        _ => isa.has_packed_f32().then_some(Precision::F32),
    }
}

impl Scratch {
    /// This thread's buffers, reallocated if the shape has changed.
    fn fitting(
        kept: &mut Option<Self>,
        isa: Isa,
        precision: Precision,
        tokens: usize,
        head_dim: usize,
    ) -> &mut Self {
        let fits = kept.as_ref().is_some_and(|kept| {
            kept.keys.is_like(isa, precision, head_dim, tokens)
                && kept.values.is_like(isa, precision, tokens, head_dim)
        });
        if !fits {
            *kept = None;
        }
        kept.get_or_insert_with(|| {
            let keys = PackedWeights::empty(isa, precision, head_dim, tokens);
            let tile = keys.tile_rows();
            let queries = QUERIES.max(tile) / tile * tile;
            Self {
                scale: 1.0,
                queries,
                query_words: Vec::new(),
                scaled_query: Vec::new(),
                keys,
                values: PackedWeights::empty(isa, precision, tokens, head_dim),
                logits: vec![0.0; queries.min(tokens) * tokens],
                probabilities: Vec::new(),
                inverses: vec![0.0; queries],
            }
        })
    }

    /// Packs one head's queries, keys and values, `[token][head_dim]` each.
    fn load<'a>(&mut self, rows: [impl Iterator<Item = &'a [f32]>; 3], scale: f32) {
        let [queries, keys, values] = rows;
        let (isa, head_dim) = (self.keys.isa(), self.keys.inputs());
        self.scale = scale;
        self.query_words.resize(self.keys.outputs() * self.keys.row_words(), 0);
        for (words, query) in self.query_words.chunks_exact_mut(self.keys.row_words()).zip(queries)
        {
            if self.keys.precision() == Precision::Bf16 {
                to_bf16(isa, query, head_dim, words);
                continue;
            }
            let scaled = query.iter().map(|query| query * scale);
            if self.keys.precision() == Precision::Bf16x2 {
                self.scaled_query.clear();
                self.scaled_query.extend(scaled);
                to_bf16_terms(isa, &self.scaled_query, head_dim, words);
            } else {
                words.iter_mut().zip(scaled).for_each(|(word, query)| *word = query.to_bits());
            }
        }
        self.keys.pack_outputs(keys);
        self.values.pack_inputs(values);
    }

    fn run(&mut self, bias: Option<&[f32]>, out: &mut [f32]) {
        let (tokens, head_dim) = (self.keys.outputs(), self.keys.inputs());
        let isa = self.keys.isa();
        let bf16 = self.keys.precision() == Precision::Bf16;
        let query_words = self.query_words.chunks(self.queries * self.keys.row_words());
        let blocks = query_words.zip(out.chunks_mut(self.queries * head_dim));
        for (block, (words, out)) in blocks.enumerate() {
            let count = out.len() / head_dim;
            let logits = &mut self.logits[..count * tokens];
            self.keys.multiply(Rows { words, params: &[], count }, logits, Epilogue::Overwrite);
            if let Some(bias) = bias {
                // Logits of bf16 are scaled by the softmax, and so is what was added to them.
                let unscaled = if bf16 { 1.0 / self.scale } else { 1.0 };
                let bias = &bias[block * self.queries * tokens..];
                logits.iter_mut().zip(bias).for_each(|(logit, bias)| *logit += unscaled * bias);
            }
            if !bf16 {
                softmax(isa, logits, tokens);
                let words = if self.values.precision() == Precision::Bf16x2 {
                    self.probabilities.resize(count * self.values.row_words(), 0);
                    to_bf16_terms(isa, logits, tokens, &mut self.probabilities);
                    &self.probabilities
                } else {
                    as_bits(logits)
                };
                self.values.multiply(Rows { words, params: &[], count }, out, Epilogue::Overwrite);
                continue;
            }
            self.probabilities.resize(count * self.values.row_words(), 0);
            let inverses = &mut self.inverses[..count];
            softmax_numerators(isa, logits, tokens, self.scale, &mut self.probabilities, inverses);
            let rows = Rows { words: &self.probabilities, params: &[], count };
            self.values.multiply(rows, out, Epilogue::Overwrite);
            scale_rows(isa, out, head_dim, inverses);
        }
    }
}

/// The same with the full matrix of logits, by the general matrix product.
fn attention_by_gemm(
    isa: Isa,
    [query, key, value]: [Matrix<'_>; 3],
    scale: f32,
    bias: Option<&[f32]>,
    out: &mut [f32],
) {
    thread_local! {
        static LOGITS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    }
    let (tokens, head_dim) = (query.rows, query.cols);
    LOGITS.with_borrow_mut(|logits| {
        logits.resize(tokens * tokens, 0.0);
        let onto = match bias {
            Some(bias) => {
                logits.copy_from_slice(bias);
                Accumulate::Add
            }
            None => Accumulate::Overwrite,
        };
        let scores = MatrixMut::contiguous(logits, tokens, tokens);
        gemm(isa, scores, query, key.transposed(), scale, onto);
        softmax(isa, logits, tokens);
        gemm(
            isa,
            MatrixMut::contiguous(out, tokens, head_dim),
            Matrix::contiguous(logits, tokens, tokens),
            value,
            1.0,
            Accumulate::Overwrite,
        );
    });
}
