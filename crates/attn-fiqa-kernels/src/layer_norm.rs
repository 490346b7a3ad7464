//! Layer normalisation over the last dimension.

use crate::isa::for_every_isa;

/// Partial sums: one AVX-512 register, two AVX2, four SSE2.
const LANES: usize = 16;

for_every_isa! {
    /// `out = (x − mean) / √(variance + eps) · weight + bias`, row by row.
    ///
    /// `x` and `out` are `[rows, dim]` with `dim = weight.len()`; the variance is the biased one
    /// (Ba et al. 2016, equation 3), computed in a second pass over the centred values so that a
    /// large mean does not cost precision.
    ///
    /// # Panics
    ///
    /// If `x` and `out` differ in length or do not consist of whole rows, or `bias` and `weight`
    /// differ in length.
    pub fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, out: &mut [f32]) {
        let dim = weight.len();
        assert!(dim > 0 && bias.len() == dim, "weight and bias of a LayerNorm differ in length");
        assert!(x.len() == out.len() && x.len().is_multiple_of(dim), "a LayerNorm takes whole rows");
        for (row, out) in x.chunks_exact(dim).zip(out.chunks_exact_mut(dim)) {
            let mean = lane_sum(row, |value| value) / dim as f32;
            let variance = lane_sum(row, |value| (value - mean) * (value - mean)) / dim as f32;
            let inverse = 1.0 / (variance + eps).sqrt();
            for (((out, &value), &weight), &bias) in out.iter_mut().zip(row).zip(weight).zip(bias) {
                *out = (value - mean) * inverse * weight + bias;
            }
        }
    }
}

for_every_isa! {
    /// `out = (x − mean) / √(variance + eps)`, row by row: [`layer_norm()`] without its affine
    /// part, which is folded into the next linear layer when that is loaded.
    ///
    /// # Panics
    ///
    /// If `x` and `out` differ in length or do not consist of whole rows of `dim` values.
    pub fn standardise(x: &[f32], dim: usize, eps: f32, out: &mut [f32]) {
        assert!(dim > 0 && x.len() == out.len(), "standardised rows differ in length");
        assert!(x.len().is_multiple_of(dim), "standardised rows are whole rows");
        for (row, out) in x.chunks_exact(dim).zip(out.chunks_exact_mut(dim)) {
            let mean = lane_sum(row, |value| value) / dim as f32;
            let variance = lane_sum(row, |value| (value - mean) * (value - mean)) / dim as f32;
            let inverse = 1.0 / (variance + eps).sqrt();
            for (out, &value) in out.iter_mut().zip(row) {
                *out = (value - mean) * inverse;
            }
        }
    }
}

/// Sums `f` of every value over [`LANES`] lanes that are added in order at the end.
#[inline(always)]
pub(crate) fn lane_sum(values: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += f(value);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane += f(value);
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}
