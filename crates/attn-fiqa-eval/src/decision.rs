//! When a comparison is a match, and how the threshold is determined.
//!
//! There is one rule for every measurement except the papers' protocol
//! ([`Protocol::Crfiqa`](crate::edc::Protocol::Crfiqa)), which has its own: a comparison is a match
//! if its distance is at most the threshold, consistently for both error rates. The FMR is the
//! fraction of non-mated comparisons that match, the FNMR the fraction of mated ones that do not.

use crate::comparisons::{Comparisons, ScoreScale};
use crate::edc::{Evaluator, Weights};
use crate::error::{EvalError, check_rate};
use crate::statistics::weighted_quantile;

/// Distances this much beyond a threshold on similarities are checked as well: far more than the
/// rounding error of an arccosine.
const DISTANCE_SLACK: f64 = 1e-9;

/// What determines a threshold: exactly one of these.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// The threshold itself, on the comparisons' own scale: for cosines and similarities the lowest
    /// score that is a match, for distances the highest.
    Threshold(f64),
    /// A false match rate: the threshold is the largest of all distances at which the FMR does not
    /// exceed it.
    Fmr(f64),
    /// The false non-match rate at the start of a curve: NumPy's linear quantile of the mated
    /// similarities.
    Fnmr(f64),
}

impl Target {
    /// Checks that the rate is between 0 and 1, or the threshold finite.
    ///
    /// # Errors
    ///
    /// If it is not.
    pub fn check(self) -> Result<(), EvalError> {
        match self {
            Self::Threshold(value) if !value.is_finite() => {
                Err(EvalError::NotFinite { what: "threshold", index: 0, value })
            }
            Self::Threshold(_) => Ok(()),
            Self::Fmr(rate) => check_rate("a target FMR", rate),
            Self::Fnmr(rate) => check_rate("a starting FNMR", rate),
        }
    }

    /// The rate or the threshold.
    pub fn value(self) -> f64 {
        let (Self::Threshold(value) | Self::Fmr(value) | Self::Fnmr(value)) = self;
        value
    }

    /// Whether it corresponds to less than one false match among `non_mated` comparisons, so that
    /// the threshold is unreliable.
    pub fn is_unresolved(self, non_mated: u64) -> bool {
        matches!(self, Self::Fmr(rate) if rate * (non_mated as f64) < 1.0)
    }
}

impl std::fmt::Display for Target {
    /// `FMR 1e-3`, `FNMR 0.05`, `threshold 0.4`: powers of ten as in the papers.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self {
            Self::Threshold(value) => return write!(f, "threshold {value}"),
            Self::Fmr(_) => "FMR",
            Self::Fnmr(_) => "FNMR",
        };
        let scientific = format!("{:e}", self.value());
        match scientific.starts_with("1e-") {
            true => write!(f, "{name} {scientific}"),
            false => write!(f, "{name} {}", self.value()),
        }
    }
}

/// A threshold: a comparison exactly at it is a match.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Threshold {
    /// Distances up to this are matches.
    Distance(f64),
    /// Similarities of at least this are matches.
    Similarity(f64),
}

impl Threshold {
    /// Whether comparison `index` is a match.
    ///
    /// # Panics
    ///
    /// If there is no such comparison.
    pub fn accepts(self, comparisons: &Comparisons, index: usize) -> bool {
        match self {
            Self::Distance(threshold) => comparisons.distance(index) <= threshold,
            Self::Similarity(threshold) => comparisons.similarity(index) >= threshold,
        }
    }

    /// The threshold as a distance on this scale.
    pub fn distance(self, scale: ScoreScale) -> f64 {
        match self {
            Self::Distance(threshold) => threshold,
            Self::Similarity(threshold) => scale.distance_of_similarity(threshold),
        }
    }

    /// The threshold as a similarity on this scale.
    pub fn similarity(self, scale: ScoreScale) -> f64 {
        match (self, scale) {
            (Self::Similarity(threshold), _) => threshold,
            (Self::Distance(threshold), ScoreScale::Cosine) => {
                (threshold.clamp(0.0, 1.0) * std::f64::consts::PI).cos()
            }
            (Self::Distance(threshold), _) => 0.0 - threshold,
        }
    }
}

/// A threshold with the realised error rates; a rate is absent if there is no comparison of its
/// kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Decision {
    pub(crate) threshold: Threshold,
    pub(crate) fmr: Option<f64>,
    pub(crate) fnmr: Option<f64>,
}

/// The threshold for a target in the weighted set; `None` if there is no comparison of the kind
/// that determines it.
pub(crate) fn decide(
    evaluator: &Evaluator<'_>,
    target: Target,
    weights: Weights<'_>,
) -> Option<Decision> {
    let comparisons = evaluator.comparisons();
    let threshold = match target {
        Target::Threshold(value) => match comparisons.scale() {
            ScoreScale::Distance => Threshold::Distance(value),
            ScoreScale::Cosine | ScoreScale::Similarity => Threshold::Similarity(value),
        },
        Target::Fmr(rate) => Threshold::Distance(largest_distance(evaluator, rate, weights)?),
        Target::Fnmr(rate) => Threshold::Similarity(starting_similarity(evaluator, rate, weights)?),
    };
    let [mated, non_mated] = weights.totals(comparisons);
    let [matched, falsely] = matches(evaluator, threshold, weights);
    let fraction = |part: u64, total: u64| (total > 0).then(|| part as f64 / total as f64);
    let (fmr, fnmr) = (fraction(falsely, non_mated), fraction(mated - matched, mated));
    Some(Decision { threshold, fmr, fnmr })
}

