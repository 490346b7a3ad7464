//! The NEON kernels for f32 and bf16: tiles of six rows and sixteen outputs, with sums in 24 of the
//! 32 registers.

use std::arch::aarch64::*;

use super::register_tile::{Dot, register_kernel};
use super::simd::{FloatLanes, Simd};

register_kernel! {
    /// f32 by fused multiply–adds.
    F32: F32 as F32,
    name: "neon f32",
    features: [Neon], enabled by "neon",
    tile: f32_tile of 4 registers of NeonRegisters, dot: MultiplyAdd, at bias: false,
    steps: usize::MAX,
    rows: [6, 5, 4, 3, 2, 1],
}

register_kernel! {
    /// bf16 by fused multiply–adds of f32: a panel is widened once for all rows.
    Bf16Widened: Bf16 as RoundedToBf16,
    name: "neon bf16 widened",
    features: [Neon], enabled by "neon",
    tile: f32_tile of 4 registers of NeonRegisters, dot: MultiplyAdd, at bias: false,
    steps: usize::MAX,
    rows: [6, 5, 4, 3, 2, 1],
}

/// Registers of 4 lanes.
pub(super) struct NeonRegisters;

impl FloatLanes for NeonRegisters {
    type F32 = float32x4_t;
    type Words = uint32x4_t;
    type Mask = usize;

    #[inline(always)]
    unsafe fn splat(value: f32) -> float32x4_t {
        // SAFETY: by the trait's contract, as below.
        unsafe { vdupq_n_f32(value) }
    }

    #[inline(always)]
    unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: as above.
        unsafe { vaddq_f32(a, b) }
    }

    #[inline(always)]
    unsafe fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: as above.
        unsafe { vmulq_f32(a, b) }
    }

    #[inline(always)]
    unsafe fn max(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: as above.
        unsafe { vbslq_f32(vcgtq_f32(a, b), a, b) }
    }

    #[inline(always)]
    unsafe fn min(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: as above.
        unsafe { vbslq_f32(vcltq_f32(a, b), a, b) }
    }

    #[inline(always)]
    fn first(count: usize) -> usize {
        count
    }

    #[inline(always)]
    unsafe fn load(place: *const f32, count: usize) -> float32x4_t {
        // SAFETY: as above; the array holds a register, and no more lanes are read than asked for.
        unsafe {
            if count >= Self::LANES {
                return vld1q_f32(place);
            }
            let mut lanes = [0.0; Self::LANES];
            place.copy_to_nonoverlapping(lanes.as_mut_ptr(), count);
            vld1q_f32(lanes.as_ptr())
        }
    }

    #[inline(always)]
    unsafe fn to_f32(words: uint32x4_t) -> float32x4_t {
        // SAFETY: as above.
        unsafe { vcvtq_f32_s32(vreinterpretq_s32_u32(words)) }
    }
}

impl Simd for NeonRegisters {
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn store(place: *mut f32, count: usize, values: float32x4_t) {
        // SAFETY: as above; the array holds a register, and no more lanes are written than asked
        // for.
        unsafe {
            if count >= Self::LANES {
                return vst1q_f32(place, values);
            }
            let mut lanes = [0.0; Self::LANES];
            vst1q_f32(lanes.as_mut_ptr(), values);
            place.copy_from_nonoverlapping(lanes.as_ptr(), count);
        }
    }

    #[inline(always)]
    unsafe fn splat_words(word: u32) -> uint32x4_t {
        // SAFETY: as above.
        unsafe { vdupq_n_u32(word) }
    }

    #[inline(always)]
    unsafe fn load_words(place: *const u32) -> uint32x4_t {
        // SAFETY: as above.
        unsafe { vld1q_u32(place) }
    }

    #[inline(always)]
    unsafe fn store_words(place: *mut u32, words: uint32x4_t) {
        // SAFETY: as above.
        unsafe { vst1q_u32(place, words) }
    }

    #[inline(always)]
    unsafe fn mul_words(a: uint32x4_t, b: uint32x4_t) -> uint32x4_t {
        // SAFETY: as above.
        unsafe { vmulq_u32(a, b) }
    }

    #[inline(always)]
    unsafe fn negate_words(words: uint32x4_t) -> uint32x4_t {
        // SAFETY: as above.
        unsafe { vsubq_u32(vdupq_n_u32(0), words) }
    }

    #[inline(always)]
    unsafe fn upper_halves(words: uint32x4_t) -> uint32x4_t {
        // SAFETY: as above.
        unsafe { vandq_u32(words, vdupq_n_u32(0xffff_0000)) }
    }

    #[inline(always)]
    unsafe fn lower_halves(words: uint32x4_t) -> uint32x4_t {
        // SAFETY: as above.
        unsafe { vshlq_n_u32::<16>(words) }
    }

    #[inline(always)]
    unsafe fn as_f32(words: uint32x4_t) -> float32x4_t {
        // SAFETY: as above.
        unsafe { vreinterpretq_f32_u32(words) }
    }

    #[inline(always)]
    unsafe fn as_words(values: float32x4_t) -> uint32x4_t {
        // SAFETY: as above.
        unsafe { vreinterpretq_u32_f32(values) }
    }
}

struct MultiplyAdd;

impl Dot<NeonRegisters> for MultiplyAdd {
    type Weights = uint32x4_t;

    #[inline(always)]
    unsafe fn prepare(weights: uint32x4_t) -> uint32x4_t {
        weights
    }

    #[inline(always)]
    unsafe fn dot(sums: uint32x4_t, x: uint32x4_t, weights: uint32x4_t) -> uint32x4_t {
        // SAFETY: by the trait's contract.
        unsafe {
            let (x, weights) = (vreinterpretq_f32_u32(x), vreinterpretq_f32_u32(weights));
            vreinterpretq_u32_f32(vfmaq_f32(vreinterpretq_f32_u32(sums), weights, x))
        }
    }
}
