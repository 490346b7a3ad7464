//! The results for one image.

use std::sync::Arc;

use crate::crop::Crop;
use crate::decode::Note;
use crate::engine::Assessment;
use crate::face::FaceInfo;
use crate::pixels::Image;
use crate::status::Failure;

/// One image and its faces.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ScoredImage {
    /// Width and height of the upright image in pixels, when it was decoded.
    pub size: Option<(usize, usize)>,
    /// What was ignored or changed.
    pub notes: Vec<Note>,
    /// The upright photo, where [`FaceOptions::keep_photo`](super::FaceOptions::keep_photo)
    /// asks for it.
    pub photo: Option<Arc<Image>>,
    /// The faces, the largest first and at least one, or why there is none.
    pub faces: Result<Vec<ScoredFace>, Failure>,
}

impl ScoredImage {
    /// An image that was given up before it was decoded.
    pub fn failed(failure: Failure) -> Self {
        Self { size: None, notes: Vec::new(), photo: None, faces: Err(failure) }
    }
}

/// One face of an image.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ScoredFace {
    /// Where it is, and how its crop was made.
    pub info: FaceInfo,
    /// The network's input, when there is one.
    pub crop: Option<Crop>,
    /// The results, or why there are none.
    pub outcome: Result<Assessment, Failure>,
    /// Standard deviation of the first score over noisy landmarks, where
    /// [`ScoreOptions::jitter`](super::ScoreOptions::jitter) asks for it and the face was
    /// aligned here.
    pub jitter_std: Option<f32>,
}
