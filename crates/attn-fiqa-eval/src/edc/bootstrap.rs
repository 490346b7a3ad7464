//! Confidence intervals from bootstrap samples.

use super::resampled::{ResampledSet, Weights};
use super::workers::parallel_map;
use super::{Discard, Evaluator, PAUC_LIMIT, Protocol, Ranking, Target, grid};
use crate::comparisons::Comparisons;
use crate::error::{EvalError, check_count, check_rate};
use crate::statistics::quantile;

/// What is drawn with replacement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Resample<'a> {
    /// Comparisons, mated and non-mated separately, the same number of each as in the set.
    /// Intervals are too narrow if comparisons share images or persons.
    Pairs,
    /// Persons: the identities of the two images of each comparison, numbered from 0. A mated
    /// comparison occurs as often as its person was drawn, a non-mated one as often as the product
    /// of its two persons' counts (Bolle et al. 2004).
    Identities(&'a [[u32; 2]]),
}

/// How confidence intervals are computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bootstrap<'a> {
    /// What is drawn.
    pub resample: Resample<'a>,
    /// Number of replicates.
    pub replicates: usize,
    /// The same seed draws the same sets for every quality, so that replicates of two qualities can
    /// be subtracted pairwise.
    pub seed: u64,
    /// Confidence level, such as 0.95.
    pub confidence_level: f64,
    /// Discard fraction up to which pAUC is computed.
    pub max_discard: f64,
}

impl Default for Bootstrap<'_> {
    fn default() -> Self {
        let resample = Resample::Pairs;
        Self {
            resample,
            replicates: 1000,
            seed: 0,
            confidence_level: 0.95,
            max_discard: PAUC_LIMIT,
        }
    }
}

/// A percentile interval.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// Intervals of one curve.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct CurveIntervals {
    /// Discard fractions: the papers' grid, regardless of the protocol.
    pub discard: Vec<f64>,
    /// Interval of the FNMR at these fractions.
    pub fnmr: Vec<Option<Interval>>,
    /// Interval of the pAUC up to the limit.
    pub pauc: Option<Interval>,
    /// Interval of the area under the whole curve.
    pub auc: Option<Interval>,
    /// The pAUC of each replicate, in order; absent if a drawn set has no comparisons left to
    /// measure.
    pub replicates: Vec<Option<f64>>,
}

/// A curve of one replicate: FNMR on the grid, pAUC and AUC.
type Replicate = (Vec<Option<f64>>, Option<f64>, Option<f64>);

impl Evaluator<'_> {
    /// Intervals for the curves of [`Self::curves`], one per target.
    ///
    /// # Errors
    ///
    /// As [`Self::curves`], or if there is no replicate, the confidence level is not between 0 and
    /// 1, the curves end before `max_discard`, or there is not one pair of identities per
    /// comparison.
    pub fn bootstrap(
        &self,
        ranking: &Ranking,
        protocol: Protocol,
        targets: &[Target],
        bootstrap: &Bootstrap<'_>,
    ) -> Result<Vec<CurveIntervals>, EvalError> {
        let of_one = self.bootstrap_each(&[ranking], protocol, targets, bootstrap)?.pop();
        of_one.ok_or(EvalError::Empty { what: "ranking" })
    }

    /// The same for several rankings that share the bootstrap samples: one entry per ranking.
    /// Meanwhile, each ranking takes four bytes per comparison.
    ///
    /// # Errors
    ///
    /// As [`Self::bootstrap`].
    pub fn bootstrap_each(
        &self,
        rankings: &[&Ranking],
        protocol: Protocol,
        targets: &[Target],
        bootstrap: &Bootstrap<'_>,
    ) -> Result<Vec<Vec<CurveIntervals>>, EvalError> {
        rankings.iter().try_for_each(|ranking| self.check(ranking, protocol, targets))?;
        bootstrap.check(self.comparisons())?;
        protocol.check_max_discard(bootstrap.max_discard)?;
        let discards: Vec<Discard<'_>> =
            rankings.iter().map(|ranking| self.discard(ranking, protocol)).collect();
        let points = grid();
        let summary = |curve: &super::Curve| {
            let fnmr = points.iter().map(|&discard| curve.fnmr_at(discard)).collect();
            (fnmr, curve.pauc(bootstrap.max_discard), curve.auc())
        };
        // Replicate, ranking, target.
        let drawn: Vec<Vec<Vec<Replicate>>> = parallel_map(
            bootstrap.replicates as u64,
            ResampledSet::bytes(self.comparisons().len()),
            ResampledSet::default,
            |drawn, replicate| {
                drawn.draw(self.comparisons(), bootstrap, replicate);
                let weights = Weights::Each(drawn);
                let curves = |discard| self.weighted_curves(discard, protocol, targets, weights);
                discards.iter().map(|it| curves(it).iter().map(summary).collect()).collect()
            },
        );
        let intervals = |ranking: usize, target: usize| {
            let of = |value: &dyn Fn(&Replicate) -> Option<f64>| {
                let replicates = drawn.iter().filter_map(|drawn| value(&drawn[ranking][target]));
                interval(replicates, bootstrap.confidence_level)
            };
            CurveIntervals {
                discard: points.to_vec(),
                fnmr: (0..points.len()).map(|point| of(&|curve| curve.0[point])).collect(),
                pauc: of(&|curve| curve.1),
                auc: of(&|curve| curve.2),
                replicates: drawn.iter().map(|drawn| drawn[ranking][target].1).collect(),
            }
        };
        let of_ranking = |ranking| (0..targets.len()).map(|t| intervals(ranking, t)).collect();
        Ok((0..rankings.len()).map(of_ranking).collect())
    }
}

/// The interval of the difference of two areas, `of` − `from`, from their replicates
/// ([`CurveIntervals::replicates`]) with the same seed: both areas of a replicate come from the
/// same drawn set, so that common variation cancels, and the more similar the methods, the narrower
/// the interval. `None` if no set gave both areas.
///
/// # Panics
///
/// If the numbers of replicates differ.
pub fn paired_interval(of: &[Option<f64>], from: &[Option<f64>], level: f64) -> Option<Interval> {
    assert_eq!(of.len(), from.len(), "the numbers of replicates differ");
    let difference = |(of, from): (&Option<f64>, &Option<f64>)| Some((*of)? - (*from)?);
    interval(of.iter().zip(from).filter_map(difference), level)
}

impl Bootstrap<'_> {
    pub(crate) fn check(&self, comparisons: &Comparisons) -> Result<(), EvalError> {
        check_rate("the confidence level", self.confidence_level)?;
        if self.replicates == 0 {
            return Err(EvalError::Empty { what: "bootstrap replicate" });
        }
        match self.resample {
            Resample::Identities(identities) => check_count(
                ("pairs of identities", identities.len()),
                ("comparisons", comparisons.len()),
            ),
            Resample::Pairs => Ok(()),
        }
    }
}

/// The central interval of a confidence level.
pub(crate) fn interval(values: impl Iterator<Item = f64>, level: f64) -> Option<Interval> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let at = |fraction| quantile(&values, fraction);
    Some(Interval { low: at((1.0 - level) / 2.0)?, high: at((1.0 + level) / 2.0)? })
}
