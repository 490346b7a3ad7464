//! Masked access to AVX-512 registers, for the remainder of a row.

use std::arch::x86_64::*;

/// 32-bit lanes of a register.
pub(crate) const LANES: usize = 16;

/// A mask of the first `count` lanes.
#[inline]
pub(crate) fn mask(count: usize) -> __mmask16 {
    if count >= LANES { __mmask16::MAX } else { (1 << count) - 1 }
}

/// Up to 16 values, padded with zeros.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) fn load(values: &[f32]) -> __m512 {
    // SAFETY: lanes outside the mask are not read.
    unsafe { _mm512_maskz_loadu_ps(mask(values.len()), values.as_ptr()) }
}
