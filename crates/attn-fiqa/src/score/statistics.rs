//! Statistics of the full attention matrix that have no closed form.

/// The largest value; NaN if any value is NaN, so that NaN is not hidden.
pub(crate) fn maximum(values: &[f32]) -> f32 {
    values.iter().copied().fold(f32::NEG_INFINITY, |max, value| {
        if max.is_nan() || value.is_nan() { f32::NAN } else { max.max(value) }
    })
}

/// The median; for an even count, the lower of the two middle values. Reorders `values`.
pub(crate) fn lower_median(values: &mut [f32]) -> f32 {
    if values.iter().any(|value| value.is_nan()) {
        return f32::NAN;
    }
    let Some(middle) = values.len().checked_sub(1) else {
        return f32::NAN;
    };
    *values.select_nth_unstable_by(middle / 2, f32::total_cmp).1
}

/// One over the sample standard deviation (divisor n − 1).
pub(crate) fn inverse_std(values: &[f32]) -> f32 {
    let count = values.len() as f64;
    let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
    let squares: f64 = values.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum();
    (1.0 / (squares / (count - 1.0)).sqrt()) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_count_is_the_lower_middle() {
        assert_eq!(lower_median(&mut [4.0, 1.0, 3.0, 2.0]), 2.0);
        assert_eq!(lower_median(&mut [5.0, 1.0, 3.0]), 3.0);
    }

    #[test]
    fn inverse_std_uses_sample_standard_deviation() {
        // Squares 1, 0, 1 over n − 1 = 2.
        assert_eq!(inverse_std(&[1.0, 2.0, 3.0]), 1.0);
    }

    #[test]
    fn nan_is_propagated() {
        let values = [1.0, f32::NAN, 2.0];
        assert!(maximum(&values).is_nan());
        assert!(lower_median(&mut values.clone()).is_nan());
        assert!(inverse_std(&values).is_nan());
    }
}
