//! The AVX2 kernels: tiles of a few rows and half a panel, which fit into 16 registers of eight
//! lanes.

use std::arch::x86_64::*;

use super::kernel::WIDENED_WORDS;
use super::register_tile::{Dot, register_kernel};
use super::simd::{FloatLanes, Simd};

/// K steps of f32 per block: 64 KiB of a panel stay in the L2 cache.
const KC: usize = 512;

register_kernel! {
    /// f32 by fused multiply–adds, in the order of the AVX-512 kernel, so the bits are the same.
    F32: F32 as F32,
    name: "avx2 f32",
    features: [Fma, Avx2], enabled by "avx2,fma",
    tile: f32_tile of 2 registers of Avx2, dot: MultiplyAdd, at bias: true,
    steps: KC,
    rows: [6, 5, 4, 3, 2, 1],
}

register_kernel! {
    /// bf16 by fused multiply–adds of f32: a panel is widened once for all rows.
    Bf16Widened: Bf16 as RoundedToBf16,
    name: "avx2 bf16 widened",
    features: [Fma, Avx2], enabled by "avx2,fma",
    tile: f32_tile of 2 registers of Avx2, dot: MultiplyAdd, at bias: false,
    steps: usize::MAX,
    rows: [6, 5, 4, 3, 2, 1],
}

register_kernel! {
    /// int8 by dot products of four (AVX-VNNI), summed in i32.
    Int8Vnni: Int8 as Bytes,
    name: "avx2-vnni int8",
    features: [Fma, Avx2, AvxVnni], enabled by "avx2,fma,avxvnni",
    tile: int8_tile of 2 registers of Avx2, dot: Int8Dot,
    steps: usize::MAX,
    rows: [6, 5, 4, 3, 2, 1],
}

register_kernel! {
    /// int8 by dot products of two 16-bit integers: a panel is widened once for all rows.
    Int8: Int8 as WidenedBytes,
    name: "avx2 int8 widened",
    features: [Fma, Avx2], enabled by "avx2,fma",
    tile: int8_tile of 2 registers of Avx2, dot: Int16Dot,
    steps: usize::MAX,
    rows: [6, 5, 4, 3, 2, 1],
}

/// Registers of 8 lanes.
pub(super) struct Avx2;

impl FloatLanes for Avx2 {
    type F32 = __m256;
    type Words = __m256i;
    type Mask = usize;

    #[inline(always)]
    unsafe fn splat(value: f32) -> __m256 {
        // SAFETY: by the trait's contract, as below.
        unsafe { _mm256_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn mul(a: __m256, b: __m256) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_mul_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn max(a: __m256, b: __m256) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_max_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn min(a: __m256, b: __m256) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_min_ps(a, b) }
    }

    #[inline(always)]
    fn first(count: usize) -> usize {
        count
    }

    #[inline(always)]
    unsafe fn load(place: *const f32, count: usize) -> __m256 {
        // SAFETY: as above; the array holds a register, and no more lanes are read than asked for.
        unsafe {
            if count >= Self::LANES {
                return _mm256_loadu_ps(place);
            }
            let mut lanes = [0.0; Self::LANES];
            place.copy_to_nonoverlapping(lanes.as_mut_ptr(), count);
            _mm256_loadu_ps(lanes.as_ptr())
        }
    }

    #[inline(always)]
    unsafe fn to_f32(words: __m256i) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_cvtepi32_ps(words) }
    }
}

impl Simd for Avx2 {
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn store(place: *mut f32, count: usize, values: __m256) {
        // SAFETY: as above; the array holds a register, and no more lanes are written than asked
        // for.
        unsafe {
            if count >= Self::LANES {
                return _mm256_storeu_ps(place, values);
            }
            let mut lanes = [0.0; Self::LANES];
            _mm256_storeu_ps(lanes.as_mut_ptr(), values);
            place.copy_from_nonoverlapping(lanes.as_ptr(), count);
        }
    }

