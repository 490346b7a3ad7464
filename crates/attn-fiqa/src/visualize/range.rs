//! The range of a colour scale.

use super::VisualizeError;

/// The patch values shown in the first and in the last colour, in the units of the score. Both are
/// finite and low ≤ high.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ColorRange {
    low: f32,
    high: f32,
}

impl ColorRange {
    /// A fixed range, for images that will be compared across sets.
    ///
    /// # Errors
    /// [`VisualizeError::Range`] if an end is not finite or low > high.
    pub fn new(low: f32, high: f32) -> Result<Self, VisualizeError> {
        if low.is_finite() && high.is_finite() && low <= high {
            Ok(Self { low, high })
        } else {
            Err(VisualizeError::Range { low, high })
        }
    }

    /// The value shown in the first colour.
    pub fn low(self) -> f32 {
        self.low
    }

    /// The value shown in the last colour.
    pub fn high(self) -> f32 {
        self.high
    }

    /// Whether a value lies in the range.
    pub fn contains(self, value: f32) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// The position of a value between low (0) and high (1); values outside are clipped.
    ///
    /// For a range of a single value, that value is mapped to the middle, 0.5, lower ones to 0 and
    /// higher ones to 1.
    pub(super) fn fraction(self, value: f32) -> f32 {
        if value < self.low {
            0.0
        } else if value > self.high {
            1.0
        } else if self.low == self.high {
            0.5
        } else {
            // The width of a range of finite f32 can exceed the largest f32.
            let (low, high) = (f64::from(self.low), f64::from(self.high));
            ((f64::from(value) - low) / (high - low)) as f32
        }
    }
}

/// The smallest and the largest patch value of a set of maps, gathered map by map.
#[derive(Debug, Clone, Copy, Default)]
pub struct RangeOverSet {
    ends: Option<(f32, f32)>,
}

impl RangeOverSet {
    /// Widens the range to include these values. Infinities and NaN are ignored, since rendering
    /// refuses them.
    pub fn include(&mut self, values: &[f32]) {
        for &value in values.iter().filter(|value| value.is_finite()) {
            let (low, high) = self.ends.unwrap_or((value, value));
            self.ends = Some((low.min(value), high.max(value)));
        }
    }

    /// The range so far; `None` before the first finite value.
    pub fn range(&self) -> Option<ColorRange> {
        self.ends.map(|(low, high)| ColorRange { low, high })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn single_value_range_does_not_divide_by_zero() {
        let range = ColorRange::new(-0.5, -0.5).unwrap();
        assert_eq!([-0.6, -0.5, -0.4].map(|v| range.fraction(v)), [0.0, 0.5, 1.0]);
    }

    #[test]
    fn the_widest_range_does_not_overflow() {
        let range = ColorRange::new(f32::MIN, f32::MAX).unwrap();
        assert_eq!([f32::MIN, 0.0, f32::MAX].map(|v| range.fraction(v)), [0.0, 0.5, 1.0]);
    }

    #[test]
    fn invalid_ranges_are_rejected() {
        for (low, high) in [(1.0, 0.0), (f32::NAN, 1.0), (0.0, f32::INFINITY)] {
            let refused = ColorRange::new(low, high);
            assert!(matches!(refused, Err(VisualizeError::Range { .. })), "{low} … {high}");
        }
    }

    #[test]
    fn non_finite_values_give_no_range() {
        let mut range = RangeOverSet::default();
        range.include(&[f32::NAN, f32::INFINITY]);
        assert_eq!(range.range(), None);
    }

    proptest! {
        #[test]
        fn the_range_of_parts_is_the_range_of_the_whole(
            parts in prop::collection::vec(prop::collection::vec(prop::num::f32::ANY, 0..8), 0..6)
        ) {
            let mut gathered = RangeOverSet::default();
            for part in &parts {
                gathered.include(part);
            }
            let mut whole: Vec<f32> = parts.concat().into_iter().filter(|v| v.is_finite()).collect();
            whole.sort_by(f32::total_cmp);
            let ends = gathered.range().map(|range| (range.low(), range.high()));
            // Compared as numbers: −0 and 0 are the same end.
            prop_assert_eq!(ends, whole.first().copied().zip(whole.last().copied()));
        }

        #[test]
        fn fractions_lie_between_0_and_1_and_keep_the_order(
            low in -3.0f32..0.0, width in 0.0f32..3.0, a in -5.0f32..5.0, b in -5.0f32..5.0
        ) {
            let range = ColorRange::new(low, low + width).unwrap();
            let (small, large) = (range.fraction(a.min(b)), range.fraction(a.max(b)));
            prop_assert!(0.0 <= small && small <= large && large <= 1.0);
            prop_assert_eq!(range.contains(a), low <= a && a <= low + width);
        }
    }
}
