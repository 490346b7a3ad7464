//! The AVX-512 kernels: tiles of 14 rows and one panel of 32 outputs.
//!
//! A tile keeps its 28 accumulators in registers over a block of K steps, so every loaded weight is
//! used 14 times and every loaded input 32 times: 28 multiply–adds for 16 loads, which two load
//! ports hide. With two weights and one input, 31 of the 32 registers are used. Seven tiles cover
//! the 98 rows that the published networks are split into.

use std::arch::x86_64::*;

use super::register_tile::{Dot, Tile, k_loop_bf16x2, register_kernel};
use super::simd::{FloatLanes, Simd};
use crate::lanes::{LANES, mask};
use crate::quantize::TERM_WORDS;

/// K steps of f32 and bf16 per block: 64 KiB of a panel stay in the L2 cache and 28 KiB of a tile's
/// rows in the L1 cache. A multiple of the groups of terms.
const KC: usize = 512;
const _: () = assert!(KC.is_multiple_of(2 * TERM_WORDS));

register_kernel! {
    /// f32 by fused multiply–adds.
    F32: F32 as F32,
    name: "avx512 f32",
    features: [Avx512f], enabled by "avx512f",
    tile: f32_tile of 2 registers of Avx512, dot: MultiplyAdd, at bias: true,
    steps: KC,
    rows: [14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1],
}

register_kernel! {
    /// bf16x2 by dot products of two bf16, four for each pair of products, summed in f32.
    Bf16x2: Bf16x2 as Bf16Terms,
    name: "avx512 bf16x2",
    features: [Avx512f, Avx512Bf16], enabled by "avx512f,avx512bf16",
    tile: f32_tile of 2 registers of Avx512, dot: Bf16x2Dot, at bias: true,
    steps: KC,
    rows: [14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1],
}

register_kernel! {
    /// bf16 by dot products of two, summed in f32.
    Bf16: Bf16 as Bf16,
    name: "avx512 bf16",
    features: [Avx512f, Avx512Bf16], enabled by "avx512f,avx512bf16",
    tile: f32_tile of 2 registers of Avx512, dot: Bf16Dot, at bias: true,
    steps: KC,
    rows: [14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1],
}

register_kernel! {
    /// bf16 by fused multiply–adds of f32: a block of a panel is widened once for all rows.
    Bf16Widened: Bf16 as RoundedToBf16,
    name: "avx512 bf16 widened",
    features: [Avx512f], enabled by "avx512f",
    tile: f32_tile of 2 registers of Avx512, dot: MultiplyAdd, at bias: true,
    steps: KC,
    rows: [14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1],
}

register_kernel! {
    /// int8 by dot products of four, summed in i32.
    Int8: Int8 as Bytes,
    name: "avx512 int8",
    features: [Avx512f, Avx512Vnni], enabled by "avx512f,avx512vnni",
    tile: int8_tile of 2 registers of Avx512, dot: Int8Dot,
    steps: usize::MAX,
    rows: [14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1],
}

/// Registers of 16 lanes.
pub(super) struct Avx512;

impl FloatLanes for Avx512 {
    type F32 = __m512;
    type Words = __m512i;
    type Mask = __mmask16;

    #[inline(always)]
    unsafe fn splat(value: f32) -> __m512 {
        // SAFETY: by the trait's contract, as below.
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn max(a: __m512, b: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_max_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn min(a: __m512, b: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_min_ps(a, b) }
    }

    #[inline(always)]
    fn first(count: usize) -> __mmask16 {
        mask(count)
    }

    #[inline(always)]
    unsafe fn load(place: *const f32, mask: __mmask16) -> __m512 {
        // SAFETY: as above; lanes outside the mask are not read.
        unsafe { _mm512_maskz_loadu_ps(mask, place) }
    }

    #[inline(always)]
    unsafe fn to_f32(words: __m512i) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_cvtepi32_ps(words) }
    }
}

impl Simd for Avx512 {
    const LANES: usize = LANES;

    #[inline(always)]
    unsafe fn store(place: *mut f32, mask: __mmask16, values: __m512) {
        // SAFETY: as above; lanes outside the mask are not written.
        unsafe { _mm512_mask_storeu_ps(place, mask, values) }
    }

