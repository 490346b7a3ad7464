//! Conversion of rows to 32-bit words of two bf16 or four quantized bytes.
//!
//! One K step of every kernel takes one word of the input and one word of each output's
//! weights, so all precisions share one layout and one loop.

#[cfg(target_arch = "x86_64")]
mod avx512;

#[cfg(target_arch = "x86_64")]
use crate::CpuFeature;
use crate::Isa;
use crate::isa::for_every_isa;
use crate::packed::kernel::WIDENED_WORDS;

/// bf16 values per word.
pub(crate) const BF16_PER_WORD: usize = 2;
/// Bytes per word.
pub(crate) const BYTES_PER_WORD: usize = 4;

/// The nearest bf16, ties to even; NaN stays NaN.
#[inline(always)]
pub(crate) fn bf16_bits(value: f32) -> u32 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
    // Rounding up the mantissa of a NaN could carry into infinity.
    if value.is_nan() { (bits >> 16) | 0x40 } else { rounded }
}

/// The value of a bf16 in the low half of a word.
#[inline(always)]
pub(crate) fn bf16_value(bits: u32) -> f32 {
    f32::from_bits(bits << 16)
}

/// Converts rows `[row, inputs]` to words of two bf16; the last word of an odd row is padded
/// with zero. Subnormal numbers may become zero.
pub(crate) fn to_bf16(isa: Isa, x: &[f32], inputs: usize, words: &mut [u32]) {
    #[cfg(target_arch = "x86_64")]
    if isa.has(CpuFeature::Avx512Bf16) {
        let steps = inputs.div_ceil(BF16_PER_WORD);
        for (row, words) in x.chunks_exact(inputs).zip(words.chunks_exact_mut(steps)) {
            // SAFETY: an `Isa` with AVX-512F and its bf16 part exists only where both were
            // detected.
            unsafe { avx512::to_bf16_row(row, words) };
        }
        return;
    }
    plain_to_bf16(isa, x, inputs, words);
}

for_every_isa! {
    fn plain_to_bf16(x: &[f32], inputs: usize, words: &mut [u32]) {
        let steps = inputs.div_ceil(BF16_PER_WORD);
        for (row, words) in x.chunks_exact(inputs).zip(words.chunks_exact_mut(steps)) {
            let pairs = row.chunks_exact(BF16_PER_WORD);
            if let [last] = pairs.remainder() {
                words[steps - 1] = bf16_bits(*last);
            }
            for (word, pair) in words.iter_mut().zip(pairs) {
                *word = bf16_bits(pair[0]) | bf16_bits(pair[1]) << 16;
            }
        }
    }
}

for_every_isa! {
    /// Converts two rows of the same length to words of two bf16, one from each.
    pub(crate) fn to_bf16_pairs(low: &[f32], high: &[f32], words: &mut [u32]) {
        for ((word, &low), &high) in words.iter_mut().zip(low).zip(high) {
            *word = bf16_bits(low) | bf16_bits(high) << 16;
        }
    }
}

for_every_isa! {
    /// Rounds rows `[row, inputs]` to the nearest bf16, stored as f32; odd rows are padded with
    /// zero.
    pub(crate) fn round_to_bf16(x: &[f32], inputs: usize, words: &mut [u32]) {
        let width = inputs.next_multiple_of(BF16_PER_WORD);
        for (row, words) in x.chunks_exact(inputs).zip(words.chunks_exact_mut(width)) {
            words[width - 1] = 0;
            for (word, &value) in words.iter_mut().zip(row) {
                *word = bf16_bits(value) << 16;
            }
        }
    }
}

/// Words of one term in a group of [`to_bf16_terms`].
pub(crate) const TERM_WORDS: usize = 16;
/// Values of a group of [`to_bf16_terms`].
const GROUP: usize = BF16_PER_WORD * TERM_WORDS;

/// Words per row of [`to_bf16_terms`].
pub(crate) fn bf16_terms_words(inputs: usize) -> usize {
    2 * TERM_WORDS * inputs.div_ceil(GROUP)
}

