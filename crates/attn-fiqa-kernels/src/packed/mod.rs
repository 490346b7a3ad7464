//! GEMM with a linear layer's weights packed once, in any precision.
//!
//! In BLIS's terms, `C[M, N] = A[M, K] · Wᵀ`: rows of A are rows of the input, N are the
//! outputs, K the inputs. The weights are packed into panels of [`NR`] = 32 outputs, `[K step,
//! 32]`, two AVX-512 registers per K step. A K step is one 32-bit word: one f32, two bf16 or
//! four bytes (`quantize`), the order that VNNI instructions take. All precisions share this
//! layout, so they share one loop and differ in one instruction.
//!
//! 1. `pack` packs the weights and quantizes them if asked.
//! 2. `PackedWeights::apply` converts the input's rows to words.
//! 3. `avx512`, `micro_tile` (the driver of `avx2` and `neon`) or `reference` multiplies and
//!    applies the epilogue: bias, residual, ReLU or ReLU6.
//!
//! Without a bf16 dot product, or with a slow one, the input's rows are f32 rounded to bf16, two
//! words per K step, and each panel of weights is widened to f32 once for all rows.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod interleave;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod micro_tile;
#[cfg(target_arch = "aarch64")]
mod neon;
mod pack;
mod reference;

use std::cell::RefCell;

use crate::Isa;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use crate::isa::Kind;
use crate::precision::{Epilogue, Precision};
use crate::quantize::{BF16_PER_WORD, QuantParams, quantize_rows, round_to_bf16, to_bf16};

/// Outputs per panel: two AVX-512 registers.
pub(crate) const NR: usize = 32;

/// One K step of a panel: the weights of 32 outputs for one word of the input, aligned to a
/// cache line.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct KStep(pub(crate) [u32; NR]);

/// Weights `[output, input]` in panels of 32 outputs, the last one padded with zeros.
#[derive(Debug, Clone)]
pub struct PackedWeights {
    isa: Isa,
    precision: Precision,
    inputs: usize,
    outputs: usize,
    /// K steps per panel.
    steps: usize,
    /// `[panel, K step]`.
    panels: Vec<KStep>,
    /// `[panel · 32]`; zeros if the layer has none.
    bias: Vec<f32>,
    /// For int8 only, `[panel · 32]`: the scale of each output's weights.
    scales: Vec<f32>,
    /// For int8 only, `[panel · 32]`: the sum of each output's quantized weights, which cancels the
    /// input's zero point from the product.
    weight_sums: Vec<i32>,
}

/// Rows of the input, converted to words.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    /// `[row, K step · words per step]`.
    pub(crate) words: &'a [u32],
    /// For int8 only, one per row.
    pub(crate) params: &'a [QuantParams],
    pub(crate) count: usize,
}

/// One per thread, so that a steady run allocates nothing.
#[derive(Default)]
struct Scratch {
    words: Vec<u32>,
    params: Vec<QuantParams>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl PackedWeights {
    /// Inputs of the layer: K.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Outputs of the layer: N.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// The bias, `[output]`; zeros if the layer has none.
    pub fn bias(&self) -> &[f32] {
        &self.bias[..self.outputs]
    }

    /// The precision of the operands.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    pub(crate) fn isa(&self) -> Isa {
        self.isa
    }

    /// Words of an input row: one per K step, or two where bf16 is widened to f32.
    pub(crate) fn row_words(&self) -> usize {
        let widened = self.precision == Precision::Bf16 && !self.isa.has_bf16_dot();
        self.steps * if widened { BF16_PER_WORD } else { 1 }
    }

    /// Whether weights of this precision and shape have the same layout.
    pub(crate) fn is_like(
        &self,
        isa: Isa,
        precision: Precision,
        inputs: usize,
        outputs: usize,
    ) -> bool {
        (self.isa, self.precision, self.inputs, self.outputs) == (isa, precision, inputs, outputs)
    }

