//! Error-versus-discard curves (EDC): how recognition errors fall as the comparisons of the
//! lowest quality are discarded.
//!
//! [`evaluate`] computes the curves of one quality; an [`Evaluator`] handles several, with
//! baselines, intervals and the effect of ties.
//!
//! # The protocols
//!
//! The quality of a comparison is the lower of its two images' qualities. Its score is the cosine
//! of the two embeddings at unit length; distances are `arccos(cosine)/π`. The golden values that
//! the protocols are tested against, made with the programs of CR-FIQA and dasec, are described in
//! `golden/README.md` of the repository.
//!
//! **`crfiqa`**, the numbers of the papers. All comparisons, mated and non-mated, are sorted
//! by quality, ascending and stable. At each discard fraction `u` of 0, 0.05, …, 0.95 the
//! first `⌊u·n⌋` are dropped and the threshold is recomputed on the rest: of all remaining
//! distances, mated or not, the one whose FMR is nearest the target, on ties the largest.
//! `FMR(t)` is the fraction of non-mated distances `≤ t`, and
//! `FNMR = 1 − #(mated distances < t)/#mated`. Note the asymmetry, and that the FMR may
//! exceed its target: this rule belongs to this protocol alone.
//!
//! **`iso`**, in the style of ISO/IEC 29794-1. Mated comparisons only. The threshold is fixed once:
//! at the quantile of the mated similarities (NumPy's linear one) that gives a starting FNMR, or at
//! a target FMR on the non-mated ones. An error is a similarity `< t`. Comparisons of equal quality
//! are discarded together, and the curve is a step function that ends at (1, 0).
//!
//! **`nist`** (Grother and Tabassi, 2007). FNMR against the rejected fraction of mated
//! comparisons, at a threshold that is fixed with nothing rejected.
//!
//! # Areas
//!
//! `AUC` is the area below the curve from 0 to its last discard fraction, and `pAUC` the area up to
//! [`PAUC_LIMIT`], not divided by it: the trapezoid rule on the points of `crfiqa` and `nist`, the
//! area of the steps of `iso`. The papers print pAUC × 1000. The best possible `iso` curve starts
//! at its own FNMR `e₀` and falls by the fraction discarded, `max(0, e₀ − d)`; its area up to a
//! limit is `e₀²/2 − max(0, e₀ − limit)²/2`.
//!
//! With `n` non-mated comparisons an FMR below `1/n` cannot be measured: 3,000 of them, as in the
//! usual protocols, cannot resolve 1e-4. A [`Warning`] in the curve reports this.

mod baselines;
mod bootstrap;
mod crfiqa;
mod curve;
mod evaluate;
mod iso;
mod nist;
mod ranking;
mod resampled;
mod retained;
mod sweep;
mod ties;
mod workers;

use rayon::prelude::*;

use crate::comparisons::Comparisons;
use crate::error::{EvalError, check_count, check_rate};
use crate::sort_key::sort_key;

pub use crate::decision::Target;
pub use bootstrap::{Bootstrap, CurveIntervals, Interval, Resample, paired_interval};
pub use curve::{Curve, CurvePoint, Interpolation, Warning};
pub use evaluate::{EdcCurve, EdcInput, EdcOptions, evaluate};
pub use ranking::Ranking;
pub use ties::{CurveRange, TieSensitivity};

pub(crate) use bootstrap::interval;
pub(crate) use iso::{FixedThreshold, step_curve};
pub(crate) use resampled::{ResampledSet, Weights};
pub(crate) use workers::parallel_map;

use retained::Retained;
use sweep::sweep;

/// The limit up to which the papers integrate: 30 % discarded.
pub const PAUC_LIMIT: f64 = 0.30;

/// The false match rates of the papers.
pub const FMR_TARGETS: [f64; 3] = [1e-2, 1e-3, 1e-4];

/// Points of a curve on the papers' grid.
pub const GRID_POINTS: usize = 20;

/// The discard fractions 0, 0.05, …, 0.95 of the papers, as floating-point products
/// of 0.05.
pub fn grid() -> [f64; GRID_POINTS] {
    std::array::from_fn(|index| index as f64 * 0.05)
}

/// A protocol for error-versus-discard curves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// As computed by the CR-FIQA code and the papers. All comparisons are discarded alike, at 20
    /// points, and the threshold is recomputed each time: of all remaining distances the one whose
    /// FMR (fraction of non-mated distances ≤ t) is nearest the target, the largest of several.
    /// FNMR is the fraction of mated distances that are not < t.
    Crfiqa,
    /// In the style of ISO/IEC 29794-1, as computed by the dasec reference code. Mated comparisons
    /// only; the threshold is fixed once ([`crate::decision`]); an error is a similarity < t; equal
    /// qualities are discarded together; a step function with (1, 0) appended.
    Iso,
    /// FNMR against the fraction of mated comparisons rejected (Grother and Tabassi, 2007): the
    /// threshold ([`crate::decision`]) at zero discard is kept, and only mated comparisons are
    /// discarded, at the same 20 points.
    Nist,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 3] = [Self::Crfiqa, Self::Iso, Self::Nist];

    /// The name in commands, configuration files and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crfiqa => "crfiqa",
            Self::Iso => "iso",
            Self::Nist => "nist",
        }
    }

    /// Checks a discard fraction up to which areas are computed.
    ///
    /// # Errors
    ///
    /// If it is not between 0 and 1, or beyond the end of this protocol's curves.
    pub fn check_max_discard(self, limit: f64) -> Result<(), EvalError> {
        let what = "the largest discard fraction";
        check_rate(what, limit)?;
        let expected = "at most 0.95, where the curves of crfiqa and nist end";
        match self {
            Self::Crfiqa | Self::Nist if limit > grid()[GRID_POINTS - 1] => {
                Err(EvalError::OutOfRange { what, value: limit, expected })
            }
            _ => Ok(()),
        }
    }
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl std::str::FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|protocol| protocol.name() == text);
        known.ok_or_else(|| format!("no protocol '{text}'; expected crfiqa, iso or nist"))
    }
}

