//! The results for one image.

use std::sync::Arc;

use crate::components::Components;
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
    /// Width and height of the upright image in pixels, if it was decoded.
    pub size: Option<(usize, usize)>,
    /// What was ignored or changed.
    pub notes: Vec<Note>,
    /// The upright photo, if requested by
    /// [`FaceOptions::keep_photo`](super::FaceOptions::keep_photo).
    pub photo: Option<Arc<Image>>,
    /// The number of faces that were detected or listed, including those that the choice of faces
    /// left out; 1 for an aligned crop.
    pub faces_found: usize,
    /// The faces, largest first and at least one, or the reason why there is none.
    pub faces: Result<Vec<ScoredFace>, Failure>,
}

impl ScoredImage {
    /// An image that failed before it was decoded.
    pub fn failed(failure: Failure) -> Self {
        Self { size: None, notes: Vec::new(), photo: None, faces_found: 0, faces: Err(failure) }
    }
}

/// One face of an image.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ScoredFace {
    /// Its position, and how its crop was made.
    pub info: FaceInfo,
    /// The network's input, if there is one.
    pub crop: Option<Crop>,
    /// The results, or the reason why there are none.
    pub outcome: Result<Assessment, Failure>,
    /// Standard deviation of the first score over perturbed landmarks, if requested by
    /// [`ScoreOptions::jitter`](super::ScoreOptions::jitter) and the face was aligned here.
    pub jitter_std: Option<f32>,
    /// Its component measures, if [`ScoreOptions::components`](super::ScoreOptions::components)
    /// requests them and the face was aligned here.
    pub components: Option<Components>,
}
