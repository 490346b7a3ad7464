//! Integers that sort like floating-point numbers.

/// An integer that sorts like the number, which must not be NaN. −0 equals 0.
pub(crate) fn sort_key(number: f64) -> u64 {
    // Turns −0 into 0.
    let bits = (number + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sort_key_preserves_numeric_order() {
        let numbers =
            [f64::NEG_INFINITY, f64::MIN, -2.0, -1e-300, 0.0, 1e-300, 0.5, f64::MAX, f64::INFINITY];
        assert!(numbers.windows(2).all(|pair| sort_key(pair[0]) < sort_key(pair[1])));
        assert_eq!(sort_key(-0.0), sort_key(0.0));
    }
}
