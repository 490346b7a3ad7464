//! Softmax numerators in bf16 by AVX-512, as exact as eight bits of significand need.

use std::arch::x86_64::*;

use crate::lanes::{LANES, load, mask};

/// The least exponent of a normal bf16.
const LOWEST: f32 = -126.0;
/// `2^r = Σ (r·ln 2)^k / k!`: for `|r| ≤ ½` the remainder is below 5·10⁻⁵, a hundredth of the error
/// of rounding to bf16.
const SERIES: [f32; 5] = [9.618_129e-3, 5.550_411e-2, 0.240_226_5, std::f32::consts::LN_2, 1.0];

/// One row of [`super::softmax_numerators`].
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) fn softmax_numerators(logits: &[f32], scale: f32, words: &mut [u32]) -> f32 {
    assert!(logits.len() <= 2 * words.len(), "a row does not fit into its words");
    // e^x = 2^(x · log₂ e).
    let scale = _mm512_set1_ps(scale * std::f32::consts::LOG2_E);
    let (pairs, rest) = logits.as_chunks::<{ 2 * LANES }>();
    let (lower, upper) = rest.split_at(LANES.min(rest.len()));
    let masks = [mask(lower.len()), mask(upper.len())];
    let mut highs = [_mm512_set1_ps(f32::NEG_INFINITY); 2];
    for pair in pairs {
        let scaled = halves(pair).map(|logits| _mm512_mul_ps(logits, scale));
        highs = [_mm512_max_ps(highs[0], scaled[0]), _mm512_max_ps(highs[1], scaled[1])];
    }
    let rest = [load(lower), load(upper)].map(|logits| _mm512_mul_ps(logits, scale));
    for half in 0..2 {
        highs[half] = _mm512_mask_max_ps(highs[half], masks[half], highs[half], rest[half]);
    }
    let high = _mm512_set1_ps(_mm512_reduce_max_ps(_mm512_max_ps(highs[0], highs[1])));
    let mut sums = [_mm512_setzero_ps(); 2];
    let (places, last) = words.split_at_mut(pairs.len() * LANES);
    for (pair, place) in pairs.iter().zip(places.chunks_exact_mut(LANES)) {
        let powers = halves(pair).map(|logits| power(_mm512_fmsub_ps(logits, scale, high)));
        sums = [_mm512_add_ps(sums[0], powers[0]), _mm512_add_ps(sums[1], powers[1])];
        // SAFETY: `place` holds 16 words.
        unsafe { _mm512_storeu_si512(place.as_mut_ptr().cast(), to_bf16_pairs(powers)) };
    }
    if !last.is_empty() {
        let powers = rest.map(|exponents| power(_mm512_sub_ps(exponents, high)));
        let powers = [0, 1].map(|half| _mm512_maskz_mov_ps(masks[half], powers[half]));
        sums = [_mm512_add_ps(sums[0], powers[0]), _mm512_add_ps(sums[1], powers[1])];
        // SAFETY: no more words are written than `last` holds.
        unsafe {
            let place = last.as_mut_ptr().cast();
            _mm512_mask_storeu_epi32(place, mask(last.len()), to_bf16_pairs(powers));
        }
    }
    1.0 / _mm512_reduce_add_ps(_mm512_add_ps(sums[0], sums[1]))
}

/// `2^x` for `x ≤ 0`; NaN stays NaN.
#[inline]
#[target_feature(enable = "avx512f")]
fn power(x: __m512) -> __m512 {
    // Of two operands this gives the second where either is NaN.
    let x = _mm512_max_ps(_mm512_set1_ps(LOWEST), x);
    let whole = _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x);
    let r = _mm512_sub_ps(x, whole);
    let [first, rest @ ..] = SERIES;
    let series = rest.into_iter().fold(_mm512_set1_ps(first), |series, coefficient| {
        _mm512_fmadd_ps(series, r, _mm512_set1_ps(coefficient))
    });
    _mm512_scalef_ps(series, whole)
}

/// Words of two bf16: the first register's values, then the second's.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn to_bf16_pairs([lower, upper]: [__m512; 2]) -> __m512i {
    let bf16 = _mm512_cvtne2ps_pbh(upper, lower);
    // SAFETY: both are 512 bits without invalid patterns.
    unsafe { std::mem::transmute(bf16) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn halves(pair: &[f32; 2 * LANES]) -> [__m512; 2] {
    // SAFETY: two registers' values lie in the pair.
    [0, LANES].map(|from| unsafe { _mm512_loadu_ps(pair.as_ptr().add(from)) })
}
