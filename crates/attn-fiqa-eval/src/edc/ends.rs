//! The two ends between which a quality's curve lies.

use super::{Curve, Evaluator, Kept, Protocol, Ranking, Target, Weights, iso, sweep};
use crate::error::EvalError;

impl Evaluator<'_> {
    /// Discarding at random: what a quality without any information gives. The
    /// curves of `orders` seeded random orders for each target; their mean is the
    /// line, their spread is what chance does to it.
    ///
    /// # Errors
    ///
    /// If a rate is not between 0 and 1 or the protocol does not know such a target.
    pub fn random_curves(
        &self,
        protocol: Protocol,
        targets: &[Target],
        orders: usize,
        seed: u64,
    ) -> Result<Vec<Vec<Curve>>, EvalError> {
        let mut by_target = vec![Vec::with_capacity(orders); targets.len()];
        for order in 0..orders as u64 {
            let ranking = Ranking::random(self.comparisons().len(), seed.wrapping_add(order))?;
            let curves = self.curves(&ranking, protocol, targets)?;
            for (curves, curve) in by_target.iter_mut().zip(curves) {
                curves.push(curve);
            }
        }
        Ok(by_target)
    }

    /// Discarding by each comparison's own error, which no quality can know: first
    /// what lies furthest on the wrong side of the threshold at zero discard, mated
    /// and non-mated alike.
    ///
    /// # Errors
    ///
    /// If a rate is not between 0 and 1 or the protocol does not know such a target.
    pub fn oracle_curve(&self, protocol: Protocol, target: Target) -> Result<Curve, EvalError> {
        super::check_targets(protocol, &[target])?;
        let comparisons = self.comparisons();
        let (threshold, score): (_, Box<dyn Fn(usize) -> f64>) = match protocol {
            Protocol::Iso => {
                // A ranking in which everything is equal: only its threshold is used.
                let level = Ranking::new(&vec![0.0; comparisons.len()])?;
                let curve = iso::curve(self, &level, target, Weights::One);
                let threshold = curve.points.first().and_then(|point| point.threshold);
                (threshold.map(|t| -t), Box::new(|index| -comparisons.similarity(index)))
            }
            Protocol::Crfiqa | Protocol::Nist => {
                let kept = Kept::all(comparisons, Weights::One);
                let found = sweep(comparisons, self.by_distance(), &kept, &[target.rate()]);
                (found[0][0].threshold, Box::new(|index| comparisons.distance(index)))
            }
        };
        let threshold =
            threshold.expect("comparisons hold mated and non-mated ones: this is a bug");
        let margin = |index: usize| match comparisons.is_mated(index) {
            true => threshold - score(index),
            false => score(index) - threshold,
        };
        let margins: Vec<f64> = (0..comparisons.len()).map(margin).collect();
        let ranking = Ranking::new(&margins)?;
        self.weighted_curves(&ranking, protocol, &[target], Weights::One)
            .pop()
            .ok_or(EvalError::Empty { what: "target" })
    }
}