    /// `out = epilogue(x · weightᵀ + bias)`; `x` is `[row, input]`, `out` `[row, output]`.
    ///
    /// The bits of a row do not depend on the other rows. int8 gives the same bits on every
    /// instruction set; f32 and bf16 sums differ in their last digits.
    ///
    /// # Panics
    ///
    /// If `x` and `out` do not have the same number of whole rows.
    pub fn apply(&self, x: &[f32], out: &mut [f32], epilogue: Epilogue) {
        let rows = x.len() / self.inputs;
        assert_eq!(rows * self.inputs, x.len(), "x is not whole rows");
        assert_eq!(rows * self.outputs, out.len(), "out has another number of rows than x");
        if self.precision == Precision::F32 {
            let words = as_bits(x);
            return self.multiply(Rows { words, params: &[], count: rows }, out, epilogue);
        }
        SCRATCH.with_borrow_mut(|Scratch { words, params }| {
            // Only grown: otherwise it would have to be cleared again after a smaller layer.
            let needed = rows * self.row_words();
            if words.len() < needed {
                words.resize(needed, 0);
            }
            let words = &mut words[..needed];
            match self.precision {
                Precision::Int8 => {
                    params.resize(rows, QuantParams::default());
                    quantize_rows(self.isa, x, self.inputs, words, params);
                }
                _ if self.isa.has_bf16_dot() => to_bf16(self.isa, x, self.inputs, words),
                _ => round_to_bf16(self.isa, x, self.inputs, words),
            }
            self.multiply(Rows { words, params, count: rows }, out, epilogue);
        });
    }

    /// As [`Self::apply`], for rows that have been converted to words.
    pub(crate) fn multiply(&self, rows: Rows<'_>, out: &mut [f32], epilogue: Epilogue) {
        #[cfg(target_arch = "x86_64")]
        match (self.precision, self.isa.0) {
            (Precision::F32, Kind::Avx512 | Kind::Avx512Vnni | Kind::Avx512Bf16) => {
                // SAFETY: an `Isa` of these kinds exists only where AVX-512F was detected.
                return unsafe { avx512::multiply_f32(self, rows, out, epilogue) };
            }
            (Precision::Bf16, Kind::Avx512 | Kind::Avx512Vnni) => {
                // SAFETY: an `Isa` of these kinds exists only where AVX-512F was detected.
                return unsafe { avx512::multiply_bf16_widened(self, rows, out, epilogue) };
            }
            (Precision::Bf16, Kind::Avx512Bf16) => {
                // SAFETY: this kind exists only where AVX-512F and its bf16 part were detected.
                return unsafe { avx512::multiply_bf16(self, rows, out, epilogue) };
            }
            (Precision::Int8, Kind::Avx512Vnni | Kind::Avx512Bf16) => {
                // SAFETY: these kinds exist only where AVX-512F and VNNI were detected.
                return unsafe { avx512::multiply_int8(self, rows, out, epilogue) };
            }
            (Precision::F32 | Precision::Bf16, Kind::Avx2) => {
                // SAFETY: this kind and all that follow it exist only where AVX2 and FMA
                // were detected.
                let run = |tile: &mut micro_tile::MicroTile<'_, f32, { micro_tile::MR_F32 }>| unsafe {
                    avx2::multiply_f32(tile)
                };
                return micro_tile::f32_tiles(self, rows, out, epilogue, run);
            }
            (Precision::Int8, Kind::Avx2 | Kind::Avx512) => {
                // SAFETY: as above.
                let run = |tile: &mut micro_tile::MicroTile<'_, i32, { micro_tile::MR_INT8 }>| unsafe {
                    avx2::multiply_int8(tile)
                };
                return micro_tile::int8_tiles(self, rows, out, epilogue, run);
            }
            (_, Kind::Baseline) => {}
        }
        #[cfg(target_arch = "aarch64")]
        match (self.precision, self.isa.0) {
            (Precision::F32 | Precision::Bf16, Kind::Neon) => {
                return micro_tile::f32_tiles(self, rows, out, epilogue, neon::multiply_f32);
            }
            _ => {}
        }
        reference::multiply(self, rows, out, epilogue);
    }

    /// The K steps of one panel.
    fn panel(&self, panel: usize) -> &[KStep] {
        &self.panels[panel * self.steps..][..self.steps]
    }
}

/// Widens K steps of two bf16 to twice as many of one f32, into the front of `wide`.
#[inline(always)]
pub(crate) fn widen<'a>(steps: &[KStep], wide: &'a mut [KStep]) -> &'a [KStep] {
    let wide = &mut wide[..BF16_PER_WORD * steps.len()];
    let (pairs, _) = wide.as_chunks_mut::<BF16_PER_WORD>();
    for (KStep(words), [low, high]) in steps.iter().zip(pairs) {
        low.0.iter_mut().zip(words).for_each(|(low, word)| *low = word << 16);
        high.0.iter_mut().zip(words).for_each(|(high, word)| *high = word & 0xffff_0000);
    }
    wide
}

/// The bits of f32 values as words.
pub(crate) fn as_bits(values: &[f32]) -> &[u32] {
    // SAFETY: f32 and u32 have one size and alignment, and every pattern is a u32.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), values.len()) }
}
