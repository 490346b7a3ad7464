//! The protocol in the style of ISO/IEC 29794-1.

use super::{Curve, CurvePoint, Evaluator, Interpolation, Protocol, Ranking, Target, Weights};
use crate::decision::decide;

/// The curve of a ranking of the mated comparisons.
pub(super) fn curve(
    evaluator: &Evaluator<'_>,
    mated: &Ranking,
    target: Target,
    weights: Weights<'_>,
) -> Curve {
    let comparisons = evaluator.comparisons();
    let decision = decide(evaluator, target, weights);
    let misses = |index: u32| {
        decision.is_some_and(|found| !found.threshold.accepts(comparisons, index as usize))
    };
    let threshold = decision.map(|found| found.threshold.similarity(comparisons.scale()));
    let fmr = decision.and_then(|found| found.fmr);
    let [total, non_mated] = weights.totals(comparisons);
    let count = |indices: &[u32]| {
        let (mut all, mut missed) = (0, 0);
        for &index in indices {
            all += weights.of(index);
            missed += if misses(index) { weights.of(index) } else { 0 };
        }
        (all, missed)
    };
    let (mut left, mut errors) = count(mated.order());
    let mut points = Vec::new();
    for tie in mated.ties() {
        let (leaving, errors_leaving) = count(&mated.order()[tie]);
        if leaving > 0 {
            points.push(CurvePoint {
                discard: (total - left) as f64 / total as f64,
                threshold,
                fmr,
                fnmr: Some(errors as f64 / left as f64),
                mated: left,
                non_mated,
            });
        }
        left -= leaving;
        errors -= errors_leaving;
    }
    // The end that the reference appends: nothing left, no error.
    points.push(CurvePoint { discard: 1.0, threshold, fmr, fnmr: Some(0.0), mated: 0, non_mated });
    Curve {
        protocol: Protocol::Iso,
        target,
        interpolation: Interpolation::Step,
        points,
        warnings: Vec::new(),
    }
    .with_warnings()
}
