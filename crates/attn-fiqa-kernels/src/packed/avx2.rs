//! The AVX2 kernels.

use std::arch::x86_64::*;

use super::KStep;
use super::micro_tile::{MR_F32, MR_INT8, MicroTile, TILE_NR};

/// f32 lanes of an AVX2 register.
const LANES: usize = 8;

/// f32 by fused multiply–adds.
#[target_feature(enable = "avx2,fma")]
pub(super) fn multiply_f32(tile: &mut MicroTile<'_, f32, MR_F32>) {
    check(tile);
    let mut sums = [[_mm256_setzero_ps(); 2]; MR_F32];
    for (step, KStep(weights)) in tile.steps.iter().enumerate() {
        let weights = load(weights, tile.first).map(|words| _mm256_castsi256_ps(words));
        for (sums, x) in sums.iter_mut().zip(tile.x) {
            // SAFETY: `check` found a word for every step in every row.
            let x = _mm256_set1_ps(f32::from_bits(unsafe { *x.get_unchecked(step) }));
            sums[0] = _mm256_fmadd_ps(x, weights[0], sums[0]);
            sums[1] = _mm256_fmadd_ps(x, weights[1], sums[1]);
        }
    }
    for (out, sums) in tile.sums.iter_mut().zip(sums) {
        for (half, sum) in sums.into_iter().enumerate() {
            // SAFETY: a row of sums holds two registers.
            unsafe { _mm256_storeu_ps(out.as_mut_ptr().add(half * LANES), sum) };
        }
    }
}

/// int8, exactly. `vpmaddubsw` saturates the sum of two products to 16 bits, which 2·255·127
/// exceeds, so the even and the odd bytes of a word are widened to 16 bits and multiplied
/// separately.
#[target_feature(enable = "avx2,fma")]
pub(super) fn multiply_int8(tile: &mut MicroTile<'_, i32, MR_INT8>) {
    check(tile);
    let low = _mm256_set1_epi16(0xff);
    let mut sums = [[_mm256_setzero_si256(); 2]; MR_INT8];
    for (step, KStep(weights)) in tile.steps.iter().enumerate() {
        let words = load(weights, tile.first);
        let even = words.map(|words| _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(words)));
        let odd = words.map(|words| _mm256_srai_epi16::<8>(words));
        for (sums, x) in sums.iter_mut().zip(tile.x) {
            // SAFETY: `check` found a word for every step in every row.
            let x = _mm256_set1_epi32(unsafe { *x.get_unchecked(step) } as i32);
            let (even_x, odd_x) = (_mm256_and_si256(x, low), _mm256_srli_epi16::<8>(x));
            for half in 0..2 {
                let products = _mm256_add_epi32(
                    _mm256_madd_epi16(even_x, even[half]),
                    _mm256_madd_epi16(odd_x, odd[half]),
                );
                sums[half] = _mm256_add_epi32(sums[half], products);
            }
        }
    }
    for (out, sums) in tile.sums.iter_mut().zip(sums) {
        for (half, sum) in sums.into_iter().enumerate() {
            // SAFETY: a row of sums holds two registers.
            unsafe { _mm256_storeu_si256(out.as_mut_ptr().add(half * LANES).cast(), sum) };
        }
    }
}

/// The tile's sixteen words of one step.
#[inline]
#[target_feature(enable = "avx2")]
fn load(weights: &[u32], first: usize) -> [__m256i; 2] {
    let words = &weights[first..first + TILE_NR];
    [0, LANES].map(|from| {
        // SAFETY: sixteen words were just found.
        unsafe { _mm256_loadu_si256(words.as_ptr().add(from).cast()) }
    })
}

fn check<T, const ROWS: usize>(tile: &MicroTile<'_, T, ROWS>) {
    let steps = tile.steps.len();
    assert!(tile.x.iter().all(|row| row.len() >= steps), "a row ends before its steps");
}
