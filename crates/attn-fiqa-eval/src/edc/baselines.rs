//! The two baselines between which a useful quality's curve lies.

use rayon::prelude::*;

use super::ranking::{invert, random_order};
use super::workers::parallel_map;
use super::{
    Curve, Discard, Evaluator, Protocol, Ranking, Retained, Target, Weights, crfiqa, sweep,
};
use crate::decision::decide;
use crate::error::EvalError;

impl Evaluator<'_> {
    /// Discarding in random order: the result of a quality without information. Returns the curves
    /// of `orders` seeded random orders for each target; their mean is the baseline, their spread
    /// its random variation.
    ///
    /// # Errors
    ///
    /// If a rate is not between 0 and 1 or the protocol does not support such a target.
    pub fn random_curves(
        &self,
        protocol: Protocol,
        targets: &[Target],
        orders: usize,
        seed: u64,
    ) -> Result<Vec<Vec<Curve>>, EvalError> {
        super::check_targets(protocol, targets)?;
        let comparisons = self.comparisons();
        let count = comparisons.len() as u32;
        let curves = |(order, places): &mut (Vec<u32>, Vec<u32>), number| {
            random_order(order, count, seed.wrapping_add(number));
            match protocol {
                Protocol::Crfiqa => {
                    invert(order, places);
                    crfiqa::curves(self, (order, places), targets, Weights::One)
                }
                Protocol::Iso | Protocol::Nist => {
                    let mated = |index: &&u32| comparisons.is_mated(**index as usize);
                    let mated = order.iter().filter(mated).copied().collect();
                    let discard = Discard::Mated(Ranking::without_ties(mated));
                    self.weighted_curves(&discard, protocol, targets, Weights::One)
                }
            }
        };
        let drawn = parallel_map(orders as u64, 8 * comparisons.len(), Default::default, curves);
        let mut by_target = vec![Vec::with_capacity(orders); targets.len()];
        for (target, curve) in drawn.into_iter().flat_map(|curves| curves.into_iter().enumerate()) {
            by_target[target].push(curve);
        }
        Ok(by_target)
    }

    /// Discarding by each comparison's own error, which no quality can know: first the comparisons
    /// furthest on the wrong side of the threshold at zero discard. Under [`Protocol::Iso`] and
    /// [`Protocol::Nist`], which discard mated comparisons only and keep the threshold, no quality
    /// has a lower rate at any discard fraction. Under [`Protocol::Crfiqa`] mated and non-mated
    /// comparisons are discarded alike and the threshold moves, so a quality may do better.
    ///
    /// # Errors
    ///
    /// If a rate is not between 0 and 1 or the protocol does not support such a target.
    pub fn theoretical_best_curve(
        &self,
        protocol: Protocol,
        target: Target,
    ) -> Result<Curve, EvalError> {
        super::check_targets(protocol, &[target])?;
        let comparisons = self.comparisons();
        let missing = "comparisons hold mated and non-mated ones: this is a bug";
        let ranking;
        let discard = match protocol {
            Protocol::Iso | Protocol::Nist => {
                let threshold = decide(self, target, Weights::One).expect(missing).threshold;
                let mut mated = self.mated().to_vec();
                // By ascending similarity these come first, unless distances are rounded.
                mated.sort_by_key(|&index| threshold.accepts(comparisons, index as usize));
                // As ties, equal scores would be discarded together.
                Discard::Mated(Ranking::without_ties(mated))
            }
            Protocol::Crfiqa => {
                let retained = Retained::everything(self, Weights::One);
                let threshold = sweep(self, &retained, &[target.value()])[0][0].threshold;
                let threshold = threshold.expect(missing);
                let margin = |index: usize| match comparisons.is_mated(index) {
                    true => threshold - comparisons.distance(index),
                    false => comparisons.distance(index) - threshold,
                };
                let margins: Vec<f64> =
                    (0..comparisons.len()).into_par_iter().map(margin).collect();
                ranking = Ranking::new(&margins)?;
                self.discard(&ranking, protocol)
            }
        };
        self.weighted_curves(&discard, protocol, &[target], Weights::One)
            .pop()
            .ok_or(EvalError::Empty { what: "target" })
    }
}
