//! The protocol of the CR-FIQA code.

use super::{Curve, CurvePoint, Evaluator, Kept, Protocol, Ranking, Shape, Target, Weights};
use super::{grid, sweep};

pub(super) fn curves(
    evaluator: &Evaluator<'_>,
    ranking: &Ranking,
    targets: &[Target],
    weights: Weights<'_>,
) -> Vec<Curve> {
    let comparisons = evaluator.comparisons();
    let discards = grid();
    let kept = Kept::by_ranking(comparisons, ranking, &discards, weights);
    let rates: Vec<f64> = targets.iter().map(|target| target.rate()).collect();
    let found = sweep(comparisons, evaluator.by_distance(), &kept, &rates);
    let curve = |(&target, operating): (&Target, Vec<_>)| {
        let points = discards.iter().zip(operating).enumerate();
        let points = points.map(|(point, (&discard, operating))| {
            let super::sweep::Operating { threshold, fmr, fnmr } = operating;
            let (mated, non_mated) = (kept.mated[point], kept.non_mated[point]);
            CurvePoint { discard, threshold, fmr, fnmr, mated, non_mated }
        });
        Curve {
            protocol: Protocol::Crfiqa,
            target,
            shape: Shape::Lines,
            points: points.collect(),
            warnings: Vec::new(),
        }
        .with_warnings()
    };
    targets.iter().zip(found).map(curve).collect()
}
