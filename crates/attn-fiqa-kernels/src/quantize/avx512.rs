//! Conversion by AVX-512: the same bits as the portable code, except that subnormal numbers may
//! become zero in bf16.

use std::arch::x86_64::*;

use super::{QuantParams, TERM_WORDS, quant_params};
use crate::lanes::{LANES, load, mask};

/// Values per register of bytes.
const BYTES: usize = 64;

/// One row of [`super::quantize_rows`].
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn quantize_row(row: &[f32], words: &mut [u32]) -> QuantParams {
    assert!(row.len() <= 4 * words.len(), "a row does not fit into its words");
    let (found, inverse, zero) = match quant_params(row, range_with_zero(row)) {
        Ok(found) => found,
        Err(found) => {
            words.fill(0);
            return found;
        }
    };
    // Padding of the last word.
    if let Some(last) = words.last_mut() {
        *last = 0;
    }
    let (inverse, zero) = (_mm512_set1_ps(inverse), _mm512_set1_ps(zero));
    let step = |values| _mm512_cvtps_epi32(_mm512_add_ps(_mm512_mul_ps(values, inverse), zero));
    // Packing interleaves register quarters; this restores their order.
    let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    let bytes = words.as_mut_ptr().cast::<i8>();
    let (whole, rest) = row.as_chunks::<BYTES>();
    for (index, chunk) in whole.iter().enumerate() {
        let [a, b, c, d] = quarters(chunk).map(step);
        // Values rounded beyond a byte are clipped here.
        let packed = _mm512_packus_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
        let packed = _mm512_permutexvar_epi32(order, packed);
        // SAFETY: one byte is written for each value of the chunk, and the row's bytes lie within
        // `words` by the assertion above.
        unsafe { _mm512_storeu_si512(bytes.add(index * BYTES).cast(), packed) };
    }
    for (index, chunk) in rest.chunks(LANES).enumerate() {
        let stepped = _mm512_max_epi32(step(load(chunk)), _mm512_setzero_si512());
        let place = bytes.wrapping_add(whole.len() * BYTES + index * LANES);
        // SAFETY: as above.
        unsafe { _mm512_mask_cvtusepi32_storeu_epi8(place, mask(chunk.len()), stepped) };
    }
    found
}

/// One row of [`super::to_bf16`].
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) fn to_bf16_row(row: &[f32], words: &mut [u32]) {
    assert!(row.len() <= 2 * words.len(), "a row does not fit into its words");
    let pairs = row.chunks(2 * LANES).zip(words.chunks_mut(LANES));
    for (values, words) in pairs {
        let (lower, upper) = values.split_at(LANES.min(values.len()));
        let bf16 = nearest_bf16([load(lower), load(upper)]);
        // SAFETY: no more words are written than `words` has.
        unsafe { _mm512_mask_storeu_epi32(words.as_mut_ptr().cast(), mask(words.len()), bf16) };
    }
}

/// One row of [`super::to_bf16_terms`].
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) fn to_bf16_terms_row(row: &[f32], words: &mut [u32]) {
    assert!(row.len() <= words.len(), "a row does not fit into its words");
    let (groups, _) = words.as_chunks_mut::<{ 2 * TERM_WORDS }>();
    for (values, words) in row.chunks(2 * LANES).zip(groups) {
        let (lower, upper) = values.split_at(LANES.min(values.len()));
        let values = [load(lower), load(upper)];
        let high = nearest_bf16(values);
        let [lower, upper] = [_mm512_castsi512_si256(high), _mm512_extracti64x4_epi64::<1>(high)]
            .map(|half| _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(half))));
        let low = nearest_bf16([_mm512_sub_ps(values[0], lower), _mm512_sub_ps(values[1], upper)]);
        let (high_words, low_words) = words.split_at_mut(TERM_WORDS);
        // SAFETY: both parts hold 16 words.
        unsafe {
            _mm512_storeu_si512(high_words.as_mut_ptr().cast(), high);
            _mm512_storeu_si512(low_words.as_mut_ptr().cast(), low);
        }
    }
}

/// 32 values as 16 words of two bf16.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn nearest_bf16([lower, upper]: [__m512; 2]) -> __m512i {
    // SAFETY: both types are 512 bits without invalid patterns.
    unsafe { std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(upper, lower)) }
}

/// [`super::range_with_zero`]. As signed integers, positive floats keep their order, and NaN is the
/// largest. As unsigned integers, negative floats are larger than positive ones, and the lowest is
/// the largest.
#[inline]
#[target_feature(enable = "avx512f")]
fn range_with_zero(row: &[f32]) -> (f32, f32) {
    let zero = _mm512_setzero_si512();
    let (mut lows, mut highs) = ([zero; 4], [zero; 4]);
    let mut take = |part: usize, values| {
        let bits = _mm512_castps_si512(values);
        lows[part] = _mm512_max_epu32(lows[part], bits);
        highs[part] = _mm512_max_epi32(highs[part], bits);
    };
    let (whole, rest) = row.as_chunks::<BYTES>();
    for chunk in whole {
        quarters(chunk).into_iter().enumerate().for_each(|(part, values)| take(part, values));
    }
    for chunk in rest.chunks(LANES) {
        take(0, load(chunk));
    }
    let [low, high] = [
        lows.into_iter().fold(zero, |low, next| _mm512_max_epu32(low, next)),
        highs.into_iter().fold(zero, |high, next| _mm512_max_epi32(high, next)),
    ];
    let low = f32::from_bits(_mm512_reduce_max_epu32(low));
    let high = f32::from_bits(_mm512_reduce_max_epi32(high) as u32);
    (if low.is_sign_negative() { low } else { 0.0 }, high)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn quarters(chunk: &[f32; BYTES]) -> [__m512; 4] {
    // SAFETY: four registers' values lie in the chunk.
    [0, 1, 2, 3].map(|part| unsafe { _mm512_loadu_ps(chunk.as_ptr().add(part * LANES)) })
}
