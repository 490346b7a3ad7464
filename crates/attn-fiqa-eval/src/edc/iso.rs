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
    let [_, non_mated] = weights.totals(comparisons);
    let at = FixedThreshold {
        target,
        similarity: decision.map(|found| found.threshold.similarity(comparisons.scale())),
        fmr: decision.and_then(|found| found.fmr),
        non_mated,
    };
    let misses = |index: u32| {
        decision.is_some_and(|found| !found.threshold.accepts(comparisons, index as usize))
    };
    step_curve(mated, &at, |index| weights.of(index), misses)
}

/// The constant values along a curve with a fixed threshold.
pub(crate) struct FixedThreshold {
    pub(crate) target: Target,
    pub(crate) similarity: Option<f64>,
    pub(crate) fmr: Option<f64>,
    pub(crate) non_mated: u64,
}

/// The step curve of a ranking of mated comparisons: how often each occurs, and whether it is a
/// false non-match.
pub(crate) fn step_curve(
    mated: &Ranking,
    at: &FixedThreshold,
    weight: impl Fn(u32) -> u64,
    misses: impl Fn(u32) -> bool,
) -> Curve {
    let FixedThreshold { target, similarity: threshold, fmr, non_mated } = *at;
    let count = |indices: &[u32]| {
        let (mut all, mut missed) = (0, 0);
        for &index in indices {
            all += weight(index);
            missed += if misses(index) { weight(index) } else { 0 };
        }
        (all, missed)
    };
    let (total, mut errors) = count(mated.order());
    let mut left = total;
    let point = |left: u64, errors: u64| CurvePoint {
        discard: (total - left) as f64 / total.max(1) as f64,
        threshold,
        fmr,
        // Without a threshold, nothing is known to be an error.
        fnmr: threshold.filter(|_| left > 0).map(|_| errors as f64 / left as f64),
        mated: left,
        non_mated,
    };
    let mut points = Vec::new();
    for tie in mated.ties() {
        let (leaving, errors_leaving) = count(&mated.order()[tie]);
        if leaving > 0 {
            points.push(point(left, errors));
        }
        left -= leaving;
        errors -= errors_leaving;
    }
    if total == 0 {
        points.push(point(0, 0));
    }
    // The reference appends this point: nothing left, no error.
    let fnmr = threshold.map(|_| 0.0);
    points.push(CurvePoint { discard: 1.0, threshold, fmr, fnmr, mated: 0, non_mated });
    let (protocol, interpolation) = (Protocol::Iso, Interpolation::Step);
    Curve { protocol, target, interpolation, points, warnings: Vec::new() }.with_warnings()
}
