//! Everything about one face, or about an image that has none.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{ScoredFace, ScoredImage};
use crate::components::Components;
use crate::crop::Crop;
use crate::decode::Note;
use crate::detect::Face;
use crate::engine::Assessment;
use crate::face::FaceInfo;
use crate::pixels::Image;
use crate::status::Failure;

/// One face, or an image without one. Every image that goes in comes out as one
/// row at least; the rows of an image follow each other.
#[derive(Debug)]
#[non_exhaustive]
pub struct Row {
    /// The name to show.
    pub path: String,
    /// The name inside its input, for files to be written.
    pub relative: PathBuf,
    /// Width and height of the image in its file, upright, when it was decoded.
    pub size: Option<(usize, usize)>,
    /// What was ignored or changed.
    pub notes: Vec<Note>,
    /// Whether this is the first row of its image.
    pub is_first: bool,
    /// The face, when there is one.
    pub face: Option<FaceInfo>,
    /// The upright photo, where [`FaceOptions::keep_photo`](super::FaceOptions::keep_photo) asks for it.
    pub photo: Option<Arc<Image>>,
    /// The network's input, when there is one.
    pub crop: Option<Crop>,
    /// The results, or why there are none.
    pub outcome: Result<Assessment, Failure>,
    /// Standard deviation of the first score over noisy landmarks, where
    /// [`ScoreOptions::jitter`](super::ScoreOptions::jitter) asks for it and the face was aligned here.
    pub jitter_std: Option<f32>,
    /// The component measures, where
    /// [`ScoreOptions::components`](super::ScoreOptions::components) asks for them and the face
    /// was aligned here.
    pub components: Option<Components>,
}

impl Row {
    /// The rows of an image, under its names: one per face, and one for an image without.
    pub(super) fn of_image(path: &str, relative: &Path, image: ScoredImage) -> Vec<Self> {
        let ScoredImage { size, notes, photo, faces } = image;
        let row = |is_first, face, crop, outcome, jitter_std, components| Self {
            path: path.to_owned(),
            relative: relative.to_owned(),
            size,
            notes: notes.clone(),
            is_first,
            face,
            photo: photo.clone(),
            crop,
            outcome,
            jitter_std,
            components,
        };
        match faces {
            Err(failure) => vec![row(true, None, None, Err(failure), None, None)],
            Ok(faces) => faces
                .into_iter()
                .enumerate()
                .map(|(place, face)| {
                    let ScoredFace { info, crop, outcome, jitter_std, components } = face;
                    row(place == 0, Some(info), crop, outcome, jitter_std, components)
                })
                .collect(),
        }
    }

    /// A name for formats without a column for the face: the path, and from an
    /// image's second row on `#` and the number of the face.
    pub fn label(&self) -> String {
        match self.face {
            Some(face) if !self.is_first => format!("{}#{}", self.path, face.index),
            _ => self.path.clone(),
        }
    }
}

/// One face's crop, or an image without one; the rows of an image follow each other.
#[derive(Debug)]
#[non_exhaustive]
pub struct CropRow {
    /// The name to show.
    pub path: String,
    /// The name inside its input, for files to be written.
    pub relative: PathBuf,
    /// Width and height of the image in its file, upright, when it was decoded.
    pub size: Option<(usize, usize)>,
    /// What was ignored or changed.
    pub notes: Vec<Note>,
    /// Whether this is the first row of its image.
    pub is_first: bool,
    /// The face, when there is one.
    pub face: Option<FaceInfo>,
    /// Its crop, or why there is none.
    pub crop: Result<Crop, Failure>,
}

/// The faces of one image, largest first, or why detection failed.
/// An image without faces has an empty list.
#[derive(Debug)]
#[non_exhaustive]
pub struct FacesRow {
    /// The name to show.
    pub path: String,
    /// The name inside its input, for files to be written.
    pub relative: PathBuf,
    /// Width and height of the image in its file, upright, when it was decoded.
    pub size: Option<(usize, usize)>,
    /// What was ignored or changed.
    pub notes: Vec<Note>,
    /// The upright photo, where [`super::FindOptions::keep_photo`] asks for it.
    pub photo: Option<Arc<Image>>,
    /// What was found.
    pub faces: Result<Vec<Face>, Failure>,
}
