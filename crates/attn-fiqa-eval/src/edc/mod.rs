//! Error versus discard: how recognition errors fall as the comparisons of the
//! lowest quality are left out.
//!
//! ```
//! use attn_fiqa_eval::comparisons::{Comparisons, ScoreScale};
//! use attn_fiqa_eval::edc::{Evaluator, Protocol, Ranking, Target};
//!
//! let mated = vec![true, true, true, false, false, false];
//! let cosines = vec![0.9, 0.8, 0.1, 0.3, 0.2, 0.0];
//! let comparisons = Comparisons::new(cosines, mated, ScoreScale::Cosine)?;
//! let ranking = Ranking::new(&[0.9, 0.8, 0.1, 0.7, 0.6, 0.5])?;
//! let evaluator = Evaluator::new(&comparisons);
//! let curves = evaluator.curves(&ranking, Protocol::Crfiqa, &[Target::Fmr(1e-3)])?;
//! let start = curves[0].start().expect("mated comparisons");
//! assert!(curves[0].pauc(0.3).expect("an area") < 0.3 * start);
//! # Ok::<(), attn_fiqa_eval::EvalError>(())
//! ```
//!
//! # The protocols
//!
//! The quality of a comparison is the lower one of its two images. Its score is the cosine
//! of the two embeddings at unit length; distances are `arccos(cosine)/π`. The golden values
//! that the protocols are tested against, made with the programs of CR-FIQA and dasec, are
//! described in `golden/README.md` of the repository.
//!
//! **`crfiqa`**, the numbers of the papers. All comparisons, mated and non-mated, are sorted
//! by quality, ascending and stable. At each discard fraction `u` of 0, 0.05, …, 0.95 the
//! first `⌊u·n⌋` are dropped and the threshold is found anew on the rest: of all remaining
//! distances, mated or not, the one whose FMR is nearest the target, on ties the largest.
//! `FMR(t)` is the share of non-mated distances `≤ t`, and
//! `FNMR = 1 − #(mated distances < t)/#mated`. Note the asymmetry, and that the FMR may
//! exceed its target: this rule belongs to this protocol alone.
//!
//! **`iso`**, in the style of ISO/IEC 29794-1. Mated comparisons only. The threshold is fixed
//! once: at the quantile of the mated similarities (NumPy's linear one) that gives a
//! starting FNMR, or at a target FMR on the non-mated. An error is a similarity `< t`.
//! Comparisons of equal quality leave together, and the curve is a step function that ends
//! at (1, 0).
//!
//! **`nist`** (Grother and Tabassi, 2007). FNMR against the rejected share of mated
//! comparisons, at a threshold that is fixed with nothing rejected.
//!
//! # Areas
//!
//! `AUC` is the area below the curve from 0 to its last discard fraction, and `pAUC` the
//! area up to [`PAUC_LIMIT`], not divided by it: the trapezoid rule on the points of
//! `crfiqa` and `nist`, the area of the steps of `iso`. The papers print pAUC × 1000. The least
//! that an `iso` curve can have starts at its own FNMR `e₀` and falls by as much as is
//! discarded, `max(0, e₀ − d)`: `e₀²/2 − max(0, e₀ − limit)²/2` up to a limit.
//!
//! With `n` non-mated comparisons an FMR below `1/n` cannot be measured: 3,000 of them, as in
//! the usual protocols, say nothing at 1e-4. A [`Warning`] says so with the curve.

mod bootstrap;
mod crfiqa;
mod curve;
mod ends;
mod iso;
mod kept;
mod nist;
mod ranking;
mod sweep;
mod ties;

use rayon::slice::ParallelSliceMut;

use crate::comparisons::Comparisons;
use crate::error::{EvalError, check_rate};

pub use bootstrap::{Bootstrap, CurveIntervals, Interval, Resample};
pub use curve::{Curve, CurvePoint, Shape, Warning};
pub use ranking::Ranking;
pub use ties::{CurveRange, TieSensitivity};

pub(crate) use bootstrap::{draw_weights, interval};
pub(crate) use kept::{Kept, Weights};
pub(crate) use sweep::{Operating, sweep};

/// The limit up to which the papers integrate: 30 % discarded.
pub const PAUC_LIMIT: f64 = 0.30;

/// The false match rates of the papers.
pub const FMR_TARGETS: [f64; 3] = [1e-2, 1e-3, 1e-4];

/// Points of a curve on the papers' grid.
pub const GRID_POINTS: usize = 20;

/// The discard fractions 0, 0.05, …, 0.95 of the papers, as they are in floating
/// point when 0.05 is multiplied.
pub fn grid() -> [f64; GRID_POINTS] {
    std::array::from_fn(|index| index as f64 * 0.05)
}

