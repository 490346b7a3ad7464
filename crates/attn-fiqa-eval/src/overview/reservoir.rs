//! A uniform sample of a stream of unknown length.

use crate::stream::Stream;

/// A sample by Vitter's Algorithm R (1985): every value of the stream is in it with the same
/// probability. A stream that is not longer than the sample is kept whole.
#[derive(Debug, Clone)]
pub(super) struct Reservoir {
    capacity: usize,
    values: Vec<f32>,
    seen: u64,
    random: Stream,
}

impl Reservoir {
    /// A sample of at most `capacity` values, which depends only on `number` and the stream.
    pub(super) fn new(capacity: usize, number: u64) -> Self {
        Self { capacity, values: Vec::new(), seen: 0, random: Stream::new(0, number) }
    }

    pub(super) fn add(&mut self, value: f32) {
        self.seen += 1;
        if self.values.len() < self.capacity {
            self.values.push(value);
            return;
        }
        let place = self.random.below(usize::try_from(self.seen).unwrap_or(usize::MAX));
        if let Some(kept) = self.values.get_mut(place) {
            *kept = value;
        }
    }

    /// Number of values in the stream.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// The sample, ascending.
    pub(super) fn into_sorted(self) -> Vec<f64> {
        let mut values: Vec<f64> = self.values.into_iter().map(f64::from).collect();
        values.sort_unstable_by(f64::total_cmp);
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservoir_keeps_short_streams_and_samples_long_ones() {
        let mut short = Reservoir::new(10, 0);
        [3.0, 1.0, 2.0].into_iter().for_each(|value| short.add(value));
        assert_eq!(short.into_sorted(), [1.0, 2.0, 3.0]);
        let mut long = Reservoir::new(2_000, 1);
        (0..100_000_u32).for_each(|value| long.add(value as f32));
        assert_eq!(long.seen(), 100_000);
        let sample = long.into_sorted();
        assert_eq!(sample.len(), 2_000);
        // The median of 2,000 of them is within 3.5 standard deviations of 50,000.
        assert!((sample[1_000] - 50_000.0).abs() < 3.5 * 100_000.0 / (2.0 * 2_000f64.sqrt()));
    }
}
