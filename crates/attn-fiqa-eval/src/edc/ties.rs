//! How much of a curve hangs on the order of comparisons of equal quality.

use rayon::prelude::*;

use super::{Curve, Evaluator, Protocol, Ranking, Target};
use crate::error::EvalError;
use crate::random::Random;

/// What comparisons of equal quality leave open.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct TieSensitivity {
    /// Comparisons that share their quality with another one.
    pub tied: usize,
    /// Random orders of the tied ones that were tried, besides the order given.
    pub orders: usize,
    /// One entry a target.
    pub ranges: Vec<CurveRange>,
}

/// The lowest and highest values over the orders tried: a lower bound of the true
/// range, which is too large to be searched.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct CurveRange {
    /// Lowest and highest FNMR at each point of the curve.
    pub fnmr: Vec<Option<[f64; 2]>>,
    /// Lowest and highest pAUC up to the limit asked for.
    pub pauc: Option<[f64; 2]>,
}

impl Evaluator<'_> {
    /// Draws the curves again with the comparisons of equal quality in `orders`
    /// seeded random orders. Under [`Protocol::Iso`] equal qualities leave together,
    /// so that all orders give the same curve.
    ///
    /// # Errors
    ///
    /// As [`Self::curves`].
    pub fn tie_sensitivity(
        &self,
        ranking: &Ranking,
        protocol: Protocol,
        targets: &[Target],
        limit: f64,
        orders: usize,
        seed: u64,
    ) -> Result<TieSensitivity, EvalError> {
        let given = self.curves(ranking, protocol, targets)?;
        let tied = ranking.tied_count();
        let orders = if tied == 0 || protocol == Protocol::Iso { 0 } else { orders };
        let mut drawn: Vec<Vec<Curve>> = (0..orders as u64)
            .into_par_iter()
            .map(|order| {
                let shuffled = ranking.shuffled_ties(&mut Random::new(seed, order));
                self.curves(&shuffled, protocol, targets)
            })
            .collect::<Result<_, _>>()?;
        drawn.push(given);
        let ranges = (0..targets.len())
            .map(|target| {
                let curves = || drawn.iter().map(|curves| &curves[target]);
                let points = drawn[0][target].points.len();
                let fnmr = |point: usize| range(curves().map(|curve| curve.points[point].fnmr));
                CurveRange {
                    fnmr: (0..points).map(fnmr).collect(),
                    pauc: range(curves().map(|curve| curve.pauc(limit))),
                }
            })
            .collect();
        Ok(TieSensitivity { tied, orders, ranges })
    }
}

fn range(values: impl Iterator<Item = Option<f64>>) -> Option<[f64; 2]> {
    values.flatten().fold(None, |range, value| match range {
        None => Some([value, value]),
        Some([low, high]) => Some([value.min(low), value.max(high)]),
    })
}
