//! GEMM with a linear layer's weights packed once, in any precision.
//!
//! In BLIS's terms, `C[M, N] = A[M, K] · Wᵀ`: rows of A are rows of the input, N are the outputs, K
//! the inputs. The weights are packed into panels of [`NR`] = 32 outputs, `[K step, 32]`, two
//! AVX-512 registers per K step. A K step is one 32-bit word: one f32, two bf16 or four bytes
//! (`quantize`), the order that VNNI instructions take. All precisions share this layout, so they
//! share one loop and differ in one instruction. bf16x2 alternates 16 K steps of high terms and 16
//! of low terms: AMX tiles.
//!
//! 1. `pack` packs the weights and quantizes them if asked.
//! 2. `PackedWeights::apply` converts the input's rows to words.
//! 3. A `Kernel` multiplies and applies the epilogue: bias, residual, ReLU or ReLU6. The file of
//!    each instruction set, `amx`, `avx512`, `avx2`, `neon`, `neon_bytes` and `reference`, declares
//!    its kernels, most of them by the algorithm of `register_tile`; `kernel` lists them, fastest
//!    first.
//!
//! Without a bf16 dot product, or with a slow one, the input's rows are f32 rounded to bf16, two
//! words per K step, and each panel of weights is widened to f32 once for all rows.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod epilogue;
mod interleave;
pub(crate) mod kernel;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "aarch64")]
mod neon_bytes;
mod pack;
mod reference;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod register_tile;
mod simd;
#[cfg(test)]
mod tests;

use std::cell::RefCell;

use crate::Isa;
use crate::matrix::ColumnsMut;
use crate::precision::{Epilogue, Precision};
use crate::quantize::{
    QuantParams, quantize_rows, quantize_widened_rows, round_to_bf16, to_bf16, to_bf16_terms,
};
#[cfg(target_arch = "x86_64")]
pub(crate) use amx::Tiles;
use kernel::{InputForm, Kernel, Product};

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
    kernel: &'static dyn Kernel,
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
    /// For int8 only, `[panel · 32]`: the sum of each output's quantized weights, which removes the
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

/// Buffers for the words of an input.
#[derive(Default)]
struct Scratch {
    words: Vec<u32>,
    params: Vec<QuantParams>,
}

impl Scratch {
    /// Calls `work` with buffers of this thread, so that nothing is allocated in the steady state.
    /// A task that waits for others may run another task meanwhile, which then gets its own
    /// buffers.
    fn with<R>(work: impl FnOnce(&mut Self) -> R) -> R {
        thread_local! {
            static FREE: RefCell<Vec<Scratch>> = const { RefCell::new(Vec::new()) };
        }
        let mut scratch = FREE.with_borrow_mut(Vec::pop).unwrap_or_default();
        let result = work(&mut scratch);
        FREE.with_borrow_mut(|free| free.push(scratch));
        result
    }
}

/// Rows of an input, converted for some [`PackedWeights`].
#[derive(Clone, Copy)]
pub struct PackedInput<'a> {
    weights: &'a PackedWeights,
    rows: Rows<'a>,
}

impl PackedInput<'_> {
    /// `out = epilogue(x · weightᵀ + bias)` for the columns of `out`, which is `[row, output]`.
    ///
    /// The bits of a column do not depend on the other columns.
    ///
    /// # Panics
    ///
    /// If `out` has a different number of rows, or its columns are not outputs or do not start at a
    /// multiple of [`PackedWeights::PANEL`].
    pub fn multiply(self, mut out: ColumnsMut<'_>, epilogue: Epilogue) {
        let Self { weights, rows } = self;
        assert_eq!(rows.count, out.rows(), "out and the input differ in rows");
        weights.run(rows, &mut out, epilogue);
    }
}

impl PackedWeights {
    /// Outputs that are computed together.
    pub const PANEL: usize = NR;

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

    /// The name of the kernel that multiplies, such as `avx512 f32`.
    pub fn kernel_name(&self) -> &'static str {
        self.kernel.name()
    }

    pub(crate) fn isa(&self) -> Isa {
        self.isa
    }

    /// Words of an input row: one per K step, or two where its values are widened.
    pub(crate) fn row_words(&self) -> usize {
        self.steps * self.kernel.input().words_per_step()
    }

    /// The rows that the kernel computes together: MR.
    pub(crate) fn tile_rows(&self) -> usize {
        let [rows, _] = self.kernel.tile();
        rows
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
        assert!(x.len().is_multiple_of(self.inputs), "x is not whole rows");
        let rows = x.len() / self.inputs;
        assert_eq!(rows * self.outputs, out.len(), "out and x differ in rows");
        let out = ColumnsMut::new(out, self.outputs);
        self.with_input(x, |input| input.multiply(out, epilogue));
    }

    /// Converts the rows of `x` `[row, input]` once and passes them to `work`, which may multiply
    /// parts of the outputs on several threads.
    ///
    /// # Panics
    ///
    /// If `x` does not consist of whole rows.
    pub fn with_input<R>(&self, x: &[f32], work: impl FnOnce(PackedInput<'_>) -> R) -> R {
        let count = x.len() / self.inputs;
        assert_eq!(count * self.inputs, x.len(), "x is not whole rows");
        let form = self.kernel.input();
        if form == InputForm::F32 {
            let rows = Rows { words: as_bits(x), params: &[], count };
            return work(PackedInput { weights: self, rows });
        }
        Scratch::with(|Scratch { words, params }| {
            // Never shrunk: otherwise it would have to be cleared again after a smaller layer.
            let needed = count * self.row_words();
            if words.len() < needed {
                words.resize(needed, 0);
            }
            let words = &mut words[..needed];
            params.clear();
            match form {
                InputForm::F32 => unreachable!("f32 is not converted: this is a bug"),
                InputForm::RoundedToBf16 => round_to_bf16(self.isa, x, self.inputs, words),
                InputForm::Bf16 => to_bf16(self.isa, x, self.inputs, words),
                InputForm::Bf16Terms => to_bf16_terms(self.isa, x, self.inputs, words),
                InputForm::Bytes => {
                    params.resize(count, QuantParams::default());
                    quantize_rows(self.isa, x, self.inputs, words, params);
                }
                InputForm::WidenedBytes => {
                    params.resize(count, QuantParams::default());
                    quantize_widened_rows(self.isa, x, self.inputs, words, params);
                }
            }
            work(PackedInput { weights: self, rows: Rows { words, params, count } })
        })
    }

    /// Like [`Self::apply`], for rows that have been converted to words.
    pub(crate) fn multiply(&self, rows: Rows<'_>, out: &mut [f32], epilogue: Epilogue) {
        self.run(rows, &mut ColumnsMut::new(out, self.outputs), epilogue);
    }

    fn run(&self, rows: Rows<'_>, out: &mut ColumnsMut<'_>, epilogue: Epilogue) {
        let product = Product { weights: self, rows, epilogue };
        product.check(out);
        // SAFETY: the kernel was selected for an `Isa` with its features, which exists only where
        // they were detected, and the operands were checked.
        unsafe { self.kernel.run(&product, out) };
    }

    /// The K steps of one panel.
    fn panel(&self, panel: usize) -> &[KStep] {
        &self.panels[panel * self.steps..][..self.steps]
    }
}

/// The bits of f32 values as words.
pub(crate) fn as_bits(values: &[f32]) -> &[u32] {
    // SAFETY: f32 and u32 have the same size and alignment, and every bit pattern is a u32.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), values.len()) }
}
