//! Row-wise softmax.

#[cfg(target_arch = "x86_64")]
mod avx512;

#[cfg(target_arch = "x86_64")]
use crate::CpuFeature;
use crate::Isa;
use crate::exp::exp;
use crate::isa::for_every_isa;
use crate::layer_norm::lane_sum;
use crate::quantize::{BF16_PER_WORD, to_bf16};

for_every_isa! {
    /// Replaces every row of `[rows, cols]` by its softmax.
    ///
    /// The row's maximum is subtracted first, so no finite input overflows.
    ///
    /// # Panics
    ///
    /// If `values` is not a whole number of rows.
    pub fn softmax(values: &mut [f32], cols: usize) {
        assert!(cols > 0 && values.len().is_multiple_of(cols), "a softmax takes whole rows");
        for row in values.chunks_exact_mut(cols) {
            let max = row_max(row);
            for value in row.iter_mut() {
                *value = exp(*value - max);
            }
            let inverse = 1.0 / lane_sum(row, |value| value);
            for value in row.iter_mut() {
                *value *= inverse;
            }
        }
    }
}

/// The first half of a softmax of `scale · logits` around a bf16 product. Every row of `logits`
/// `[rows, cols]` becomes `e^(scale · (logit − maximum))` in bf16; `inverses` receives the factor
/// for each row of the product. Overwrites `logits`.
pub(crate) fn softmax_numerators(
    isa: Isa,
    logits: &mut [f32],
    cols: usize,
    scale: f32,
    words: &mut [u32],
    inverses: &mut [f32],
) {
    let row_words = cols.div_ceil(BF16_PER_WORD);
    #[cfg(target_arch = "x86_64")]
    if isa.has(CpuFeature::Avx512Bf16) {
        let rows = logits.chunks_exact(cols).zip(words.chunks_exact_mut(row_words));
        for ((row, words), inverse) in rows.zip(inverses) {
            // SAFETY: an `Isa` with AVX-512F and its bf16 part exists only where both were
            // detected.
            *inverse = unsafe { avx512::softmax_numerators(row, scale, words) };
        }
        return;
    }
    logits.iter_mut().for_each(|logit| *logit *= scale);
    softmax(isa, logits, cols);
    to_bf16(isa, logits, cols, &mut words[..logits.len() / cols * row_words]);
    inverses.fill(1.0);
}

for_every_isa! {
    /// Multiplies every row of `[rows, cols]` by its factor.
    pub(crate) fn scale_rows(values: &mut [f32], cols: usize, factors: &[f32]) {
        for (row, factor) in values.chunks_exact_mut(cols).zip(factors) {
            row.iter_mut().for_each(|value| *value *= factor);
        }
    }
}

#[inline(always)]
fn row_max(row: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            // A comparison and not `f32::max`, which the baseline cannot vectorise.
            *lane = if value > *lane { value } else { *lane };
        }
    }
    rest.iter().chain(&lanes).fold(f32::NEG_INFINITY, |max, &v| if v > max { v } else { max })
}

#[cfg(test)]
mod tests {
    use super::softmax_numerators;
    use crate::Isa;
    use crate::quantize::bf16_value;

    #[test]
    fn numerators_times_inverse_equal_softmax_on_every_isa() {
        for cols in [1usize, 2, 15, 16, 17, 31, 32, 33, 48, 63, 70, 196] {
            let row: Vec<f32> = (0..cols).map(|i| (i * 7919 % 1009) as f32 / 30.0 - 9.0).collect();
            let highest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let scale = 0.7;
            let exact = row.iter().map(|x| (f64::from(scale) * f64::from(x - highest)).exp());
            let exact: Vec<f64> = exact.collect();
            let sum: f64 = exact.iter().sum();
            for isa in Isa::available() {
                let mut logits = row.clone();
                let mut words = vec![u32::MAX; cols.div_ceil(2)];
                let mut inverse = [f32::NAN];
                softmax_numerators(isa, &mut logits, cols, scale, &mut words, &mut inverse);
                for (i, exact) in exact.iter().enumerate() {
                    let found = bf16_value(words[i / 2] >> (16 * (i % 2)) & 0xffff) * inverse[0];
                    let error = (f64::from(found) * sum - exact).abs() / exact;
                    assert!(error < 1.0 / 250.0, "{found} of {cols} on {}", isa.name());
                }
                assert!(cols % 2 == 0 || words[cols / 2] >> 16 == 0, "{}", isa.name());
            }
        }
    }

    #[test]
    fn numerators_of_non_finite_logits_are_nan() {
        for cols in [5usize, 40] {
            for bad in [f32::NAN, f32::INFINITY] {
                for isa in Isa::available() {
                    let mut logits = vec![1.0; cols];
                    logits[3] = bad;
                    let mut words = vec![0; cols.div_ceil(2)];
                    let mut inverse = [0.0];
                    softmax_numerators(isa, &mut logits, cols, 1.0, &mut words, &mut inverse);
                    let found = bf16_value(words[0] & 0xffff) * inverse[0];
                    assert!(found.is_nan(), "{bad} became {found} on {}", isa.name());
                }
            }
        }
    }
}