    #[inline(always)]
    unsafe fn splat_words(word: u32) -> __m256i {
        // SAFETY: as above.
        unsafe { _mm256_set1_epi32(word as i32) }
    }

    #[inline(always)]
    unsafe fn load_words(place: *const u32) -> __m256i {
        // SAFETY: as above.
        unsafe { _mm256_loadu_si256(place.cast()) }
    }

    #[inline(always)]
    unsafe fn store_words(place: *mut u32, words: __m256i) {
        // SAFETY: as above.
        unsafe { _mm256_storeu_si256(place.cast(), words) }
    }

    #[inline(always)]
    unsafe fn mul_words(a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: as above.
        unsafe { _mm256_mullo_epi32(a, b) }
    }

    #[inline(always)]
    unsafe fn negate_words(words: __m256i) -> __m256i {
        // SAFETY: as above.
        unsafe { _mm256_sub_epi32(_mm256_setzero_si256(), words) }
    }

    #[inline(always)]
    unsafe fn upper_halves(words: __m256i) -> __m256i {
        // SAFETY: as above.
        unsafe { _mm256_and_si256(words, _mm256_set1_epi32(0xffff_0000_u32 as i32)) }
    }

    #[inline(always)]
    unsafe fn lower_halves(words: __m256i) -> __m256i {
        // SAFETY: as above.
        unsafe { _mm256_slli_epi32::<16>(words) }
    }

    #[inline(always)]
    unsafe fn as_f32(words: __m256i) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_castsi256_ps(words) }
    }

    #[inline(always)]
    unsafe fn as_words(values: __m256) -> __m256i {
        // SAFETY: as above.
        unsafe { _mm256_castps_si256(values) }
    }

    #[inline(always)]
    fn prefetch(place: *const u8) {
        // SAFETY: a prefetch of any address is allowed, and SSE is part of the target's baseline.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(place.cast()) };
    }
}

struct MultiplyAdd;

impl Dot<Avx2> for MultiplyAdd {
    type Weights = __m256i;

    #[inline(always)]
    unsafe fn prepare(weights: __m256i) -> __m256i {
        weights
    }

    #[inline(always)]
    unsafe fn dot(sums: __m256i, x: __m256i, weights: __m256i) -> __m256i {
        // SAFETY: by the trait's contract.
        unsafe {
            let (x, weights) = (_mm256_castsi256_ps(x), _mm256_castsi256_ps(weights));
            _mm256_castps_si256(_mm256_fmadd_ps(x, weights, _mm256_castsi256_ps(sums)))
        }
    }
}

struct Int8Dot;

impl Dot<Avx2> for Int8Dot {
    type Weights = __m256i;

    #[inline(always)]
    unsafe fn prepare(weights: __m256i) -> __m256i {
        weights
    }

    #[inline(always)]
    unsafe fn dot(sums: __m256i, x: __m256i, weights: __m256i) -> __m256i {
        // SAFETY: by the trait's contract.
        unsafe { _mm256_dpbusd_avx_epi32(sums, x, weights) }
    }
}

/// `vpmaddubsw` saturates the sum of two products to 16 bits, which 2·255·127 exceeds, so bytes are
/// widened to 16 bits: those of the input when it is quantized, those of the weights once per
/// panel.
struct Int16Dot;

impl Dot<Avx2> for Int16Dot {
    type Weights = __m256i;

    #[inline(always)]
    unsafe fn prepare(weights: __m256i) -> __m256i {
        weights
    }

    #[inline(always)]
    unsafe fn dot(sums: __m256i, x: __m256i, weights: __m256i) -> __m256i {
        // SAFETY: by the trait's contract.
        unsafe { _mm256_add_epi32(sums, _mm256_madd_epi16(x, weights)) }
    }

    /// The even and the odd bytes, with their signs.
    #[inline(always)]
    unsafe fn widen(words: __m256i) -> [__m256i; WIDENED_WORDS] {
        // SAFETY: by the trait's contract.
        unsafe {
            let even = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(words));
            [even, _mm256_srai_epi16::<8>(words)]
        }
    }
}
