//! How well a recogniser knows each picture again: the target of a fit.
//!
//! A picture *matches* where its cosine to the clean face reaches the threshold of a false
//! match rate between clean faces. Matching says nothing on clean faces, which match
//! themselves. But the norm of the embedding says how likely a damaged picture is to
//! match, and it has a meaning on clean and turned faces too; so the target of all
//! pictures is the probability of a match at their norm (definitions §2, second form).

use rayon::prelude::*;

use super::{Logistic, Measured, Picture};
use crate::statistics::spearman;

/// Non-mated comparisons that a threshold needs, in units of one over its FMR: fewer false
/// matches than so many decide on chance.
const FALSE_MATCHES: f64 = 3.0;

/// The least rank correlation of norm and cosine over damaged pictures at which the norm
/// is taken to mean something.
const LEAST_AGREEMENT: f64 = 0.6;

/// Faces that are compared with each other: with 4,000, eight million comparisons.
const MOST_FACES: usize = 4000;

/// How likely pictures are to be known again, carried over by the norm.
#[derive(Debug, Clone, PartialEq)]
pub struct Recognition {
    /// Cosines from this on are matches.
    pub threshold: f64,
    /// Pictures other than the clean ones that match their clean face, of how many.
    pub matches: [usize; 2],
    /// The probability of a match at a norm.
    pub by_norm: Logistic,
    /// Rank correlation of norm and cosine over the pictures that are not clean.
    pub agreement: f64,
}

/// Why the norm of a recogniser's embeddings gives no target.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NoRecognition {
    /// The threshold of the FMR would rest on chance.
    #[error(
        "{comparisons} comparisons between clean faces are too few for an FMR of {fmr}; \
         {needed} are needed: give more faces or a higher false match rate"
    )]
    FewComparisons {
        /// Non-mated comparisons between clean faces.
        comparisons: usize,
        /// Those that the FMR needs.
        needed: usize,
        /// The false match rate.
        fmr: f64,
    },
    /// Every degraded picture matches, or none.
    #[error("{matches} of {pictures} degraded pictures match their clean face")]
    OneOutcome {
        /// Pictures that match.
        matches: usize,
        /// Pictures that are not clean.
        pictures: usize,
    },
    /// The norm does not fall with the cosine.
    #[error(
        "the norm of the recogniser's embeddings says too little on its matches: rank \
         correlation {agreement:.2} with the cosine over degraded pictures, at least \
         {needed} is expected"
    )]
    NormWithoutMeaning {
        /// Rank correlation of norm and cosine; 0 where the norm does not vary.
        agreement: f64,
        /// The least that is taken to mean something.
        needed: f64,
    },
}

impl Recognition {
    /// Of measured pictures.
    ///
    /// # Errors
    ///
    /// When the threshold cannot be had or the norm means too little.
    pub fn of(measured: &Measured) -> Result<Self, NoRecognition> {
        let threshold = measured.threshold()?;
        let damaged: Vec<&Picture> =
            measured.pictures.iter().filter(|picture| picture.kind.is_some()).collect();
        let outcomes: Vec<bool> =
            damaged.iter().map(|picture| picture.matches(threshold)).collect();
        let matches = outcomes.iter().filter(|&&outcome| outcome).count();
        let norms: Vec<f64> = damaged.iter().map(|picture| picture.norm).collect();
        let cosines: Vec<f64> = damaged.iter().map(|picture| picture.cosine).collect();
        if matches == 0 || matches == damaged.len() {
            return Err(NoRecognition::OneOutcome { matches, pictures: damaged.len() });
        }
        let agreement = spearman(&norms, &cosines).unwrap_or(0.0);
        let by_norm = Logistic::fit(&norms, &outcomes).filter(|law| law.slope > 0.0);
        match by_norm {
            Some(by_norm) if agreement >= LEAST_AGREEMENT => {
                Ok(Self { threshold, matches: [matches, damaged.len()], by_norm, agreement })
            }
            _ => Err(NoRecognition::NormWithoutMeaning { agreement, needed: LEAST_AGREEMENT }),
        }
    }

    /// The target of a picture, clean or not.
    pub fn target(&self, picture: &Picture) -> f64 {
        self.by_norm.of(picture.norm)
    }
}

impl Measured {
    /// The lowest cosine at which no more than [`Measured::fmr`] of the comparisons between
    /// clean faces match.
    ///
    /// # Errors
    ///
    /// When there are too few of these comparisons.
    pub fn threshold(&self) -> Result<f64, NoRecognition> {
        let (comparisons, fmr) = (self.non_mated, self.fmr);
        let needed = (FALSE_MATCHES / fmr).ceil() as usize;
        if comparisons < needed {
            return Err(NoRecognition::FewComparisons { comparisons, needed, fmr });
        }
        let allowed = (comparisons as f64 * fmr) as usize;
        self.highest_non_mated
            .get(allowed)
            .map(|&cosine| f64::from(cosine.next_up()))
            .ok_or(NoRecognition::FewComparisons { comparisons, needed, fmr })
    }
}

/// The number of comparisons between embeddings of different faces, `[face, dim]` brought
/// to length 1, and the highest of their cosines in falling order: those that may match at
/// `fmr`, and the next.
pub(super) fn between_faces(units: &[Vec<f32>], fmr: f64) -> (usize, Vec<f32>) {
    let units = &units[..units.len().min(MOST_FACES)];
    let comparisons = units.len() * units.len().saturating_sub(1) / 2;
    let keep = (comparisons as f64 * fmr) as usize + 1;
    let rows = (1..units.len()).into_par_iter().map(|face| {
        let own = &units[face];
        units[..face].iter().map(|other| dot(own, other)).collect::<Vec<f32>>()
    });
    let mut cosines: Vec<f32> = rows.flatten().collect();
    let falling = |a: &f32, b: &f32| b.total_cmp(a);
    if keep < cosines.len() {
        cosines.select_nth_unstable_by(keep, falling);
        cosines.truncate(keep);
    }
    cosines.sort_unstable_by(falling);
    (comparisons, cosines)
}

pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
