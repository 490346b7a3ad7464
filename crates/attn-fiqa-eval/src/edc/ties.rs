//! How much a curve depends on the order of comparisons of equal quality.

use super::retained::dropped;
use super::workers::parallel_map;
use super::{Curve, Discard, Evaluator, Protocol, Ranking, Target, Weights, crfiqa, grid};
use crate::error::EvalError;
use crate::stream::Stream;

/// The effect of comparisons of equal quality.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct TieSensitivity {
    /// Number of comparisons that share their quality with another one.
    pub tied: usize,
    /// Number of random orders of the tied ones, in addition to the given order.
    pub orders: usize,
    /// One entry per target.
    pub ranges: Vec<CurveRange>,
}

/// The lowest and highest values over the orders tried: a lower bound of the true range, as there
/// are too many orders to try all.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct CurveRange {
    /// Lowest and highest FNMR at each point of the curve.
    pub fnmr: Vec<Option<[f64; 2]>>,
    /// Lowest and highest pAUC up to the requested limit.
    pub pauc: Option<[f64; 2]>,
}

impl Evaluator<'_> {
    /// Recomputes the curves with the comparisons of equal quality in `orders` seeded random
    /// orders. Under [`Protocol::Iso`] equal qualities are discarded together, so all orders give
    /// the same curve.
    ///
    /// # Errors
    ///
    /// As [`Self::curves`], or if the curves end before the limit.
    pub fn tie_sensitivity(
        &self,
        ranking: &Ranking,
        protocol: Protocol,
        targets: &[Target],
        limit: f64,
        orders: usize,
        seed: u64,
    ) -> Result<TieSensitivity, EvalError> {
        protocol.check_max_discard(limit)?;
        let given = self.curves(ranking, protocol, targets)?;
        let tied = ranking.tied_count();
        let orders = if tied == 0 || protocol == Protocol::Iso { 0 } else { orders };
        let mut drawn: Vec<Vec<Curve>> = match self.discard(ranking, protocol) {
            Discard::All { order, places } => {
                let split = self.split_ties(ranking);
                let shuffled = |places: &mut Vec<u32>, number| {
                    let mut random = Stream::new(seed, number);
                    for tie in &split {
                        let mut members = order[tie.clone()].to_vec();
                        random.shuffle(&mut members);
                        for (member, place) in members.into_iter().zip(tie.clone()) {
                            places[member as usize] = place as u32;
                        }
                    }
                    crfiqa::curves(self, (order, places), targets, Weights::One)
                };
                let bytes = 2 * size_of_val(places);
                parallel_map(orders as u64, bytes, || places.to_vec(), shuffled)
            }
            Discard::Mated(mated) => {
                let shuffled = |(): &mut (), number| {
                    let mated = mated.shuffled_ties(&mut Stream::new(seed, number));
                    self.weighted_curves(&Discard::Mated(mated), protocol, targets, Weights::One)
                };
                parallel_map(orders as u64, 5 * mated.len(), || (), shuffled)
            }
        };
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

    /// The ties that contain a point of the curve: the order of others has no effect.
    fn split_ties(&self, ranking: &Ranking) -> Vec<std::ops::Range<usize>> {
        let cutoffs = dropped(&grid(), self.comparisons().len() as u64);
        let is_split = |tie: &std::ops::Range<usize>| {
            let next = cutoffs.partition_point(|&cutoff| cutoff <= tie.start as u64);
            cutoffs.get(next).is_some_and(|&cutoff| cutoff < tie.end as u64)
        };
        ranking.ties().filter(is_split).collect()
    }
}

fn range(values: impl Iterator<Item = Option<f64>>) -> Option<[f64; 2]> {
    values.flatten().fold(None, |range, value| match range {
        None => Some([value, value]),
        Some([low, high]) => Some([value.min(low), value.max(high)]),
    })
}