    #[inline(always)]
    unsafe fn splat_words(word: u32) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_set1_epi32(word as i32) }
    }

    #[inline(always)]
    unsafe fn load_words(place: *const u32) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_loadu_si512(place.cast()) }
    }

    #[inline(always)]
    unsafe fn store_words(place: *mut u32, words: __m512i) {
        // SAFETY: as above.
        unsafe { _mm512_storeu_si512(place.cast(), words) }
    }

    #[inline(always)]
    unsafe fn mul_words(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_mullo_epi32(a, b) }
    }

    #[inline(always)]
    unsafe fn negate_words(words: __m512i) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_sub_epi32(_mm512_setzero_si512(), words) }
    }

    #[inline(always)]
    unsafe fn upper_halves(words: __m512i) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_and_si512(words, _mm512_set1_epi32(0xffff_0000_u32 as i32)) }
    }

    #[inline(always)]
    unsafe fn lower_halves(words: __m512i) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_slli_epi32::<16>(words) }
    }

    #[inline(always)]
    unsafe fn as_f32(words: __m512i) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_castsi512_ps(words) }
    }

    #[inline(always)]
    unsafe fn as_words(values: __m512) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_castps_si512(values) }
    }

    #[inline(always)]
    fn prefetch(place: *const u8) {
        // SAFETY: a prefetch of any address is allowed, and SSE is part of the target's baseline.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(place.cast()) };
    }
}

struct MultiplyAdd;

impl Dot<Avx512> for MultiplyAdd {
    type Weights = __m512i;

    #[inline(always)]
    unsafe fn prepare(weights: __m512i) -> __m512i {
        weights
    }

    #[inline(always)]
    unsafe fn dot(sums: __m512i, x: __m512i, weights: __m512i) -> __m512i {
        // SAFETY: by the trait's contract.
        unsafe {
            let (x, weights) = (_mm512_castsi512_ps(x), _mm512_castsi512_ps(weights));
            _mm512_castps_si512(_mm512_fmadd_ps(x, weights, _mm512_castsi512_ps(sums)))
        }
    }
}

struct Bf16Dot;

impl Dot<Avx512> for Bf16Dot {
    type Weights = __m512i;

    #[inline(always)]
    unsafe fn prepare(weights: __m512i) -> __m512i {
        weights
    }

    #[inline(always)]
    unsafe fn dot(sums: __m512i, x: __m512i, weights: __m512i) -> __m512i {
        // SAFETY: by the trait's contract; the types have 512 bits without invalid patterns.
        unsafe {
            let x = std::mem::transmute::<__m512i, __m512bh>(x);
            let weights = std::mem::transmute::<__m512i, __m512bh>(weights);
            _mm512_castps_si512(_mm512_dpbf16_ps(_mm512_castsi512_ps(sums), x, weights))
        }
    }
}

/// Like [`Bf16Dot`], for sums of two bf16.
struct Bf16x2Dot;

impl Dot<Avx512> for Bf16x2Dot {
    type Weights = __m512i;

    #[inline(always)]
    unsafe fn prepare(weights: __m512i) -> __m512i {
        weights
    }

    #[inline(always)]
    unsafe fn dot(sums: __m512i, x: __m512i, weights: __m512i) -> __m512i {
        // SAFETY: by the trait's contract.
        unsafe { Bf16Dot::dot(sums, x, weights) }
    }

    #[inline(always)]
    unsafe fn accumulate<const ROWS: usize, const REGISTERS: usize>(
        tile: &Tile<'_>,
        sums: &mut [[__m512i; REGISTERS]; ROWS],
    ) {
        // SAFETY: by the contract.
        unsafe { k_loop_bf16x2::<Avx512, Self, ROWS, REGISTERS>(tile, sums) }
    }
}

struct Int8Dot;

impl Dot<Avx512> for Int8Dot {
    type Weights = __m512i;

    #[inline(always)]
    unsafe fn prepare(weights: __m512i) -> __m512i {
        weights
    }

    #[inline(always)]
    unsafe fn dot(sums: __m512i, x: __m512i, weights: __m512i) -> __m512i {
        // SAFETY: by the trait's contract.
        unsafe { _mm512_dpbusd_epi32(sums, x, weights) }
    }
}
