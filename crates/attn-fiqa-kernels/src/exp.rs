//! The exponential function in plain arithmetic, which the compiler vectorises.

/// `e^x` for `x ≤ 0`, within 2 units in the last place; below −87 it is e⁻⁸⁷, 10⁻³⁸, which is
/// negligible in a sum that contains a 1. NaN stays NaN.
///
/// `x = n·ln 2 + r` with `|r| ≤ ln 2 / 2`, so `e^x = 2ⁿ·e^r`, and eight terms of
/// the Taylor series leave a relative error of 0.35⁸/8! = 5·10⁻⁹.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
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
    fn exp_relative_error_is_below_two_epsilon() {
        // Under Miri, each call takes a millisecond.
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
