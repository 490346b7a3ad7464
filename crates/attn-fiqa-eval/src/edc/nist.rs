//! FNMR against the share of mated comparisons rejected, at a fixed threshold.

use super::sweep::share_left;
use super::{Curve, CurvePoint, Evaluator, Kept, Protocol, Ranking, Shape, Target, Weights};
use super::{grid, sweep};

pub(super) fn curves(
    evaluator: &Evaluator<'_>,
    ranking: &Ranking,
    targets: &[Target],
    weights: Weights<'_>,
) -> Vec<Curve> {
    let comparisons = evaluator.comparisons();
    let kept = Kept::all(comparisons, weights);
    let rates: Vec<f64> = targets.iter().map(|target| target.rate()).collect();
    let found = sweep(comparisons, evaluator.by_distance(), &kept, &rates);
    let (total, non_mated) = (kept.mated[0], kept.non_mated[0]);
    let dropped = grid().map(|discard| (discard, (discard * total as f64).floor() as u64));

    targets
        .iter()
        .zip(found)
        .map(|(&target, operating)| {
            let operating = operating[0];
            let accepts = |index: u32| {
                let distance = comparisons.distance(index as usize);
                operating.threshold.is_some_and(|threshold| distance < threshold)
            };
            let mated = |index: &&u32| comparisons.is_mated(**index as usize);
            let mut accepted: u64 = ranking
                .order()
                .iter()
                .filter(mated)
                .filter(|&&index| accepts(index))
                .map(|&index| weights.of(index))
                .sum();
            let mut leaving = ranking.order().iter().filter(mated);
            // Copies of one comparison may leave at different points.
            let (mut gone, mut copies, mut accepted_copy) = (0, 0, false);
            let mut points = Vec::with_capacity(dropped.len());
            for (discard, dropped) in dropped {
                while gone < dropped {
                    if copies == 0 {
                        let Some(&index) = leaving.next() else { break };
                        (copies, accepted_copy) = (weights.of(index), accepts(index));
                        continue;
                    }
                    let now = copies.min(dropped - gone);
                    (gone, copies) = (gone + now, copies - now);
                    accepted -= if accepted_copy { now } else { 0 };
                }
                points.push(CurvePoint {
                    discard,
                    threshold: operating.threshold,
                    fmr: operating.fmr,
                    fnmr: operating.threshold.and_then(|_| share_left(accepted, total - gone)),
                    mated: total - gone,
                    non_mated,
                });
            }
            Curve {
                protocol: Protocol::Nist,
                target,
                shape: Shape::Lines,
                points,
                warnings: Vec::new(),
            }
            .with_warnings()
        })
        .collect()
}
