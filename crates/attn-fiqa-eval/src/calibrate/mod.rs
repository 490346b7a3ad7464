//! Fitting what recognition never determined of a score to utility, and bringing
//! the score to 0–100.
//!
//! 1. [`measure`]: pictures of faces, clean and degraded; the published score, the
//!    mean query, and how much a recogniser loses by the degradation.
//! 2. [`fit`]: the key bias, by ridge regression, judged on faces held out.
//! 3. [`quality_map`]: ranks in the reference set.

mod cholesky;
mod fit;
mod measure;
mod moments;
mod reference;

use attn_fiqa::engine::RequestError;
use serde::Serialize;

use crate::degrade::Degradation;

pub use fit::fit;
pub use measure::{Face, Recogniser, Sampling, measure};
pub use reference::quality_map;

/// One picture of a face, as a fit sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Whose picture: faces are numbered from 0.
    pub face: usize,
    /// How it was degraded; `None` for the face as it is.
    pub kind: Option<Degradation>,
    /// The published score `Q`.
    pub score: f32,
    /// The last block's mean query `q̄`, `[head, head_dim]`.
    pub mean_query: Vec<f32>,
    /// How much of the face a recogniser still sees: a cosine, 1 for the face as
    /// it is.
    pub utility: f64,
}

/// A key bias and the factor with which it enters the score.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyBias {
    /// `c`, `[head, head_dim]`, as a checkpoint's `calibration.key_bias`.
    pub values: Vec<f32>,
    /// `scale/H` of the network.
    pub scale_over_heads: f64,
}

/// A fitted key bias and how well it does.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// The key bias.
    pub key_bias: KeyBias,
    /// The ridge that was chosen, in units of each column's variance.
    pub ridge: f64,
    /// The share of the published score that was chosen, in units of utility's
    /// deviation over the score's.
    pub beta: f64,
    /// The mean rank correlation with utility over the folds of the choice.
    pub cross_validated: f64,
    /// Everything that was tried for the choice.
    pub tried: Vec<Tried>,
    /// Faces that the key bias was fitted on.
    pub faces_fitted: usize,
    /// Faces that neither the choice nor the fit saw.
    pub faces_held_out: usize,
    /// On the faces held out: one row for each kind, the last for all pictures.
    pub agreement: Vec<Agreement>,
}

impl Fit {
    /// Over all pictures of the faces held out.
    pub fn overall(&self) -> &Agreement {
        self.agreement.last().expect("a fit has a row for all pictures: this is a bug")
    }

    /// Whether the fitted score follows utility better than the published one on
    /// faces held out.
    pub fn helps(&self) -> bool {
        let Agreement { published, calibrated, .. } = self.overall();
        calibrated.unwrap_or(0.0) > published.unwrap_or(0.0)
    }
}

/// One choice of ridge and share, and how well it did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tried {
    /// As [`Fit::ridge`].
    pub ridge: f64,
    /// As [`Fit::beta`].
    pub beta: f64,
    /// The mean rank correlation with utility over the folds.
    pub agreement: f64,
}

/// The rank correlation of scores with utility, before and after the fit; `None`
/// where one of the two does not vary.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Agreement {
    /// The degradation's name, or `all`.
    pub kind: &'static str,
    /// Pictures.
    pub pictures: usize,
    /// Of the published score.
    pub published: Option<f64>,
    /// Of the fitted score.
    pub calibrated: Option<f64>,
    /// Of the score under the key bias that was there before, if there was one.
    pub existing: Option<f64>,
}

/// Why a model was not calibrated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrateError {
    /// The model cannot give what is needed.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Too few faces to hold some out.
    #[error(
        "{found} usable faces are too few to fit on some and judge on others; give at least {needed}"
    )]
    TooFewFaces {
        /// Faces with pictures.
        found: usize,
        /// The fewest.
        needed: usize,
    },
    /// Every picture is like every other.
    #[error("all pictures have the same score or the same utility, so there is nothing to fit")]
    NothingToFit,
}