/// Converts rows `[row, inputs]` to sums of two bf16, the one nearest to the value and the one
/// nearest to the remainder, in groups of [`TERM_WORDS`] words of high terms and as many of low
/// terms. The last group is padded with zeros. Infinity becomes NaN, and subnormal terms may become
/// zero.
pub(crate) fn to_bf16_terms(isa: Isa, x: &[f32], inputs: usize, words: &mut [u32]) {
    let width = bf16_terms_words(inputs);
    let rows = x.chunks_exact(inputs).zip(words.chunks_exact_mut(width));
    #[cfg(target_arch = "x86_64")]
    if isa.has(CpuFeature::Avx512Bf16) {
        for (row, words) in rows {
            // SAFETY: an `Isa` with AVX-512F and its bf16 part exists only where both were
            // detected.
            unsafe { avx512::to_bf16_terms_row(row, words) };
        }
        return;
    }
    for (row, words) in rows {
        let (groups, _) = words.as_chunks_mut::<{ 2 * TERM_WORDS }>();
        for (values, words) in row.chunks(GROUP).zip(groups) {
            let mut padded = [0.0; GROUP];
            padded[..values.len()].copy_from_slice(values);
            plain_to_bf16_terms(isa, &padded, words);
        }
    }
}

for_every_isa! {
    fn plain_to_bf16_terms(values: &[f32; GROUP], words: &mut [u32; 2 * TERM_WORDS]) {
        let (high, low) = words.split_at_mut(TERM_WORDS);
        let (pairs, _) = values.as_chunks::<BF16_PER_WORD>();
        for ((pair, high), low) in pairs.iter().zip(high).zip(low) {
            let terms = pair.map(bf16_terms);
            *high = terms[0][0] | terms[1][0] << 16;
            *low = terms[0][1] | terms[1][1] << 16;
        }
    }
}

for_every_isa! {
    /// Converts two rows of the same length to words of two bf16, one from each: the high terms
    /// and the low ones.
    pub(crate) fn to_bf16_term_pairs(one: &[f32], other: &[f32], high: &mut [u32], low: &mut [u32]) {
        for (((high, low), &one), &other) in high.iter_mut().zip(low).zip(one).zip(other) {
            let ([one_high, one_low], [other_high, other_low]) = (bf16_terms(one), bf16_terms(other));
            *high = one_high | other_high << 16;
            *low = one_low | other_low << 16;
        }
    }
}

/// The nearest bf16, and the one nearest to the remainder.
#[inline(always)]
fn bf16_terms(value: f32) -> [u32; 2] {
    let high = bf16_bits(value);
    [high, bf16_bits(value - bf16_value(high))]
}

/// The quantization of a row: `value = scale · (byte − zero_point)`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct QuantParams {
    pub(crate) scale: f32,
    pub(crate) zero_point: i32,
}

/// Quantizes rows `[row, inputs]` to words of four unsigned bytes, each row by its own range; the
/// last word is padded with zero bytes. A row with NaN or infinity, or with a range that
/// overflows or underflows the scale, gets the scale NaN, so that it shows in the result.
pub(crate) fn quantize_rows(
    isa: Isa,
    x: &[f32],
    inputs: usize,
    words: &mut [u32],
    params: &mut [QuantParams],
) {
    #[cfg(target_arch = "x86_64")]
    if isa.has(CpuFeature::Avx512f) && isa.has(CpuFeature::Avx512bw) {
        let steps = inputs.div_ceil(BYTES_PER_WORD);
        let rows = x.chunks_exact(inputs).zip(words.chunks_exact_mut(steps)).zip(params);
        for ((row, words), quant_params) in rows {
            // SAFETY: an `Isa` with AVX-512F and BW exists only where both were detected.
            *quant_params = unsafe { avx512::quantize_row(row, words) };
        }
        return;
    }
    plain_quantize_rows(isa, x, inputs, words, params);
}

