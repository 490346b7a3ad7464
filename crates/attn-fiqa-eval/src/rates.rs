//! The two error rates of a set of comparisons, with nothing discarded.

use crate::comparisons::Comparisons;
use crate::edc::{Evaluator, Kept, Weights, sweep};
use crate::error::{EvalError, check_rate};

/// Most points of a DET curve: more than a screen has pixels would not be seen.
const DET_POINTS: usize = 400;

/// A threshold and the error rates that it realises.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct OperatingPoint {
    /// The FMR asked for.
    pub target: f64,
    /// The threshold, a distance, by the rule of
    /// [`Protocol::Crfiqa`](crate::edc::Protocol::Crfiqa).
    pub threshold: f64,
    /// The FMR realised.
    pub fmr: f64,
    /// The FNMR there.
    pub fnmr: f64,
    /// Whether the target is less than one false match among the non-mated
    /// comparisons, so that the threshold rests on chance.
    pub unresolved: bool,
}

/// The FNMR at each target FMR.
///
/// # Errors
///
/// If a target is not between 0 and 1.
pub fn operating_points(
    evaluator: &Evaluator<'_>,
    targets: &[f64],
) -> Result<Vec<OperatingPoint>, EvalError> {
    targets.iter().try_for_each(|&target| check_rate("a target FMR", target))?;
    let comparisons = evaluator.comparisons();
    let kept = Kept::all(comparisons, Weights::One);
    let found = sweep(comparisons, evaluator.by_distance(), &kept, targets);
    let point = |(&target, found): (&f64, Vec<_>)| {
        let crate::edc::Operating { threshold, fmr, fnmr } = found.first().copied()?;
        let unresolved = target * (comparisons.non_mated_count() as f64) < 1.0;
        Some(OperatingPoint { target, threshold: threshold?, fmr: fmr?, fnmr: fnmr?, unresolved })
    };
    Ok(targets.iter().zip(found).filter_map(point).collect())
}

/// FMR and FNMR at thresholds between the distinct distances, by ascending FMR: a
/// comparison matches where its distance is at most the threshold. Points between
/// which only one rate moves are left out, then so many of the rest that about 400
/// remain, evenly spread.
pub fn det(comparisons: &Comparisons) -> Vec<[f64; 2]> {
    let corners = corners(comparisons);
    let every = corners.len().div_ceil(DET_POINTS);
    let last = corners.len() - 1;
    let kept = corners.iter().enumerate().filter(|(index, _)| index % every == 0 || *index == last);
    kept.map(|(_, &corner)| corner).collect()
}

/// The rate at which FMR and FNMR are equal, in a straight line between the two
/// thresholds around it.
pub fn equal_error_rate(comparisons: &Comparisons) -> f64 {
    let corners = corners(comparisons);
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

/// FMR and FNMR where the curve turns.
fn corners(comparisons: &Comparisons) -> Vec<[f64; 2]> {
    let mut scored: Vec<(f64, bool)> = (0..comparisons.len())
        .map(|index| (comparisons.distance(index), comparisons.is_mated(index)))
        .collect();
    scored.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (mated, non_mated) = (comparisons.mated_count(), comparisons.non_mated_count());
    let (mut matched, mut falsely) = (0, 0);
    let mut corners = vec![(0, mated)];
    for (index, &(distance, is_mated)) in scored.iter().enumerate() {
        *if is_mated { &mut matched } else { &mut falsely } += 1;
        if scored.get(index + 1).is_some_and(|&(next, _)| next == distance) {
            continue;
        }
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
    use crate::comparisons::ScoreScale;

    #[test]
    fn rates_follow_the_threshold() {
        let scores = vec![0.9, 0.8, 0.4, 0.7, 0.2, 0.1];
        let mated = vec![true, true, true, false, false, false];
        let set = Comparisons::new(scores, mated, ScoreScale::Similarity).expect("comparisons");
        let third = 1.0 / 3.0;
        let expected = [[0.0, 1.0], [0.0, third], [third, third], [third, 0.0], [1.0, 0.0]];
        assert_eq!(det(&set), expected);
        assert_eq!(equal_error_rate(&set), third);
    }

    #[test]
    fn ties_move_together() {
        let set = Comparisons::new(vec![0.5, 0.5], vec![true, false], ScoreScale::Similarity);
        let set = set.expect("comparisons");
        assert_eq!(det(&set), [[0.0, 1.0], [1.0, 0.0]]);
        assert_eq!(equal_error_rate(&set), 0.5);
    }

    #[test]
    fn a_perfect_recogniser_has_no_equal_error() {
        let set = Comparisons::new(vec![0.9, 0.1], vec![true, false], ScoreScale::Cosine);
        assert_eq!(equal_error_rate(&set.expect("comparisons")), 0.0);
    }
}
