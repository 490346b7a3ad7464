//! FNMR against the fraction of mated comparisons rejected, at a fixed threshold.

use super::retained::dropped;
use super::{
    Curve, CurvePoint, Evaluator, Interpolation, Protocol, Ranking, Target, Weights, grid,
};
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
    let [total, non_mated] = weights.totals(comparisons);
    let mut missed: u64 =
        mated.order().iter().filter(|&&index| misses(index)).map(|&index| weights.of(index)).sum();
    let mut leaving = mated.order().iter();
    // Copies of one comparison may be discarded at different points.
    let (mut gone, mut copies, mut is_missed) = (0, 0, false);
    let mut points = Vec::new();
    for (discard, dropped) in grid().into_iter().zip(dropped(&grid(), total)) {
        while gone < dropped {
            if copies == 0 {
                let Some(&index) = leaving.next() else { break };
                (copies, is_missed) = (weights.of(index), misses(index));
                continue;
            }
            let now = copies.min(dropped - gone);
            (gone, copies) = (gone + now, copies - now);
            missed -= if is_missed { now } else { 0 };
        }
        let left = total - gone;
        points.push(CurvePoint {
            discard,
            threshold: decision.map(|found| found.threshold.distance(comparisons.scale())),
            fmr: decision.and_then(|found| found.fmr),
            fnmr: decision.and_then(|_| (left > 0).then(|| missed as f64 / left as f64)),
            mated: left,
            non_mated,
        });
    }
    let (protocol, interpolation) = (Protocol::Nist, Interpolation::Linear);
    Curve { protocol, target, interpolation, points, warnings: Vec::new() }.with_warnings()
}
