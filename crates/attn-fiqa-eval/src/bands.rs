//! Error rates by bands of quality.

use attn_fiqa::score::Band;

use crate::comparisons::{Comparisons, Pair};
use crate::error::{EvalError, check_count};
use crate::rates::OperatingPoint;
use crate::statistics::ratio;

/// The comparisons whose lower-quality image is in one band.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BandErrors {
    /// `None` for images whose quality could not be computed.
    pub band: Option<Band>,
    /// Images of the band that occur in a comparison.
    pub images: usize,
    /// Mated comparisons.
    pub mated: usize,
    /// Mated comparisons that did not match.
    pub false_non_matches: usize,
    /// Non-mated comparisons.
    pub non_mated: usize,
    /// Non-mated comparisons that matched.
    pub false_matches: usize,
}

impl BandErrors {
    /// FNMR; `None` without mated comparisons.
    pub fn fnmr(&self) -> Option<f64> {
        ratio(self.false_non_matches, self.mated)
    }

    /// FMR; `None` without non-mated comparisons.
    pub fn fmr(&self) -> Option<f64> {
        ratio(self.false_matches, self.non_mated)
    }

    /// The 95 % interval of the FNMR for independent comparisons.
    pub fn fnmr_interval(&self) -> Option<[f64; 2]> {
        wilson(self.false_non_matches, self.mated)
    }
}

/// The 97.5 % quantile of the standard normal distribution.
pub(crate) const Z: f64 = 1.959_963_984_540_054;

/// The 95 % score interval of a fraction (Wilson 1927), which is also sensible if none or all of a
/// few comparisons fail.
pub(crate) fn wilson(part: usize, of: usize) -> Option<[f64; 2]> {
    let found = ratio(part, of)?;
    let n = of as f64;
    let shrink = 1.0 + Z * Z / n;
    let middle = (found + Z * Z / (2.0 * n)) / shrink;
    let half = Z / shrink * (found * (1.0 - found) / n + Z * Z / (4.0 * n * n)).sqrt();
    // Exact at the two ends, which rounding would miss.
    let low = if part == 0 { 0.0 } else { (middle - half).max(0.0) };
    let high = if part == of { 1.0 } else { (middle + half).min(1.0) };
    Some([low, high])
}

/// The errors of each band at one common threshold, as in a deployed system: one row per band,
/// worst first, preceded by a row for failures if there are any. A comparison belongs to the band
/// of its lower-quality image.
///
/// `qualities` holds one quality per image, indexed by `pairs`.
///
/// # Errors
///
/// [`EvalError`] if the number of pairs differs from the number of comparisons.
pub fn by_band(
    comparisons: &Comparisons,
    pairs: &[Pair],
    qualities: &[i8],
    point: &OperatingPoint,
) -> Result<Vec<BandErrors>, EvalError> {
    check_count(("pairs", pairs.len()), ("comparisons", comparisons.len()))?;
    let place = |band: Option<Band>| band.map_or(0, |band| 1 + band as usize);
    let mut rows: Vec<BandErrors> = std::iter::once(None)
        .chain(Band::ALL.map(Some))
        .map(|band| BandErrors {
            band,
            images: 0,
            mated: 0,
            false_non_matches: 0,
            non_mated: 0,
            false_matches: 0,
        })
        .collect();
    let mut seen = vec![false; qualities.len()];
    for (index, pair) in pairs.iter().enumerate() {
        let of = [pair.a, pair.b].map(|image| image as usize);
        of.iter().for_each(|&image| seen[image] = true);
        let row = &mut rows[place(Band::of(qualities[of[0]].min(qualities[of[1]])))];
        let is_match = point.threshold.accepts(comparisons, index);
        if pair.mated {
            row.mated += 1;
            row.false_non_matches += usize::from(!is_match);
        } else {
            row.non_mated += 1;
            row.false_matches += usize::from(is_match);
        }
    }
    for (&quality, _) in qualities.iter().zip(&seen).filter(|(_, seen)| **seen) {
        rows[place(Band::of(quality))].images += 1;
    }
    if rows[0].images == 0 {
        rows.remove(0);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparisons::ScoreScale;
    use crate::edc::{Evaluator, Target};
    use crate::rates::operating_points;

    #[test]
    fn bands_sum_to_total_and_use_worse_image() {
        // Image i has quality i; pair i is images i and 100.
        let qualities: Vec<i8> = (0..=100).collect();
        let mut pairs = Vec::new();
        let mut scores = Vec::new();
        for image in 0..100_u32 {
            for mated in [true, false] {
                pairs.push(Pair { a: 100, b: image, mated });
                let fails = image < 20 && image % 2 == 0;
                scores.push(if mated && !fails { 0.9 } else { 0.1 + f64::from(image) / 1e4 });
            }
        }
        let mated = pairs.iter().map(|pair| pair.mated).collect();
        let set = Comparisons::new(scores, mated, ScoreScale::Similarity).expect("comparisons");
        let evaluator = Evaluator::new(&set);
        let point = operating_points(&evaluator, &[Target::Fmr(0.01)]).expect("a point")[0];
        let rows = by_band(&set, &pairs, &qualities, &point).expect("bands");
        assert_eq!(rows.iter().map(|row| row.band).collect::<Vec<_>>(), Band::ALL.map(Some));
        assert_eq!(rows.iter().map(|row| row.images).collect::<Vec<_>>(), [20, 20, 20, 20, 21]);
        assert_eq!(rows.iter().map(|row| row.mated).collect::<Vec<_>>(), [20, 20, 20, 20, 20]);
        let failed: usize = rows.iter().map(|row| row.false_non_matches).sum();
        assert!((failed as f64 / 100.0 - point.fnmr).abs() < 1e-12);
        assert_eq!(rows[0].fnmr(), Some(0.5));
        assert_eq!(rows[4].fnmr(), Some(0.0));
        let mut failed = qualities.clone();
        failed[100] = -1;
        let rows = by_band(&set, &pairs, &failed, &point).expect("bands");
        assert_eq!((rows[0].band, rows[0].images, rows[0].mated), (None, 1, 100));
        assert!(by_band(&set, &pairs[1..], &qualities, &point).is_err());
    }

    #[test]
    fn wilson_intervals_match_known_values() {
        // Values of the closed formula, computed by hand for 5 of 50 and 0 of 10.
        let [low, high] = wilson(5, 50).expect("an interval");
        assert!((low - 0.043_5).abs() < 5e-4 && (high - 0.213_6).abs() < 5e-4, "{low} {high}");
        let [low, high] = wilson(0, 10).expect("an interval");
        assert!(low == 0.0 && (high - 0.277_5).abs() < 5e-4, "{low} {high}");
        assert_eq!(wilson(0, 0), None);
    }
}
