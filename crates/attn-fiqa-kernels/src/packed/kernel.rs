//! What a kernel is, and which one an instruction set uses.

use std::fmt::Debug;

use super::{PackedWeights, Rows};
use crate::Isa;
use crate::cpu_features::CpuFeatures;
use crate::matrix::ColumnsMut;
use crate::precision::{Epilogue, Precision};

/// The product of rows with packed weights, using certain features of the processor.
///
/// All kernels take the same panels; they differ in the form of the input, in the tile that they
/// compute at a time, and in their instructions. A row's sums must not depend on the other rows or
/// on which panels are computed together.
pub(crate) trait Kernel: Debug + Sync {
    /// A name for reports: the instruction set and the precision.
    fn name(&self) -> &'static str;

    /// The precision of the weights.
    fn precision(&self) -> Precision;

    /// The form of the input's rows.
    fn input(&self) -> InputForm;

    /// The features that it needs.
    fn features(&self) -> CpuFeatures;

    /// Rows and outputs of a tile: MR and NR in BLIS's terms.
    fn tile(&self) -> [usize; 2];

    /// Multiplies the rows by the panels of the columns of `out` and applies the epilogue.
    ///
    /// # Safety
    ///
    /// [`Kernel::features`] must have been detected, and [`Product::check`] must have passed.
    unsafe fn run(&self, product: &Product<'_>, out: &mut ColumnsMut<'_>);
}

/// Words that a word becomes when its values are widened.
pub(crate) const WIDENED_WORDS: usize = 2;

/// The form of a row of the input: words in the order of the K steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InputForm {
    /// One f32 per word.
    F32,
    /// One f32 per word, rounded to bf16; weights in bf16 are widened to f32.
    RoundedToBf16,
    /// Two bf16 per word.
    Bf16,
    /// Values as sums of two bf16, in groups of words: the high terms of 32 values, two per word,
    /// then their low terms. The last group is padded with zeros.
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(dead_code, reason = "only kernels of x86-64 take it")
    )]
    Bf16Terms,
    /// Four unsigned bytes per word, and a scale and zero point per row.
    Bytes,
    /// These bytes, first the even and then the odd ones, as two 16-bit integers per word; weights
    /// are widened in the same way.
    #[cfg_attr(target_arch = "aarch64", expect(dead_code, reason = "no NEON kernel widens bytes"))]
    WidenedBytes,
}

impl InputForm {
    /// Words of a row per K step of the weights.
    pub(crate) fn words_per_step(self) -> usize {
        match self {
            Self::RoundedToBf16 | Self::WidenedBytes => WIDENED_WORDS,
            Self::F32 | Self::Bf16 | Self::Bf16Terms | Self::Bytes => 1,
        }
    }

    /// Whether each row has a scale and zero point.
    fn is_quantized(self) -> bool {
        matches!(self, Self::Bytes | Self::WidenedBytes)
    }
}

/// The operands of [`Kernel::run`].
#[derive(Clone, Copy)]
pub(crate) struct Product<'a> {
    pub(super) weights: &'a PackedWeights,
    pub(super) rows: Rows<'a>,
    pub(super) epilogue: Epilogue,
}

impl Product<'_> {
    /// Checks what the kernels' pointers rely on.
    pub(super) fn check(&self, out: &ColumnsMut<'_>) {
        let Self { weights, rows, .. } = self;
        let words = rows.count.checked_mul(weights.row_words());
        assert!(words.is_some_and(|words| words <= rows.words.len()), "rows exceed their words");
        let params = if weights.kernel.input().is_quantized() { rows.count } else { 0 };
        assert_eq!(rows.params.len(), params, "one set of parameters per row: this is a bug");
        assert!(rows.count <= out.rows(), "rows exceed out");
        assert!(out.columns().end <= weights.outputs, "columns exceed the outputs");
        assert!(out.columns().start.is_multiple_of(super::NR), "columns start within a panel");
    }
}

/// Every kernel for this target; if a machine can run several, the first is the fastest.
static KERNELS: &[&dyn Kernel] = &[
    #[cfg(target_arch = "x86_64")]
    &super::amx::Bf16x2,
    #[cfg(target_arch = "x86_64")]
    &super::amx::Bf16,
    #[cfg(target_arch = "x86_64")]
    &super::amx::Int8,
    #[cfg(target_arch = "x86_64")]
    &super::avx512::F32,
    #[cfg(target_arch = "x86_64")]
    &super::avx512::Bf16x2,
    #[cfg(target_arch = "x86_64")]
    &super::avx512::Bf16,
    #[cfg(target_arch = "x86_64")]
    &super::avx512::Bf16Widened,
    #[cfg(target_arch = "x86_64")]
    &super::avx512::Int8,
    #[cfg(target_arch = "x86_64")]
    &super::avx2::F32,
    #[cfg(target_arch = "x86_64")]
    &super::avx2::Bf16Widened,
    #[cfg(target_arch = "x86_64")]
    &super::avx2::Int8Vnni,
    #[cfg(target_arch = "x86_64")]
    &super::avx2::Int8,
    #[cfg(target_arch = "aarch64")]
    &super::neon::F32,
    #[cfg(target_arch = "aarch64")]
    &super::neon::Bf16Widened,
    #[cfg(target_arch = "aarch64")]
    &super::neon_bytes::Int8Matrix,
    #[cfg(target_arch = "aarch64")]
    &super::neon_bytes::Int8,
    &super::reference::F32,
    &super::reference::Bf16Widened,
    &super::reference::Int8,
];

/// The kernels that an instruction set can run, fastest first for each precision.
pub(crate) fn available(isa: Isa) -> impl Iterator<Item = &'static dyn Kernel> {
    KERNELS.iter().copied().filter(move |kernel| isa.features().contains_all(kernel.features()))
}

/// The fastest kernel of an instruction set for a precision. If no kernel computes bf16x2, it is
/// one for f32: without a bf16 dot product, bf16x2 gains nothing.
pub(crate) fn select(isa: Isa, precision: Precision) -> &'static dyn Kernel {
    let of = |precision| available(isa).find(|kernel| kernel.precision() == precision);
    let found =
        of(precision).or_else(|| of(Precision::F32).filter(|_| precision == Precision::Bf16x2));
    found.expect("the reference serves every other precision: this is a bug")
}
