//! The activations of the MLP, in place.

use crate::exp::exp;
use crate::isa::for_every_isa;

for_every_isa! {
    /// `min(max(x, 0), 6)` of every value. NaN stays NaN, so that it shows in the score.
    pub fn relu6(values: &mut [f32]) {
        for value in values {
            let positive = if *value < 0.0 { 0.0 } else { *value };
            *value = if positive > 6.0 { 6.0 } else { positive };
        }
    }
}

for_every_isa! {
    /// The exact GELU of every value, `x·Φ(x)` (Hendrycks and Gimpel 2016), within 2·10⁻⁷ of the
    /// larger of `|x|` and 1.
    pub fn gelu(values: &mut [f32]) {
        for value in values {
            *value *= normal_distribution(*value);
        }
    }
}

for_every_isa! {
    /// `x·σ(1.702·x)` of every value, the approximation of GELU that CLIP was trained with
    /// (Hendrycks and Gimpel 2016).
    pub fn quick_gelu(values: &mut [f32]) {
        for value in values {
            *value *= logistic(1.702 * *value);
        }
    }
}

for_every_isa! {
    /// `a·σ(a)·b` of every row `[a | b]` of `2·dim` values (SwiGLU, Shazeer 2020), in place: the
    /// results `[row, dim]` are at the start of `rows`.
    ///
    /// # Panics
    ///
    /// If `rows` does not consist of whole rows.
    pub fn swiglu(rows: &mut [f32], dim: usize) {
        assert!(dim > 0 && rows.len().is_multiple_of(2 * dim), "SwiGLU takes whole rows");
        let (first, gates) = rows.split_at_mut(dim.min(rows.len()));
        for (a, b) in first.iter_mut().zip(gates) {
            *a *= logistic(*a) * *b;
        }
        for row in 1..rows.len() / (2 * dim) {
            // A row's result ends at or before the start of the row itself.
            let (results, row_and_rest) = rows.split_at_mut(2 * row * dim);
            let (a, b) = row_and_rest[..2 * dim].split_at(dim);
            for ((result, a), b) in results[row * dim..][..dim].iter_mut().zip(a).zip(b) {
                *result = *a * (logistic(*a) * *b);
            }
        }
    }
}

/// Φ, the distribution function of the standard normal distribution: for a negative value `−z`, it
/// is the upper tail `e^(−z²/2)·t·P(t)` with `t = 1/(1 + 0.27·z)`. `P` minimises the largest
/// relative error for `z` up to 13.2: 2·10⁻⁸.
#[inline(always)]
fn normal_distribution(x: f32) -> f32 {
    const P: [f32; 9] = [
        0.028_811_509,
        -0.125_731_48,
        0.168_163_51,
        -0.067_270_674,
        0.106_418_75,
        0.072_681_65,
        0.101_639_25,
        0.107_568_45,
        0.107_719_05,
    ];
    let z = x.abs();
    let t = 1.0 / (1.0 + 0.27 * z);
    let mut series = P[0];
    for coefficient in &P[1..] {
        series = series * t + coefficient;
    }
    let tail = exp(-0.5 * z * z) * (series * t);
    if x < 0.0 { tail } else { 1.0 - tail }
}

/// σ, like [`sigmoid`] but vectorised.
#[inline(always)]
fn logistic(x: f32) -> f32 {
    let power = exp(-x.abs());
    let inverse = 1.0 / (1.0 + power);
    if x < 0.0 { power * inverse } else { inverse }
}

/// `1/(1 + e^−x)`.
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + libm::expf(-x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;

    /// Steps over all arguments that matter, more of them small than large.
    fn arguments() -> Vec<f32> {
        let every = if cfg!(miri) { 997 } else { 1 };
        let steps = (-20_000..20_000).step_by(every).map(|step| step as f32 / 20_000.0);
        steps.map(|step| 15.0 * step * step.abs()).collect()
    }

    /// The results of an activation on every instruction set, which must have the same bits.
    fn assert_same_on_every_isa(run: impl Fn(Isa, &mut Vec<f32>)) -> Vec<f32> {
        let found = Isa::available().into_iter().map(|isa| {
            let mut values = arguments();
            run(isa, &mut values);
            values
        });
        let found: Vec<Vec<f32>> = found.collect();
        assert!(found.iter().all(|values| *values == found[0]));
        found[0].clone()
    }

    #[test]
    fn gelu_meets_the_definition_on_every_isa() {
        for (x, found) in
            arguments().into_iter().zip(assert_same_on_every_isa(|isa, x| gelu(isa, x)))
        {
            let x = f64::from(x);
            let expected = x * 0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2);
            let error = (f64::from(found) - expected).abs() / x.abs().max(1.0);
            assert!(error < 2e-7, "gelu({x}) is {found} and not {expected}");
            let relative = (f64::from(found) / expected - 1.0).abs();
            assert!(x < -12.0 || x == 0.0 || relative < 1e-5, "gelu({x}) is off by {relative:e}");
        }
    }

    #[test]
    fn sigmoids_meet_the_definition_on_every_isa() {
        let exact = |x: f64| 1.0 / (1.0 + (-x).exp());
        let quick = assert_same_on_every_isa(|isa, x| quick_gelu(isa, x));
        let gated = assert_same_on_every_isa(|isa, x| {
            // Every row is an argument and a gate of 3.
            *x = x.iter().flat_map(|&x| [x, 3.0]).collect();
            swiglu(isa, x, 1);
            x.truncate(x.len() / 2);
        });
        for ((x, quick), gated) in arguments().into_iter().zip(quick).zip(gated) {
            let x = f64::from(x);
            let error = |found: f32, expected: f64| (f64::from(found) / expected - 1.0).abs();
            assert!(x == 0.0 || error(quick, x * exact(1.702 * x)) < 1e-5, "{x}: {quick}");
            assert!(x == 0.0 || error(gated, 3.0 * x * exact(x)) < 1e-5, "{x}: {gated}");
        }
    }

    #[test]
    fn activations_propagate_nan() {
        for isa in Isa::available() {
            let mut values = [f32::NAN; 3];
            gelu(isa, &mut values[..1]);
            quick_gelu(isa, &mut values[1..2]);
            assert!(values.iter().all(|value| value.is_nan()), "{}", isa.name());
            for mut row in [[f32::NAN, 1.0], [1.0, f32::NAN]] {
                swiglu(isa, &mut row, 1);
                assert!(row[0].is_nan(), "{}", isa.name());
            }
        }
    }

    /// Values from PyTorch's `x * sigmoid(1.702 * x)` and `silu(a) * b` in f64.
    #[test]
    fn activations_match_pytorch() {
        let mut values = [-3.0, -0.5, 0.0, 0.75, 4.0];
        quick_gelu(Isa::widest(), &mut values);
        let expected = [-0.018_071_31, -0.149_611_56, 0.0, 0.586_390_1, 3.995_585_3];
        for (value, expected) in values.iter().zip(expected) {
            assert!((value - expected).abs() < 1e-6, "{value} is not {expected}");
        }
        let mut rows = [1.0, -2.0, 3.0, 0.5, 0.0, 4.0, 5.0, -1.0];
        swiglu(Isa::widest(), &mut rows, 2);
        swiglu(Isa::widest(), &mut [], 2);
        let expected = [2.193_175_7, -0.119_202_92, 0.0, -3.928_055_2];
        for (value, expected) in rows.iter().zip(expected) {
            assert!((value - expected).abs() < 1e-6, "{value} is not {expected}");
        }
        assert_eq!(sigmoid(0.0), 0.5);
        assert!(sigmoid(f32::NAN).is_nan());
    }
}