/// The largest of all distances, mated and non-mated, at which the FMR is at most `rate`. If even
/// the smallest has a higher FMR, just below it: nothing matches.
fn largest_distance(evaluator: &Evaluator<'_>, rate: f64, weights: Weights<'_>) -> Option<f64> {
    let comparisons = evaluator.comparisons();
    let [_, non_mated] = weights.totals(comparisons);
    if non_mated == 0 {
        return None;
    }
    let (mut falsely, mut smallest, mut largest) = (0, None, None);
    for equal in evaluator.equal_distances() {
        let mut here = 0;
        for &index in equal {
            let weight = weights.of(index);
            here += weight;
            falsely += if comparisons.is_mated(index as usize) { 0 } else { weight };
        }
        if here == 0 {
            continue;
        }
        smallest = smallest.or(equal.first());
        if falsely as f64 / non_mated as f64 > rate {
            break;
        }
        largest = equal.first();
    }
    let distance = |index: &u32| comparisons.distance(*index as usize);
    largest.map(distance).or_else(|| smallest.map(|index| distance(index).next_down()))
}

/// NumPy's linear quantile of the mated similarities.
fn starting_similarity(evaluator: &Evaluator<'_>, rate: f64, weights: Weights<'_>) -> Option<f64> {
    let comparisons = evaluator.comparisons();
    let [mated, _] = weights.totals(comparisons);
    let similarity = |&index: &u32| (comparisons.similarity(index as usize), weights.of(index));
    weighted_quantile(evaluator.mated().iter().map(similarity), mated, rate)
}

/// Numbers of mated and non-mated comparisons that match.
fn matches(evaluator: &Evaluator<'_>, threshold: Threshold, weights: Weights<'_>) -> [u64; 2] {
    let comparisons = evaluator.comparisons();
    let distance = threshold.distance(comparisons.scale());
    // A distance is compared directly; only a similarity may be rounded by its arccosine.
    let reach = match threshold {
        Threshold::Distance(_) => distance,
        Threshold::Similarity(_) => distance + DISTANCE_SLACK,
    };
    let by_distance = evaluator.by_distance();
    let within =
        by_distance.partition_point(|&index| comparisons.distance(index as usize) <= reach);
    let mut matched = [0; 2];
    for &index in &by_distance[..within] {
        let is_match = match threshold {
            Threshold::Distance(_) => true,
            Threshold::Similarity(_) => threshold.accepts(comparisons, index as usize),
        };
        if is_match {
            matched[usize::from(!comparisons.is_mated(index as usize))] += weights.of(index);
        }
    }
    matched
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Distances 0.1, 0.2, 0.2, 0.3, 0.4; the second 0.2 and 0.4 are non-mated.
    fn with_a_tie() -> Comparisons {
        let distances = vec![0.1, 0.2, 0.2, 0.3, 0.4];
        let mated = vec![true, true, false, true, false];
        Comparisons::new(distances, mated, ScoreScale::Distance).expect("comparisons")
    }

    #[test]
    fn threshold_is_inclusive_and_fmr_never_exceeds_target() {
        let set = with_a_tie();
        let evaluator = Evaluator::new(&set);
        let at = |target| decide(&evaluator, target, Weights::One).expect("a decision");
        let third = 1.0 / 3.0;
        let found = at(Target::Threshold(0.2));
        assert_eq!((found.fmr, found.fnmr), (Some(0.5), Some(third)));
        // 0.3 is the largest distance whose FMR is no more than a half.
        let found = at(Target::Fmr(0.5));
        assert_eq!(found.threshold, Threshold::Distance(0.3));
        assert_eq!((found.fmr, found.fnmr), (Some(0.5), Some(0.0)));
        // A target is never exceeded, although 0.5 is closer to 0.45 than 0 is.
        let found = at(Target::Fmr(0.45));
        assert_eq!(found.threshold, Threshold::Distance(0.1));
        assert_eq!((found.fmr, found.fnmr), (Some(0.0), Some(2.0 * third)));
    }

    #[test]
    fn unreachable_target_fmr_accepts_nothing() {
        let scores = vec![0.9, 0.5];
        let set = Comparisons::new(scores, vec![false, true], ScoreScale::Similarity);
        let set = set.expect("comparisons");
        let evaluator = Evaluator::new(&set);
        let found = decide(&evaluator, Target::Fmr(0.5), Weights::One).expect("a decision");
        assert_eq!((found.fmr, found.fnmr), (Some(0.0), Some(1.0)));
        assert!(!found.threshold.accepts(&set, 0));
    }

    #[test]
    fn rates_without_comparisons_are_absent() {
        use crate::edc::ResampledSet;
        let set = with_a_tie();
        let evaluator = Evaluator::new(&set);
        for kept in [true, false] {
            let some = ResampledSet::once(&set, set.mated().iter().map(|&mated| mated == kept));
            let target = Target::Threshold(0.2);
            let found = decide(&evaluator, target, Weights::Each(&some)).expect("a decision");
            let expected = if kept { (None, Some(1.0 / 3.0)) } else { (Some(0.5), None) };
            assert_eq!((found.fmr, found.fnmr), expected);
        }
    }

    #[test]
    fn threshold_converts_between_distance_and_similarity() {
        let threshold = Threshold::Similarity(0.5);
        assert!((threshold.distance(ScoreScale::Cosine) - 1.0 / 3.0).abs() < 1e-15);
        let threshold = Threshold::Distance(1.0 / 3.0);
        assert!((threshold.similarity(ScoreScale::Cosine) - 0.5).abs() < 1e-15);
        assert_eq!(threshold.similarity(ScoreScale::Distance), -1.0 / 3.0);
    }
}
