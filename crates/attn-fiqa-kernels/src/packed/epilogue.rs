//! What happens to sums of products before they are stored, for any register: dequantization, bias,
//! residual and activation. Every kernel uses these, so kernels differ only in their sums.

use super::simd::FloatLanes;
use crate::precision::Epilogue;

/// Sums of quantized products, from which the zero point's part was subtracted, as f32.
///
/// # Safety
///
/// That of [`FloatLanes`].
#[inline(always)]
pub(super) unsafe fn dequantize<S: FloatLanes>(
    sums: S::Words,
    row_scale: S::F32,
    weight_scales: S::F32,
) -> S::F32 {
    // SAFETY: by the contract.
    unsafe { S::mul(S::to_f32(sums), S::mul(row_scale, weight_scales)) }
}

/// `values`, or with `ADDS` the values of `before` in `mask` plus `values`.
///
/// # Safety
///
/// That of [`FloatLanes`].
#[inline(always)]
pub(super) unsafe fn residual<S: FloatLanes, const ADDS: bool>(
    before: *const f32,
    mask: S::Mask,
    values: S::F32,
) -> S::F32 {
    // SAFETY: by the contract.
    unsafe { if ADDS { S::add(S::load(before, mask), values) } else { values } }
}

/// The activation, as the range that it clamps to. Every epilogue has one, even if it is infinite,
/// because a branch would spill the sums. NaN stays NaN.
pub(super) struct Activation<S: FloatLanes> {
    low: S::F32,
    high: S::F32,
}

impl<S: FloatLanes> Activation<S> {
    /// # Safety
    ///
    /// That of [`FloatLanes`].
    #[inline(always)]
    pub(super) unsafe fn new(epilogue: Epilogue) -> Self {
        let [low, high] = match epilogue {
            Epilogue::Overwrite | Epilogue::Add => [f32::NEG_INFINITY, f32::INFINITY],
            Epilogue::Relu | Epilogue::AddRelu => [0.0, f32::INFINITY],
            Epilogue::Relu6 => [0.0, 6.0],
        };
        // SAFETY: by the contract.
        unsafe { Self { low: S::splat(low), high: S::splat(high) } }
    }

    /// # Safety
    ///
    /// That of [`FloatLanes`].
    #[inline(always)]
    pub(super) unsafe fn apply(&self, values: S::F32) -> S::F32 {
        // SAFETY: by the contract.
        unsafe { S::min(self.high, S::max(self.low, values)) }
    }
}
