//! Numbers for tests, determined by a seed.

/// The nearest value with eight significant bits, ties to even.
#[allow(dead_code, reason = "not every test program needs it")]
pub(crate) fn nearest_bf16(value: f32) -> f32 {
    if value == 0.0 {
        return value;
    }
    let step = 2f64.powi(f64::from(value).abs().log2().floor() as i32 - 7);
    ((f64::from(value) / step).round_ties_even() * step) as f32
}

/// `count` numbers from −1 to 1.
pub(crate) fn values(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}
