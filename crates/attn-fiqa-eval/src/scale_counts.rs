//! Counts of values on the scale from 0 to 100: what a table or a figure needs, for any number of
//! faces, in constant memory.

use attn_fiqa::score::Band;

use crate::bands::Z;
use crate::figure::Histogram;
use crate::groups::Proportion;
use crate::statistics::weighted_quantile;

/// Number of values of the scale.
const VALUES: usize = 101;

/// How often each whole value from 0 to 100 occurs: qualities, or component measures on the same
/// scale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScaleCounts {
    /// Indexed by value.
    counts: [u64; VALUES],
    failed: u64,
}

impl Default for ScaleCounts {
    fn default() -> Self {
        Self { counts: [0; VALUES], failed: 0 }
    }
}

impl ScaleCounts {
    /// Counts a value. One below 0 stands for one that could not be computed; one above 100 counts
    /// as 100.
    pub fn add(&mut self, value: i8) {
        match usize::try_from(value) {
            Ok(value) => self.counts[value.min(VALUES - 1)] += 1,
            Err(_) => self.failed += 1,
        }
    }

    /// Adds the values of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
        self.failed += other.failed;
    }

    /// Number of values, including those that could not be computed.
    pub fn total(&self) -> u64 {
        self.computed() + self.failed
    }

    /// Number of computed values.
    pub fn computed(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Those that could not be computed.
    pub fn failed(&self) -> Proportion {
        self.part(self.failed)
    }

    /// Those in a band.
    pub fn in_band(&self, band: Band) -> Proportion {
        let inside = |&(value, _): &(usize, &u64)| Band::of(value as i8) == Some(band);
        self.part(self.counts.iter().enumerate().filter(inside).map(|(_, count)| count).sum())
    }

    /// Those below a value, and those that could not be computed.
    pub fn below(&self, value: i8) -> Proportion {
        let end = usize::try_from(value).unwrap_or(0).min(VALUES);
        self.part(self.failed + self.counts[..end].iter().sum::<u64>())
    }

    /// The quantile at `fraction` in 0 … 1 of the computed values, linearly interpolated (NumPy's
    /// default); `None` without one.
    pub fn quantile(&self, fraction: f64) -> Option<f64> {
        let ascending = self.counts.iter().enumerate().map(|(value, &count)| (value as f64, count));
        weighted_quantile(ascending, self.computed(), fraction)
    }

    /// The 95 % interval of the median: the values at the ranks `n/2 ∓ z·√n/2`, widened to integer
    /// ranks. Assumes independent values but no particular distribution.
    pub fn median_interval(&self) -> Option<[f64; 2]> {
        let last = self.computed().checked_sub(1)?;
        let n = self.computed() as f64;
        let half = Z * n.sqrt() / 2.0;
        let low = ((n / 2.0 - half).floor() - 1.0).max(0.0) as u64;
        let high = (n / 2.0 + half).ceil() as u64;
        Some([self.at_rank(low.min(last))?, self.at_rank(high.min(last))?])
    }

    /// The computed values in `bins` bins of equal width over 0 to 100; `None` without one. 100
    /// belongs to the last bin.
    pub fn histogram(&self, bins: usize) -> Option<Histogram> {
        if self.computed() == 0 || bins == 0 {
            return None;
        }
        let mut counts = vec![0; bins];
        for (value, count) in self.counts.iter().enumerate() {
            counts[(value * bins / (VALUES - 1)).min(bins - 1)] += count;
        }
        Some(Histogram { low: 0.0, high: 100.0, counts })
    }

    /// The value at a rank from 0, ascending.
    fn at_rank(&self, rank: u64) -> Option<f64> {
        let mut before = 0;
        let reached = |count: &u64| {
            before += count;
            before > rank
        };
        self.counts.iter().position(reached).map(|value| value as f64)
    }

    fn part(&self, count: u64) -> Proportion {
        let whole = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        Proportion { count: whole(count), total: whole(self.total()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::quantile;
    use crate::stream::Stream;

    #[test]
    fn counts_match_naive_statistics() {
        let mut random = Stream::new(25, 0);
        for size in [1, 2, 7, 150] {
            let values: Vec<i8> = (0..size).map(|_| random.below(102) as i8 - 1).collect();
            let mut counts = ScaleCounts::default();
            values.iter().for_each(|&value| counts.add(value));
            let mut computed: Vec<f64> =
                values.iter().filter(|&&value| value >= 0).map(|&value| value.into()).collect();
            computed.sort_by(f64::total_cmp);
            assert_eq!(counts.total(), values.len() as u64);
            assert_eq!(counts.computed(), computed.len() as u64);
            for fraction in [0.0, 0.1, 0.25, 0.5, 0.9, 1.0] {
                assert_eq!(counts.quantile(fraction), quantile(&computed, fraction));
            }
            for limit in [0, 1, 40, 100] {
                let below = values.iter().filter(|&&value| value < limit).count();
                assert_eq!(counts.below(limit), Proportion { count: below, total: size });
            }
            let histogram = counts.histogram(20);
            assert_eq!(histogram.map_or(0, |found| found.total()), computed.len() as u64);
        }
        assert_eq!(ScaleCounts::default().median_interval(), None);
    }

    #[test]
    fn median_interval_has_the_ranks_of_order_statistics() {
        // n values equal to their ranks from 0; of ranks from 1, n/2 ∓ 1.96·√n/2 and one more above.
        for (n, expected) in [
            (1, [0.0, 0.0]),
            (7, [0.0, 6.0]),
            // 12.12 and 1 + 23.88.
            (36, [11.0, 24.0]),
            // 40.2 and 1 + 59.8.
            (100, [39.0, 60.0]),
        ] {
            let mut counts = ScaleCounts::default();
            (0..n).for_each(|value| counts.add(value));
            assert_eq!(counts.median_interval(), Some(expected), "{n}");
        }
        // The same ranks among values that occur several times.
        let mut counts = ScaleCounts::default();
        (0..100).for_each(|rank| counts.add([10, 20, 30][rank / 40]));
        assert_eq!(counts.median_interval(), Some([10.0, 20.0]));
    }

    #[test]
    fn values_above_the_scale_count_as_its_end() {
        let mut counts = ScaleCounts::default();
        [100, 101, 127, -5].into_iter().for_each(|value| counts.add(value));
        assert_eq!((counts.computed(), counts.failed().count), (3, 1));
        assert_eq!(counts.quantile(0.0), Some(100.0));
    }

    #[test]
    fn bins_and_bands_have_the_same_edges() {
        let mut counts = ScaleCounts::default();
        (0..=100).for_each(|value| counts.add(value));
        let histogram = counts.histogram(5).expect("values");
        let bands = Band::ALL.map(|band| counts.in_band(band).count as u64);
        assert_eq!(histogram.counts, bands);
        assert_eq!(bands, [20, 20, 20, 20, 21]);
    }
}
