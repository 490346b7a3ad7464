//! Calibration: fitting a score to a recogniser's matches, and mapping it to 0–100.
//!
//! 1. [`measure`]: samples of faces, clean and degraded; the published score, the
//!    mean query, and a recogniser's comparisons.
//! 2. [`RecognitionTarget`]: how likely the recogniser is to match each sample.
//! 3. [`fit`]: the key bias, by ridge regression, chosen and evaluated by the recogniser's errors
//!    on held-out faces.
//! 4. [`quality_scale`]: 0–100 by matches; [`quality_map`]: by rank, if there is no such scale.
//! 5. [`cause_samples`] and [`fit_causes`]: the readout of causes.

mod causes;
mod cholesky;
mod errors;
mod fit;
mod logistic_fit;
mod measure;
mod moments;
mod rank;
mod recognition;
mod reliability;
mod scale;

use attn_fiqa::engine::RequestError;
use serde::Serialize;

use crate::degrade::Degradation;

pub use causes::{
    Applied, CauseAgreement, CauseEvaluation, CauseFit, CauseSample, CauseSamples, Hits,
    cause_samples, evaluate_causes, fit_causes,
};
pub use errors::ErrorMetrics;
pub use fit::{FitOptions, fit};
pub use measure::{Face, Recogniser, Sampling, measure};
pub use rank::quality_map;
pub use recognition::{RecognitionError, RecognitionTarget};
pub use reliability::Reliability;
pub use scale::{ScaleInput, fit_scale, quality_scale};

/// An image of a face, clean or degraded.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The face, numbered from 0.
    pub face: usize,
    /// How it was degraded; `None` for the clean face.
    pub kind: Option<Degradation>,
    /// Its level, 0 … 1; 0 for the clean face.
    pub level: f64,
    /// The published score `Q`.
    pub score: f32,
    /// The last block's mean query `q̄`, `[head, head_dim]`.
    pub mean_query: Vec<f32>,
    /// How much of the face a recogniser still sees: the cosine to the clean face, both minus the
    /// mean embedding of clean faces; 1 for the clean face.
    pub utility: f64,
    /// The cosine of the recogniser's embeddings of this sample and the clean face.
    pub cosine: f64,
    /// Length of the recogniser's embedding.
    pub norm: f64,
}

impl Sample {
    /// Whether the recogniser matches it with the clean face, at a threshold on the cosine.
    pub fn matches(&self, threshold: f64) -> bool {
        self.cosine >= threshold
    }
}

/// Two samples of one face and the similarity of their embeddings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MatedPair {
    /// Index of one sample.
    pub a: u32,
    /// Index of the other.
    pub b: u32,
    /// Cosine of their embeddings.
    pub cosine: f32,
}

/// Samples of faces and a recogniser's comparisons of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurements {
    /// All samples, grouped by face, the clean one first.
    pub samples: Vec<Sample>,
    /// Comparisons of samples of one face, none of them clean with clean.
    pub pairs: Vec<MatedPair>,
    /// The false match rate of the threshold.
    pub fmr: f64,
    /// Comparisons between clean faces.
    pub non_mated: usize,
    /// Their highest cosines, descending: one more than may match at `fmr`.
    pub highest_non_mated: Vec<f32>,
    /// The covariance of a mean query whose mean token has independent elements with the variances
    /// observed in the samples: `W·diag(var m)·Wᵀ`, `[D, D]`, lower triangle.
    pub penalty: Vec<f64>,
}

/// A key bias and its factor in the score.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyBias {
    /// `c`, `[head, head_dim]`, as a checkpoint's `calibration.key_bias`.
    pub values: Vec<f32>,
    /// `scale/H` of the network.
    pub scale_over_heads: f64,
}

/// A fitted key bias and its evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// The key bias.
    pub key_bias: KeyBias,
    /// The ridge that was chosen, in units of the variance of the mean token's elements.
    pub ridge: f64,
    /// The weight β of the published score that was chosen, in units of the target's standard
    /// deviation over the score's.
    pub beta: f64,
    /// All candidates of the cross-validation.
    pub candidates: Vec<Candidate>,
    /// Number of faces that the key bias was fitted on.
    pub faces_fitted: usize,
    /// Number of faces used neither for the choice nor for the fit.
    pub faces_held_out: usize,
    /// On the held-out faces: one row per kind, the last one for all samples.
    pub agreement: Vec<Agreement>,
    /// The recogniser's errors on the held-out faces, if it has a threshold.
    pub held_out_errors: Option<HeldOutErrors>,
    /// For each face, whether it was held out.
    pub held_out: Vec<bool>,
}

/// The recogniser's errors on held-out faces, with the scores before and after a fit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeldOutErrors {
    /// The published score.
    pub published: ErrorMetrics,
    /// The fitted one.
    pub fitted: ErrorMetrics,
    /// The score under the checkpoint's previous key bias, if any.
    pub existing: Option<ErrorMetrics>,
}

impl Fit {
    /// Over all samples of the held-out faces.
    pub fn overall(&self) -> &Agreement {
        self.agreement.last().expect("a fit has a row for all samples: this is a bug")
    }

    /// Whether the fitted score leaves fewer errors than the published one on the held-out faces
    /// ([`ErrorMetrics::relative_to`]); if no errors could be counted, whether it follows utility
    /// better.
    pub fn helps(&self) -> bool {
        if let Some(HeldOutErrors { published, fitted, .. }) = &self.held_out_errors {
            return fitted.relative_to(*published) < 1.0;
        }
        let Agreement { published, calibrated, .. } = self.overall();
        calibrated.unwrap_or(0.0) > published.unwrap_or(0.0)
    }
}

/// One choice of ridge and β, and its cross-validated results.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// As [`Fit::ridge`].
    pub ridge: f64,
    /// As [`Fit::beta`].
    pub beta: f64,
    /// The mean rank correlation with the target over the folds.
    pub agreement: f64,
    /// The means of the recogniser's errors over the folds, if it has a threshold.
    pub errors: Option<ErrorMetrics>,
}

/// The rank correlation of scores with utility, before and after the fit; `None` if one of the two
/// does not vary.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Agreement {
    /// The degradation's name, or `all`.
    pub kind: &'static str,
    /// Samples.
    pub samples: usize,
    /// Of the published score.
    pub published: Option<f64>,
    /// Of the fitted score.
    pub calibrated: Option<f64>,
    /// Of the score under the checkpoint's previous key bias, if any.
    pub existing: Option<f64>,
}

/// Why a model was not calibrated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrateError {
    /// The model does not support the request.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Too few faces to hold some out.
    #[error("{found} usable faces are too few to hold some out; at least {needed} are needed")]
    TooFewFaces {
        /// Faces with samples.
        found: usize,
        /// Minimum number of faces.
        needed: usize,
    },
    /// Scores or targets do not vary.
    #[error("all images have the same score or the same target, so there is nothing to fit")]
    NothingToFit,
    /// The network normalises its queries and keys.
    #[error(
        "this model normalises each query and key (`attn.q_norm`), and a key bias can be fitted \
         only where the mean query is a linear function of the mean token"
    )]
    NormalisedQueries,
}
