//! Row-wise softmax.

use crate::isa::for_every_isa;
use crate::layer_norm::lane_sum;

for_every_isa! {
    /// Replaces every row of `[rows, cols]` by its softmax.
    ///
    /// The row's maximum is subtracted first, so no finite input overflows.
    ///
    /// # Panics
    ///
    /// When `values` is not a whole number of rows.
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

/// `e^x` for `x ≤ 0`, within 2 units in the last place; below −87 it is e⁻⁸⁷,
/// 10⁻³⁸, which a sum that holds a 1 does not notice. NaN stays NaN.
///
/// `x = n·ln 2 + r` with `|r| ≤ ln 2 / 2`, so `e^x = 2ⁿ·e^r`, and eight terms of
/// the Taylor series leave a relative error of 0.35⁸/8! = 5·10⁻⁹.
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// Adding 1.5·2²³ rounds to the nearest integer and leaves it in the low bits.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts; the first has nine trailing zero bits, so `n·LN2_HIGH` is exact.
    const LN2_HIGH: f32 = 0.693_145_75;
    const LN2_LOW: f32 = 1.428_606_8e-6;
    const LOWEST: f32 = -87.0;
    const EXPONENT_BIAS: u32 = 127;
    const MANTISSA_BITS: u32 = 23;

    let x = if x < LOWEST { LOWEST } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * LN2_HIGH - n * LN2_LOW;
    let power = f32::from_bits(shifted.to_bits().wrapping_add(EXPONENT_BIAS) << MANTISSA_BITS);
    let mut series = 1.0 / 5040.0;
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        series = series * r + coefficient;
    }
    series * power
}

#[cfg(test)]
mod tests {
    use super::exp;

    #[test]
    fn exp_stays_within_two_units_in_the_last_place() {
        // Miri takes a millisecond for each.
        let every = if cfg!(miri) { 9973 } else { 1 };
        for step in (0..870_000).step_by(every) {
            let x = -(step as f32) * 1e-4;
            let exact = f64::from(x).exp();
            let error = (f64::from(exp(x)) - exact).abs() / exact;
            assert!(error < 2.0 * f64::from(f32::EPSILON), "exp({x}) is off by {error:e}");
        }
        assert!(exp(f32::NAN).is_nan());
        assert!(exp(-1e30) < 2e-38);
    }
}
