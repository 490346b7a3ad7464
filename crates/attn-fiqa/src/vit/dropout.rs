//! Pseudo-random dropout, the same every time.

use crate::random::{STEP, split_mix};

/// Fraction of the values that are dropped.
const RATE: f32 = 0.2;

/// Sets a fifth of `values` to zero and scales the rest to keep the expected sum. `seed` and the
/// position alone decide which ones are dropped.
pub(super) fn drop_out(values: &mut [f32], seed: u64) {
    let kept = 1.0 / (1.0 - RATE);
    let limit = (f64::from(RATE) * 2f64.powi(64)) as u64;
    for (place, value) in values.iter_mut().enumerate() {
        let hash = split_mix(seed.wrapping_mul(STEP).wrapping_add(place as u64));
        *value *= if hash < limit { 0.0 } else { kept };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_is_dropped_and_the_mean_stays() {
        let mut values = vec![1.0f32; 100_000];
        drop_out(&mut values, 3);
        let zeros = values.iter().filter(|&&value| value == 0.0).count();
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        assert!((19_500..20_500).contains(&zeros), "{zeros}");
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        let mut again = vec![1.0f32; 100_000];
        drop_out(&mut again, 3);
        assert_eq!(again, values);
        let mut other = vec![1.0f32; 100_000];
        drop_out(&mut other, 4);
        assert_ne!(other, values);
    }
}
