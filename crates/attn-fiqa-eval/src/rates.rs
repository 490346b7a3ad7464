//! The two error rates of a set of comparisons, with nothing discarded.

use crate::decision::{Target, Threshold, decide};
use crate::edc::{Evaluator, Weights};
use crate::error::EvalError;

/// Maximum number of points of a DET curve: more would be invisible on a screen.
const DET_POINTS: usize = 400;

/// A threshold and the error rates that it realises, by the rule of [`crate::decision`].
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct OperatingPoint {
    /// The requested target.
    pub target: Target,
    /// The threshold.
    pub threshold: Threshold,
    /// The threshold as a distance.
    pub distance: f64,
    /// The FMR realised.
    pub fmr: f64,
    /// The FNMR there.
    pub fnmr: f64,
    /// Whether the target corresponds to less than one false match among the non-mated comparisons,
    /// so that the threshold is unreliable.
    pub unresolved: bool,
}

/// The FMR and FNMR at each target.
///
/// # Errors
///
/// If a rate is not between 0 and 1, or a threshold not finite.
pub fn operating_points(
    evaluator: &Evaluator<'_>,
    targets: &[Target],
) -> Result<Vec<OperatingPoint>, EvalError> {
    let comparisons = evaluator.comparisons();
    let point = |&target: &Target| {
        target.check()?;
        let both = "comparisons hold mated and non-mated ones: this is a bug";
        let decision = decide(evaluator, target, Weights::One).expect(both);
        Ok(OperatingPoint {
            target,
            threshold: decision.threshold,
            distance: decision.threshold.distance(comparisons.scale()),
            fmr: decision.fmr.expect(both),
            fnmr: decision.fnmr.expect(both),
            unresolved: target.is_unresolved(comparisons.non_mated_count() as u64),
        })
    };
    targets.iter().map(point).collect()
}

/// FMR and FNMR at thresholds between the distinct distances, by ascending FMR: a comparison
/// matches if its distance is at most the threshold. Points between which only one rate changes are
/// left out, then the rest is thinned evenly to about 400 points.
pub fn det(evaluator: &Evaluator<'_>) -> Vec<[f64; 2]> {
    let corners = corners(evaluator);
    let every = corners.len().div_ceil(DET_POINTS);
    let last = corners.len() - 1;
    let kept = corners.iter().enumerate().filter(|(index, _)| index % every == 0 || *index == last);
    kept.map(|(_, &corner)| corner).collect()
}

/// The rate at which FMR and FNMR are equal, linearly interpolated between the two adjacent
/// thresholds.
pub fn equal_error_rate(evaluator: &Evaluator<'_>) -> f64 {
    let corners = corners(evaluator);
    let at = corners.partition_point(|[fmr, fnmr]| fmr < fnmr);
    // The first corner is (0, 1) and the last one (1, 0).
    let (Some(&[fmr_before, fnmr_before]), Some(&[fmr, fnmr])) =
        (at.checked_sub(1).and_then(|before| corners.get(before)), corners.get(at))
    else {
        unreachable!("the rates cross between no match and all match: this is a bug")
    };
    let (gap_before, gap) = (fnmr_before - fmr_before, fmr - fnmr);
    fmr_before + gap_before / (gap_before + gap) * (fmr - fmr_before)
}

/// FMR and FNMR at the corners of the curve.
fn corners(evaluator: &Evaluator<'_>) -> Vec<[f64; 2]> {
    let comparisons = evaluator.comparisons();
    let (mated, non_mated) = (comparisons.mated_count(), comparisons.non_mated_count());
    let (mut matched, mut falsely) = (0, 0);
    let mut corners = vec![(0, mated)];
    for equal in evaluator.equal_distances() {
        let of_mated = equal.iter().filter(|&&i| comparisons.is_mated(i as usize)).count();
        matched += of_mated;
        falsely += equal.len() - of_mated;
        let point = (falsely, mated - matched);
        if let [.., a, b] = corners[..]
            && ((a.0 == b.0 && b.0 == point.0) || (a.1 == b.1 && b.1 == point.1))
        {
            corners.pop();
        }
        corners.push(point);
    }
    let rates = |(falsely, missed): (usize, usize)| {
        [falsely as f64 / non_mated as f64, missed as f64 / mated as f64]
    };
    corners.into_iter().map(rates).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparisons::{Comparisons, ScoreScale};

    #[test]
    fn det_and_eer_match_known_values() {
        let scores = vec![0.9, 0.8, 0.4, 0.7, 0.2, 0.1];
        let mated = vec![true, true, true, false, false, false];
        let set = Comparisons::new(scores, mated, ScoreScale::Similarity).expect("comparisons");
        let third = 1.0 / 3.0;
        let expected = [[0.0, 1.0], [0.0, third], [third, third], [third, 0.0], [1.0, 0.0]];
        assert_eq!(det(&Evaluator::new(&set)), expected);
        assert_eq!(equal_error_rate(&Evaluator::new(&set)), third);
    }

    #[test]
    fn tied_scores_move_both_rates_together() {
        let set = Comparisons::new(vec![0.5, 0.5], vec![true, false], ScoreScale::Similarity);
        let set = set.expect("comparisons");
        assert_eq!(det(&Evaluator::new(&set)), [[0.0, 1.0], [1.0, 0.0]]);
        assert_eq!(equal_error_rate(&Evaluator::new(&set)), 0.5);
    }

    #[test]
    fn perfect_recogniser_has_zero_eer() {
        let set = Comparisons::new(vec![0.9, 0.1], vec![true, false], ScoreScale::Cosine);
        let set = set.expect("comparisons");
        assert_eq!(equal_error_rate(&Evaluator::new(&set)), 0.0);
    }
}
