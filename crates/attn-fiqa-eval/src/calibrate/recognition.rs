//! How likely a recogniser is to match each sample: the target of a fit.
//!
//! A sample *matches* if its cosine to the clean face reaches the threshold for a false match rate
//! between clean faces. Matching is undefined for clean faces, which match themselves. But the norm
//! of the embedding predicts how likely a degraded sample is to match, and it is also defined for
//! clean and rotated faces; so the target of all samples is the probability of a match at their
//! norm (definitions §2, second form).

use attn_fiqa::score::MatchProbability;
use rayon::prelude::*;

use super::logistic_fit::fit_logistic;
use super::{Measurements, Sample};
use crate::statistics::spearman;

/// Number of false matches that a threshold needs: with fewer it is unreliable.
const FALSE_MATCHES: f64 = 3.0;

/// Minimum rank correlation of norm and cosine over degraded samples for the norm to be used.
const LEAST_AGREEMENT: f64 = 0.6;

/// Maximum number of faces compared with each other; 4,000 give eight million comparisons.
const MAX_COMPARED_FACES: usize = 4000;

/// How likely samples are to match, estimated from the norm of their embedding.
#[derive(Debug, Clone, PartialEq)]
pub struct RecognitionTarget {
    /// Cosines of at least this are matches.
    pub threshold: f64,
    /// How many degraded samples match their clean face, and how many there are.
    pub matches: [usize; 2],
    /// The probability of a match as a function of the norm.
    pub by_norm: MatchProbability,
    /// Rank correlation of norm and cosine over the samples that are not clean.
    pub agreement: f64,
}

/// Why the norm of a recogniser's embeddings cannot serve as the target.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RecognitionError {
    /// The threshold of the FMR would be unreliable.
    #[error(
        "{comparisons} comparisons between clean faces are too few for an FMR of {fmr}; \
         {needed} are needed: give more faces or a higher false match rate"
    )]
    TooFewComparisons {
        /// Non-mated comparisons between clean faces.
        comparisons: usize,
        /// The number that the FMR requires.
        needed: usize,
        /// The false match rate.
        fmr: f64,
    },
    /// Every degraded sample matches, or none.
    #[error("{matches} of {samples} degraded images match their clean face")]
    SingleOutcome {
        /// Number of samples that match.
        matches: usize,
        /// Number of degraded samples.
        samples: usize,
    },
    /// The norm does not decrease with the cosine.
    #[error(
        "the norm of the recogniser's embeddings predicts its matches too poorly: rank correlation \
         {agreement:.2} with the cosine over degraded samples, expected at least {needed}"
    )]
    UninformativeNorm {
        /// Rank correlation of norm and cosine; 0 if the norm does not vary.
        agreement: f64,
        /// Minimum accepted value.
        needed: f64,
    },
}

impl RecognitionTarget {
    /// Fits the target to samples.
    ///
    /// # Errors
    ///
    /// If there is no threshold, or the norm predicts matches too poorly.
    pub fn of(measured: &Measurements) -> Result<Self, RecognitionError> {
        let threshold = measured.threshold()?;
        let damaged: Vec<&Sample> =
            measured.samples.iter().filter(|sample| sample.kind.is_some()).collect();
        let outcomes: Vec<bool> = damaged.iter().map(|sample| sample.matches(threshold)).collect();
        let matches = outcomes.iter().filter(|&&outcome| outcome).count();
        let norms: Vec<f64> = damaged.iter().map(|sample| sample.norm).collect();
        let cosines: Vec<f64> = damaged.iter().map(|sample| sample.cosine).collect();
        if matches == 0 || matches == damaged.len() {
            return Err(RecognitionError::SingleOutcome { matches, samples: damaged.len() });
        }
        let agreement = spearman(&norms, &cosines).unwrap_or(0.0);
        let by_norm = fit_logistic(&norms, &outcomes).filter(|model| model.slope > 0.0);
        match by_norm {
            Some(by_norm) if agreement >= LEAST_AGREEMENT => {
                Ok(Self { threshold, matches: [matches, damaged.len()], by_norm, agreement })
            }
            _ => Err(RecognitionError::UninformativeNorm { agreement, needed: LEAST_AGREEMENT }),
        }
    }

    /// The target of a sample, clean or not.
    pub fn target(&self, sample: &Sample) -> f64 {
        self.by_norm.at(sample.norm)
    }
}

impl Measurements {
    /// The lowest cosine at which no more than [`Measurements::fmr`] of the comparisons between
    /// clean faces match.
    ///
    /// # Errors
    ///
    /// If there are too few of these comparisons.
    pub fn threshold(&self) -> Result<f64, RecognitionError> {
        let (comparisons, fmr) = (self.non_mated, self.fmr);
        let needed = (FALSE_MATCHES / fmr).ceil() as usize;
        if comparisons < needed {
            return Err(RecognitionError::TooFewComparisons { comparisons, needed, fmr });
        }
        let allowed = (comparisons as f64 * fmr) as usize;
        self.highest_non_mated
            .get(allowed)
            .map(|&cosine| f64::from(cosine.next_up()))
            .ok_or(RecognitionError::TooFewComparisons { comparisons, needed, fmr })
    }
}

/// The number of comparisons between embeddings of different faces, `[face, dim]` of unit length,
/// and their highest cosines in descending order: those that may match at `fmr`, and the next one.
pub(super) fn non_mated_cosines(embeddings: &[Vec<f32>], fmr: f64) -> (usize, Vec<f32>) {
    let embeddings = &embeddings[..embeddings.len().min(MAX_COMPARED_FACES)];
    let comparisons = embeddings.len() * embeddings.len().saturating_sub(1) / 2;
    let keep = (comparisons as f64 * fmr) as usize + 1;
    let rows = (1..embeddings.len()).into_par_iter().map(|face| {
        let own = &embeddings[face];
        embeddings[..face].iter().map(|other| dot(own, other)).collect::<Vec<f32>>()
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

#[cfg(test)]
mod tests {
    use super::*;
    use attn_fiqa::random::Random;

    #[test]
    fn highest_non_mated_cosines_match_sorted_comparisons() {
        let mut random = Random::new(2, "recognition");
        let embeddings: Vec<Vec<f32>> =
            (0..20).map(|_| (0..6).map(|_| random.normal() as f32).collect()).collect();
        let mut all = Vec::new();
        for (face, own) in embeddings.iter().enumerate() {
            all.extend(embeddings[..face].iter().map(|other| dot(own, other)));
        }
        all.sort_by(|a, b| b.total_cmp(a));
        // 3.8 of 190 comparisons may match: three, and the next one tells the threshold.
        assert_eq!(non_mated_cosines(&embeddings, 0.02), (190, all[..4].to_vec()));
        assert_eq!(non_mated_cosines(&embeddings, 1.0), (190, all));
        assert_eq!(non_mated_cosines(&[], 0.02), (0, Vec::new()));
    }
}