/// Like [`quantize_rows`], with two words of 16-bit integers for each word of bytes: the even
/// bytes, then the odd ones.
pub(crate) fn quantize_widened_rows(
    isa: Isa,
    x: &[f32],
    inputs: usize,
    words: &mut [u32],
    params: &mut [QuantParams],
) {
    let steps = inputs.div_ceil(BYTES_PER_WORD);
    let rows = x.chunks_exact(inputs).zip(words.chunks_exact_mut(WIDENED_WORDS * steps));
    for ((row, words), params) in rows.zip(params) {
        quantize_rows(isa, row, inputs, &mut words[steps..], std::slice::from_mut(params));
        widen_bytes(isa, words);
    }
}

for_every_isa! {
    /// Widens the words of four bytes in the second half of `words` to fill all of it.
    fn widen_bytes(words: &mut [u32]) {
        /// Words that are copied before they are overwritten.
        const BLOCK: usize = 16;
        /// The even bytes of a word.
        const EVEN: u32 = 0x00ff_00ff;
        let steps = words.len() / WIDENED_WORDS;
        for from in (0..steps).step_by(BLOCK) {
            let count = BLOCK.min(steps - from);
            let mut bytes = [0; BLOCK];
            bytes[..count].copy_from_slice(&words[steps + from..][..count]);
            let wide = &mut words[WIDENED_WORDS * from..][..WIDENED_WORDS * count];
            for (pair, word) in wide.chunks_exact_mut(WIDENED_WORDS).zip(bytes) {
                pair[0] = word & EVEN;
                pair[1] = (word >> 8) & EVEN;
            }
        }
    }
}

/// A row's parameters, the inverse of its scale and its zero point as f32, from its range; `Err`
/// with the parameters if the scale is zero or not finite.
#[inline(always)]
fn quant_params(
    row: &[f32],
    (low, high): (f32, f32),
) -> Result<(QuantParams, f32, f32), QuantParams> {
    let scale = (high - low) / 255.0;
    if !(scale.is_finite() && scale > 0.0) {
        let scale = if row.iter().all(|&value| value == 0.0) { 0.0 } else { f32::NAN };
        return Err(QuantParams { scale, zero_point: 0 });
    }
    let inverse = 1.0 / scale;
    let zero = (-low * inverse).round();
    Ok((QuantParams { scale, zero_point: zero as i32 }, inverse, zero))
}

for_every_isa! {
    fn plain_quantize_rows(
        x: &[f32], inputs: usize, words: &mut [u32], params: &mut [QuantParams],
    ) {
        /// Adding 1.5·2²³ rounds to the nearest integer and leaves it in the low bits.
        const ROUND: f32 = 12_582_912.0;
        let steps = inputs.div_ceil(BYTES_PER_WORD);
        let rows = x.chunks_exact(inputs).zip(words.chunks_exact_mut(steps)).zip(params);
        for ((row, words), params_of) in rows {
            let (found, inverse, zero) = match quant_params(row, range_with_zero(row)) {
                Ok((found, inverse, zero)) => (found, inverse, zero),
                Err(found) => {
                    words.fill(0);
                    *params_of = found;
                    continue;
                }
            };
            *params_of = found;
            let byte = |value: f32| {
                let placed = value * inverse + zero;
                let placed = if placed > 0.0 { placed } else { 0.0 };
                let placed = if placed < 255.0 { placed } else { 255.0 };
                (placed + ROUND).to_bits() & 0xff
            };
            let quads = row.chunks_exact(BYTES_PER_WORD);
            if !quads.remainder().is_empty() {
                let bytes = quads.remainder().iter().enumerate();
                words[steps - 1] = bytes.map(|(i, &value)| byte(value) << (8 * i)).sum();
            }
            for (word, quad) in words.iter_mut().zip(quads) {
                *word = byte(quad[0])
                    | byte(quad[1]) << 8
                    | byte(quad[2]) << 16
                    | byte(quad[3]) << 24;
            }
        }
    }
}

