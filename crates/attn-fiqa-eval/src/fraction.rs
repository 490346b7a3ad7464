//! Fractions and rates given by users.

use std::str::FromStr;

/// A number from 0 to 1 inclusive: a discard fraction, a rate, a confidence level.
///
/// ```
/// use attn_fiqa_eval::Fraction;
///
/// let discarded: Fraction = "0.3".parse()?;
/// assert_eq!(discarded.get(), 0.3);
/// assert!("1e-3".parse::<Fraction>()?.is_inside());
/// assert!("1.5".parse::<Fraction>().is_err());
/// # Ok::<(), attn_fiqa_eval::NotAFraction>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Fraction(f64);

/// Not a [`Fraction`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a number from 0 to 1, found '{found}'")]
pub struct NotAFraction {
    found: String,
}

impl Fraction {
    /// `None` unless `value` is in the closed interval `[0, 1]`.
    pub fn new(value: f64) -> Option<Self> {
        (0.0..=1.0).contains(&value).then_some(Self(value))
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }

    /// Whether it is in the open interval `(0, 1)`, as a target rate of a study.
    pub fn is_inside(self) -> bool {
        self.0 > 0.0 && self.0 < 1.0
    }
}

/// A fraction of a count. A product that is whole except for rounding error is that whole number,
/// so that it can be rounded up or down.
pub(crate) fn portion(fraction: f64, count: u64) -> f64 {
    let product = fraction * count as f64;
    let whole = product.round();
    if (product - whole).abs() <= 1e-12 * product { whole } else { product }
}

impl FromStr for Fraction {
    type Err = NotAFraction;

    fn from_str(text: &str) -> Result<Self, NotAFraction> {
        let value = text.trim().parse().ok().and_then(Self::new);
        value.ok_or_else(|| NotAFraction { found: crate::files::sanitized(text) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portion_is_whole_except_for_a_real_remainder() {
        for hundredths in 0..=100 {
            let fraction = f64::from(hundredths) / 100.0;
            assert_eq!(portion(fraction, 100), f64::from(hundredths));
            assert_eq!(portion(fraction, 100_000_000), f64::from(hundredths) * 1e6);
        }
        assert_eq!(portion(1.0 / 3.0, 3), 1.0);
        assert_eq!(portion(0.125, 10), 1.25);
        assert!(portion(1e-12, 3) > 0.0);
    }

    #[test]
    fn fraction_parses_only_zero_to_one() {
        for (text, inside) in [("0", false), ("1", false), ("0.5", true), (" 1e-4 ", true)] {
            assert_eq!(text.parse::<Fraction>().map(Fraction::is_inside), Ok(inside), "{text}");
        }
        for text in ["", "-0.1", "1.0000001", "nan", "inf", "30%", "0,3"] {
            let error = text.parse::<Fraction>().expect_err(text).to_string();
            assert_eq!(error, format!("expected a number from 0 to 1, found '{text}'"));
        }
    }
}