/// What a curve represents: a quality method, or one of the baselines between which a useful
/// quality lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Series {
    /// Discarding by a quality method.
    Method,
    /// The mean of discarding in random orders: the upper bound of a useful quality.
    Random,
    /// Discarding by each comparison's own error: the lower bound of any quality where the threshold
    /// is fixed.
    TheoreticalBest,
}

/// Comparisons sorted once, to be evaluated with any number of qualities.
#[derive(Debug)]
pub struct Evaluator<'a> {
    comparisons: &'a Comparisons,
    /// Indices of the comparisons, by ascending distance.
    by_distance: Vec<u32>,
    /// One entry per element of `by_distance`: whether its distance equals the previous one.
    tied: Vec<bool>,
    /// Indices of the mated comparisons, by ascending similarity.
    mated: Vec<u32>,
}

/// A ranking in the form in which a protocol discards it.
#[derive(Debug)]
pub(crate) enum Discard<'r> {
    /// Every comparison: their order and its inverse.
    All { order: &'r [u32], places: &'r [u32] },
    /// Mated ones only.
    Mated(Ranking),
}

impl<'a> Evaluator<'a> {
    /// Sorts the comparisons by distance.
    pub fn new(comparisons: &'a Comparisons) -> Self {
        let distance = |index: u32| sort_key(comparisons.distance(index as usize));
        let indices = (0..comparisons.len() as u32).into_par_iter();
        let mut keyed: Vec<(u64, u32)> = indices.map(|index| (distance(index), index)).collect();
        keyed.par_sort_unstable();
        let same = |at: usize| at > 0 && keyed[at].0 == keyed[at - 1].0;
        let tied = (0..keyed.len()).map(same).collect();
        let by_distance = keyed.into_iter().map(|(_, index)| index).collect();
        let similarity = |index: u32| sort_key(comparisons.similarity(index as usize));
        let mut mated: Vec<u32> =
            (0..comparisons.len() as u32).filter(|&i| comparisons.is_mated(i as usize)).collect();
        mated.par_sort_by_key(|&index| similarity(index));
        Self { comparisons, by_distance, tied, mated }
    }

    /// The comparisons.
    pub fn comparisons(&self) -> &'a Comparisons {
        self.comparisons
    }

    pub(crate) fn by_distance(&self) -> &[u32] {
        &self.by_distance
    }

    /// The comparisons of each distinct distance, by ascending distance.
    pub(crate) fn equal_distances(&self) -> impl Iterator<Item = &[u32]> {
        let mut next = 0;
        std::iter::from_fn(move || {
            let start = next;
            self.by_distance.get(start)?;
            next += 1;
            while self.tied.get(next) == Some(&true) {
                next += 1;
            }
            self.by_distance.get(start..next)
        })
    }

    /// Indices of the mated comparisons, by ascending similarity.
    pub(crate) fn mated(&self) -> &[u32] {
        &self.mated
    }

    /// One curve per target.
    ///
    /// # Errors
    ///
    /// If there is not one quality per comparison, a rate is not between 0 and 1, or the protocol
    /// does not support such a target.
    pub fn curves(
        &self,
        ranking: &Ranking,
        protocol: Protocol,
        targets: &[Target],
    ) -> Result<Vec<Curve>, EvalError> {
        self.check(ranking, protocol, targets)?;
        let discard = self.discard(ranking, protocol);
        Ok(self.weighted_curves(&discard, protocol, targets, Weights::One))
    }

    /// The ranking as the protocol discards it.
    pub(crate) fn discard<'r>(&self, ranking: &'r Ranking, protocol: Protocol) -> Discard<'r> {
        match protocol {
            Protocol::Crfiqa => Discard::All { order: ranking.order(), places: ranking.places() },
            Protocol::Iso | Protocol::Nist => Discard::Mated(ranking.of_mated(self.comparisons)),
        }
    }

    /// The curves of a set in which each comparison occurs as often as its weight says; the
    /// arguments must have been checked.
    pub(crate) fn weighted_curves(
        &self,
        discard: &Discard<'_>,
        protocol: Protocol,
        targets: &[Target],
        weights: Weights<'_>,
    ) -> Vec<Curve> {
        let curve = match protocol {
            Protocol::Nist => nist::curve,
            Protocol::Crfiqa | Protocol::Iso => iso::curve,
        };
        match discard {
            Discard::All { order, places } => {
                crfiqa::curves(self, (order, places), targets, weights)
            }
            Discard::Mated(mated) => {
                targets.iter().map(|&target| curve(self, mated, target, weights)).collect()
            }
        }
    }

    pub(crate) fn check(
        &self,
        ranking: &Ranking,
        protocol: Protocol,
        targets: &[Target],
    ) -> Result<(), EvalError> {
        check_count(
            ("qualities of pairs", ranking.len()),
            ("comparisons", self.comparisons.len()),
        )?;
        check_targets(protocol, targets)
    }
}

/// Checks that a protocol supports these targets: the papers' protocol recomputes its threshold at
/// each point, which requires a false match rate.
fn check_targets(protocol: Protocol, targets: &[Target]) -> Result<(), EvalError> {
    for &target in targets {
        target.check()?;
        if protocol == Protocol::Crfiqa && !matches!(target, Target::Fmr(_)) {
            let (protocol, expected) = (protocol.name(), "a false match rate");
            return Err(EvalError::Target { protocol, expected, found: target.to_string() });
        }
    }
    Ok(())
}