/// Minimum and maximum of the values and zero; both are NaN if a value is not finite.
#[inline(always)]
fn range_with_zero(row: &[f32]) -> (f32, f32) {
    const LANES: usize = 16;
    let mut lows = [0.0f32; LANES];
    let mut highs = [0.0f32; LANES];
    let mut poison = [0.0f32; LANES];
    let mut take = |lane: usize, value: f32| {
        lows[lane] = if value < lows[lane] { value } else { lows[lane] };
        highs[lane] = if value > highs[lane] { value } else { highs[lane] };
        // Zero times a finite number is zero; times NaN or infinity it is NaN.
        poison[lane] += value * 0.0;
    };
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &value) in chunk.iter().enumerate() {
            take(lane, value);
        }
    }
    for (lane, &value) in rest.iter().enumerate() {
        take(lane, value);
    }
    let poison: f32 = poison.iter().sum();
    let low = lows.iter().fold(0.0f32, |low, &v| if v < low { v } else { low });
    let high = highs.iter().fold(0.0f32, |high, &v| if v > high { v } else { high });
    (low + poison, high + poison)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_rounds_to_nearest_even() {
        for (value, expected) in [
            (1.0, 0x3f80),
            (1.0 + 1.0 / 256.0, 0x3f80),
            (1.0 + 3.0 / 256.0, 0x3f82),
            (1.004, 0x3f81),
            (-2.5, 0xc020),
            (f32::INFINITY, 0x7f80),
            (f32::MAX, 0x7f80),
        ] {
            assert_eq!(bf16_bits(value), expected, "{value}");
        }
        assert!(bf16_value(bf16_bits(f32::from_bits(0x7fff_ffff))).is_nan());
    }

    #[test]
    fn rows_of_bf16_are_the_same_on_every_isa() {
        for inputs in [1usize, 2, 3, 15, 16, 17, 31, 32, 33, 47, 64, 70] {
            let value = |i: usize| (i * 7919 % 1009) as f32 / 77.0 - 3.0;
            let mut row: Vec<f32> = (0..2 * inputs).map(value).collect();
            row[0] = f32::INFINITY;
            for isa in Isa::available() {
                let mut words = vec![u32::MAX; 2 * inputs.div_ceil(2)];
                to_bf16(isa, &row, inputs, &mut words);
                for (row, words) in row.chunks(inputs).zip(words.chunks(inputs.div_ceil(2))) {
                    for (i, word) in words.iter().enumerate() {
                        let high = row.get(2 * i + 1).map_or(0, |&value| bf16_bits(value));
                        let expected = bf16_bits(row[2 * i]) | high << 16;
                        assert_eq!(*word, expected, "{inputs} inputs on {}", isa.name());
                    }
                }
                let (low, high) = row.split_at(inputs);
                let mut words = vec![u32::MAX; inputs];
                to_bf16_pairs(isa, low, high, &mut words);
                for (i, word) in words.iter().enumerate() {
                    assert_eq!(*word, bf16_bits(low[i]) | bf16_bits(high[i]) << 16);
                }
            }
        }
    }

    #[test]
    fn bf16_terms_have_grouped_layout_on_every_isa() {
        for inputs in [1usize, 2, 31, 32, 33, 70] {
            let row: Vec<f32> =
                (0..2 * inputs).map(|i| (i * 7919 % 1009) as f32 / 77.0 - 3.0).collect();
            for isa in Isa::available() {
                let width = bf16_terms_words(inputs);
                let mut words = vec![u32::MAX; 2 * width];
                to_bf16_terms(isa, &row, inputs, &mut words);
                for (row, words) in row.chunks(inputs).zip(words.chunks(width)) {
                    for i in 0..width / 2 * BF16_PER_WORD {
                        let value = row.get(i).copied().unwrap_or(0.0);
                        let high = bf16_bits(value);
                        let low = bf16_bits(value - bf16_value(high));
                        let (word, half) = (i % GROUP / 2, 16 * (i % 2));
                        let group = &words[i / GROUP * 2 * TERM_WORDS..];
                        let found = [group[word], group[TERM_WORDS + word]];
                        let found = found.map(|word| word >> half & 0xffff);
                        assert_eq!(found, [high, low], "value {i} of {inputs} on {}", isa.name());
                    }
                }
                let (one, other) = row.split_at(inputs);
                let (mut high, mut low) = (vec![u32::MAX; inputs], vec![u32::MAX; inputs]);
                to_bf16_term_pairs(isa, one, other, &mut high, &mut low);
                for i in 0..inputs {
                    let [[one, one_low], [other, other_low]] = [one[i], other[i]].map(bf16_terms);
                    assert_eq!([high[i], low[i]], [one | other << 16, one_low | other_low << 16]);
                }
            }
        }
    }

    #[test]
    fn quantization_error_is_at_most_half_a_step() {
        for inputs in [1usize, 3, 4, 5, 16, 37, 512] {
            let row: Vec<f32> = (0..inputs).map(|i| ((i * 37 % 101) as f32 - 20.0) / 9.0).collect();
            for isa in Isa::available() {
                let mut words = vec![u32::MAX; inputs.div_ceil(4)];
                let mut params = [QuantParams::default()];
                quantize_rows(isa, &row, inputs, &mut words, &mut params);
                let [QuantParams { scale, zero_point }] = params;
                for (i, &value) in row.iter().enumerate() {
                    let byte = (words[i / 4] >> (8 * (i % 4)) & 0xff) as i32;
                    let found = scale * (byte - zero_point) as f32;
                    assert!((found - value).abs() <= 0.501 * scale, "{value} became {found}");
                }
            }
        }
    }

    #[test]
    fn quantized_rows_are_identical_on_every_isa() {
        for inputs in [1usize, 2, 3, 5, 15, 16, 17, 31, 33, 63, 64, 70, 130, 513] {
            for seed in 0..4 {
                let value = |i: usize| ((i * 7919 + seed * 31) % 1009) as f32 / 77.0 - 3.0;
                let row: Vec<f32> = (0..inputs).map(value).collect();
                let found = Isa::available().into_iter().map(|isa| {
                    let mut words = vec![u32::MAX; inputs.div_ceil(4)];
                    let mut params = [QuantParams::default()];
                    quantize_rows(isa, &row, inputs, &mut words, &mut params);
                    (words, params)
                });
                let found: Vec<_> = found.collect();
                assert!(found.iter().all(|one| *one == found[0]), "{inputs} inputs");
            }
        }
    }

    #[test]
    fn widened_words_hold_the_same_bytes_on_every_isa() {
        for inputs in [1usize, 3, 4, 61, 64, 66, 257] {
            let (steps, count) = (inputs.div_ceil(BYTES_PER_WORD), 3);
            let x: Vec<f32> = (0..count * inputs).map(|i| (i as f32 * 0.37).sin() - 0.2).collect();
            for isa in Isa::available() {
                let mut bytes = vec![0; count * steps];
                let mut wide = vec![u32::MAX; 2 * count * steps];
                let mut params = [[QuantParams::default(); 3]; 2];
                quantize_rows(isa, &x, inputs, &mut bytes, &mut params[0]);
                quantize_widened_rows(isa, &x, inputs, &mut wide, &mut params[1]);
                assert_eq!(params[0], params[1], "{inputs} on {}", isa.name());
                for (word, pair) in bytes.iter().zip(wide.chunks_exact(2)) {
                    let [even, odd] = [pair[0], pair[1]].map(u32::to_le_bytes);
                    let together = [even[0], odd[0], even[2], odd[2]];
                    assert_eq!(word.to_le_bytes(), together, "{inputs} on {}", isa.name());
                    assert_eq!([even[1], even[3], odd[1], odd[3]], [0; 4], "{}", isa.name());
                }
            }
        }
    }

    #[test]
    fn non_finite_row_has_nan_scale() {
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for (inputs, place) in [(18usize, 17), (70, 0), (70, 69)] {
                for isa in Isa::available() {
                    let mut words = vec![7; inputs.div_ceil(4)];
                    let mut params = [QuantParams::default()];
                    let mut row = vec![1.0; inputs];
                    row[place] = bad;
                    quantize_rows(isa, &row, inputs, &mut words, &mut params);
                    assert!(params[0].scale.is_nan(), "{bad} on {}", isa.name());
                }
            }
        }
    }
}