/// A way to draw an error-versus-discard curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// As the CR-FIQA code draws it, and with it the papers. All comparisons are
    /// discarded alike, on 20 points, and the threshold is found again each time:
    /// of all remaining distances the one whose FMR (share of non-mated distances
    /// ≤ t) is nearest the target, the largest of several. FNMR is the share of
    /// mated distances that are not < t.
    Crfiqa,
    /// In the style of ISO/IEC 29794-1, as the dasec reference code draws it. Mated
    /// comparisons only; the threshold is fixed once; an error is a similarity < t;
    /// equal qualities leave together; a step function with (1, 0) appended.
    Iso,
    /// FNMR against the share of mated comparisons rejected (Grother and Tabassi,
    /// 2007): the threshold of [`Self::Crfiqa`] at zero discard is kept, and mated
    /// comparisons alone are discarded, on the same 20 points.
    Nist,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 3] = [Self::Crfiqa, Self::Iso, Self::Nist];

    /// The name that users type and read.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crfiqa => "crfiqa",
            Self::Iso => "iso",
            Self::Nist => "nist",
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

/// Where the threshold of a curve is put.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// At a false match rate. Under [`Protocol::Iso`] this is the NumPy linear
    /// quantile `1 − FMR` of the non-mated similarities.
    Fmr(f64),
    /// At the false non-match rate with which the curve starts; only
    /// [`Protocol::Iso`]: the NumPy linear quantile of the mated similarities.
    Fnmr(f64),
}

impl Target {
    /// The rate.
    pub fn rate(self) -> f64 {
        let (Self::Fmr(rate) | Self::Fnmr(rate)) = self;
        rate
    }
}

impl std::fmt::Display for Target {
    /// `FMR 1e-3`, `FNMR 0.05`: powers of ten as the papers write them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = if matches!(self, Self::Fmr(_)) { "FMR" } else { "FNMR" };
        let scientific = format!("{:e}", self.rate());
        match scientific.starts_with("1e-") {
            true => write!(f, "{name} {scientific}"),
            false => write!(f, "{name} {}", self.rate()),
        }
    }
}

/// Comparisons sorted once, ready to be judged by any number of qualities.
#[derive(Debug)]
pub struct Evaluator<'a> {
    comparisons: &'a Comparisons,
    /// Indices of the comparisons, by ascending distance.
    by_distance: Vec<u32>,
}

impl<'a> Evaluator<'a> {
    /// Sorts the comparisons by distance.
    pub fn new(comparisons: &'a Comparisons) -> Self {
        let distance = |index: u32| ranking::sortable(comparisons.distance(index as usize));
        let mut keyed: Vec<(u64, u32)> =
            (0..comparisons.len() as u32).map(|index| (distance(index), index)).collect();
        keyed.par_sort_unstable();
        let by_distance = keyed.into_iter().map(|(_, index)| index).collect();
        Self { comparisons, by_distance }
    }

    /// The comparisons.
    pub fn comparisons(&self) -> &'a Comparisons {
        self.comparisons
    }

    pub(crate) fn by_distance(&self) -> &[u32] {
        &self.by_distance
    }

    /// One curve a target.
    ///
    /// # Errors
    ///
    /// If there is not one quality a comparison, if a rate is not between 0 and 1,
    /// or if the protocol does not know such a target.
    pub fn curves(
        &self,
        ranking: &Ranking,
        protocol: Protocol,
        targets: &[Target],
    ) -> Result<Vec<Curve>, EvalError> {
        self.check(ranking, protocol, targets)?;
        Ok(self.weighted_curves(ranking, protocol, targets, Weights::One))
    }

    /// The curves of a set in which each comparison stands as often as its weight
    /// says; for arguments that were checked.
    pub(crate) fn weighted_curves(
        &self,
        ranking: &Ranking,
        protocol: Protocol,
        targets: &[Target],
        weights: Weights<'_>,
    ) -> Vec<Curve> {
        match protocol {
            Protocol::Crfiqa => crfiqa::curves(self, ranking, targets, weights),
            Protocol::Iso => {
                targets.iter().map(|&target| iso::curve(self, ranking, target, weights)).collect()
            }
            Protocol::Nist => nist::curves(self, ranking, targets, weights),
        }
    }

    pub(crate) fn check(
        &self,
        ranking: &Ranking,
        protocol: Protocol,
        targets: &[Target],
    ) -> Result<(), EvalError> {
        if ranking.len() != self.comparisons.len() {
            return Err(EvalError::Count {
                what: "qualities of pairs",
                found: ranking.len(),
                against: "comparisons",
                expected: self.comparisons.len(),
            });
        }
        check_targets(protocol, targets)
    }
}

/// Whether a protocol knows these targets.
fn check_targets(protocol: Protocol, targets: &[Target]) -> Result<(), EvalError> {
    for &target in targets {
        match target {
            Target::Fmr(rate) => check_rate("a target FMR", rate)?,
            Target::Fnmr(rate) if protocol == Protocol::Iso => {
                check_rate("a starting FNMR", rate)?;
            }
            Target::Fnmr(_) => {
                let (protocol, expected) = (protocol.name(), "a false match rate");
                return Err(EvalError::Target { protocol, expected, found: target.to_string() });
            }
        }
    }
    Ok(())
}
