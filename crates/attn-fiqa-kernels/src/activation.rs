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
