//! The activations of the MLP, in place.

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

/// The exact GELU of every value, `x/2 · (1 + erf(x/√2))` (Hendrycks and Gimpel 2016).
pub fn gelu(values: &mut [f32]) {
    for value in values {
        *value = 0.5 * *value * (1.0 + libm::erff(*value * std::f32::consts::FRAC_1_SQRT_2));
    }
}

/// `x·σ(1.702·x)` of every value, the approximation of GELU that CLIP was trained with
/// (Hendrycks and Gimpel 2016).
pub fn quick_gelu(values: &mut [f32]) {
    for value in values {
        *value *= sigmoid(1.702 * *value);
    }
}

/// `a·σ(a)·b` of every row `[a | b]` of `2·dim` values (SwiGLU, Shazeer 2020), in place: the
/// results `[row, dim]` are at the start of `rows`.
///
/// # Panics
///
/// If `rows` are not whole rows.
pub fn swiglu(rows: &mut [f32], dim: usize) {
    assert!(dim > 0 && rows.len().is_multiple_of(2 * dim), "SwiGLU takes whole rows");
    for row in 0..rows.len() / (2 * dim) {
        // A result never overwrites what is still to be read: `row·dim ≤ 2·row·dim`.
        for column in 0..dim {
            let (a, b) = (rows[2 * row * dim + column], rows[(2 * row + 1) * dim + column]);
            rows[row * dim + column] = a * sigmoid(a) * b;
        }
    }
}

/// `1/(1 + e^−x)`.
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + libm::expf(-x))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of PyTorch's `x * sigmoid(1.702 * x)` and `silu(a) * b` in f64.
    #[test]
    fn activations_match_pytorch() {
        let mut values = [-3.0, -0.5, 0.0, 0.75, 4.0];
        quick_gelu(&mut values);
        let expected = [-0.018_071_31, -0.149_611_56, 0.0, 0.586_390_1, 3.995_585_3];
        for (value, expected) in values.iter().zip(expected) {
            assert!((value - expected).abs() < 1e-6, "{value} is not {expected}");
        }
        let mut rows = [1.0, -2.0, 3.0, 0.5, 0.0, 4.0, 5.0, -1.0];
        swiglu(&mut rows, 2);
        let expected = [2.193_175_7, -0.119_202_92, 0.0, -3.928_055_2];
        for (value, expected) in rows.iter().zip(expected) {
            assert!((value - expected).abs() < 1e-6, "{value} is not {expected}");
        }
        assert_eq!(sigmoid(0.0), 0.5);
        assert!(sigmoid(f32::NAN).is_nan());
    }
}
