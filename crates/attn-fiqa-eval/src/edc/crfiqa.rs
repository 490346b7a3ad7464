//! The protocol of the CR-FIQA code.

use super::{Curve, CurvePoint, Evaluator, Interpolation, Protocol, Retained, Target, Weights};
use super::{grid, sweep};

/// One curve per target; `order` and its inverse `places` hold every comparison.
pub(super) fn curves(
    evaluator: &Evaluator<'_>,
    (order, places): (&[u32], &[u32]),
    targets: &[Target],
    weights: Weights<'_>,
) -> Vec<Curve> {
    let discards = grid();
    let retained = Retained::new(evaluator, (order, places), &discards, weights);
    let rates: Vec<f64> = targets.iter().map(|target| target.value()).collect();
    let found = sweep(evaluator, &retained, &rates);
    let curve = |(&target, operating): (&Target, Vec<_>)| {
        let points = discards.iter().zip(operating).enumerate();
        let points = points.map(|(point, (&discard, operating))| {
            let super::sweep::CrfiqaRates { threshold, fmr, fnmr } = operating;
            let (mated, non_mated) = (retained.mated[point], retained.non_mated[point]);
            CurvePoint { discard, threshold, fmr, fnmr, mated, non_mated }
        });
        Curve {
            protocol: Protocol::Crfiqa,
            target,
            interpolation: Interpolation::Linear,
            points: points.collect(),
            warnings: Vec::new(),
        }
        .with_warnings()
    };
    targets.iter().zip(found).map(curve).collect()
}
