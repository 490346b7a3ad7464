//! Numbers as they are typed, with the range that each has to be in.

use std::fmt::Display;
use std::ops::RangeBounds;
use std::str::FromStr;

use attn_fiqa_eval::Fraction;

/// A finite number within `range`; `expected` says which that is.
fn within<T>(text: &str, range: impl RangeBounds<T>, expected: &str) -> Result<T, String>
where
    T: FromStr + PartialOrd + Display,
{
    let number: Option<T> = text.parse().ok();
    number.filter(|number| range.contains(number)).ok_or_else(|| format!("expected {expected}"))
}

/// From 0 to 1, both included.
pub(super) fn fraction(text: &str) -> Result<f64, String> {
    let fraction = text.parse::<Fraction>().map(Fraction::get);
    fraction.map_err(|_| "expected a number from 0 to 1".to_owned())
}

/// The same in single precision.
pub(super) fn fraction_f32(text: &str) -> Result<f32, String> {
    fraction(text).map(|fraction| fraction as f32)
}

/// A false match rate at which a threshold can be set: above 0 and up to 0.5.
pub(super) fn false_match_rate(text: &str) -> Result<f64, String> {
    within(text, f64::MIN_POSITIVE..=0.5, "a number above 0 and up to 0.5")
}

/// Any finite number.
pub(super) fn finite(text: &str) -> Result<f64, String> {
    within(text, f64::MIN..=f64::MAX, "a finite number")
}

/// Any finite number in single precision.
pub(super) fn finite_f32(text: &str) -> Result<f32, String> {
    within(text, f32::MIN..=f32::MAX, "a finite number")
}

/// A length in pixels, 0 or more.
pub(super) fn pixels(text: &str) -> Result<f32, String> {
    within(text, 0.0..=f32::MAX, "a number of pixels, 0 or more")
}

/// Frames per second.
pub(super) fn frame_rate(text: &str) -> Result<f64, String> {
    within(text, f64::MIN_POSITIVE..=1000.0, "a number above 0 and up to 1000")
}

/// A number of bytes, with K, M, G or T for powers of 1024.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let text = text.trim_end_matches(['B', 'b']).trim_end_matches(['i', 'I']);
    let (digits, shift) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 10),
        Some((at, 'm' | 'M')) => (&text[..at], 20),
        Some((at, 'g' | 'G')) => (&text[..at], 30),
        Some((at, 't' | 'T')) => (&text[..at], 40),
        _ => (text, 0),
    };
    let number: Option<u64> = digits.trim().parse().ok();
    let bytes = number.and_then(|number| number.checked_mul(1 << shift));
    bytes.filter(|&bytes| bytes > 0).ok_or("expected a number of bytes, such as 800M or 4G".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_of_range_numbers_are_rejected() {
        for text in ["0", "1", "0.5"] {
            assert!(fraction(text).is_ok() && fraction_f32(text).is_ok(), "{text}");
        }
        for text in ["-0.1", "1.1", "nan", "inf", "", "half"] {
            assert!(fraction(text).is_err() && fraction_f32(text).is_err(), "{text}");
        }
        assert!(false_match_rate("0").is_err() && false_match_rate("0.5").is_ok());
        assert!(frame_rate("0").is_err() && frame_rate("1000").is_ok());
        assert!(finite("inf").is_err() && finite_f32("nan").is_err() && finite("-3").is_ok());
        assert!(pixels("-1").is_err() && pixels("0").is_ok() && pixels("inf").is_err());
    }

    #[test]
    fn byte_sizes_accept_binary_suffixes() {
        assert_eq!(bytes("800M"), Ok(800 << 20));
        assert_eq!(bytes("4GiB"), Ok(4 << 30));
        assert!(bytes("0").is_err() && bytes("M").is_err() && bytes("-1").is_err());
    }
}
