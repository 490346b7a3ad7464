//! All results for one face, or for an image without a face.

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

/// One face, or an image without a face. Every input image yields at least one row; the rows of an
/// image are consecutive.
#[derive(Debug)]
#[non_exhaustive]
pub struct Row {
    /// The name to display.
    pub path: String,
    /// The name relative to its input, for output files.
    pub relative: PathBuf,
    /// Width and height of the image in its file, upright, if it was decoded.
    pub size: Option<(usize, usize)>,
    /// What was ignored or changed.
    pub notes: Vec<Note>,
    /// Whether this is the first row of its image.
    pub is_first: bool,
    /// The number of faces in its image, including those left out: see
    /// [`ScoredImage::faces_found`].
    pub faces_found: usize,
    /// The face, if there is one.
    pub face: Option<FaceInfo>,
    /// The upright photo, if requested by
    /// [`FaceOptions::keep_photo`](super::FaceOptions::keep_photo).
    pub photo: Option<Arc<Image>>,
    /// The network's input, if there is one.
    pub crop: Option<Crop>,
    /// The results, or the reason why there are none.
    pub outcome: Result<Assessment, Failure>,
    /// Standard deviation of the first score over perturbed landmarks, if requested by
    /// [`ScoreOptions::jitter`](super::ScoreOptions::jitter) and the face was aligned here.
    pub jitter_std: Option<f32>,
    /// The component measures, if [`ScoreOptions::components`](super::ScoreOptions::components)
    /// requests them and the face was aligned here.
    pub components: Option<Components>,
}

impl Row {
    /// The rows of an image: one per face, or a single one without a face.
    pub(super) fn of_image(path: &str, relative: &Path, image: ScoredImage) -> Vec<Self> {
        let ScoredImage { size, notes, photo, faces_found, faces } = image;
        let row = |is_first, face, crop, outcome, jitter_std, components| Self {
            path: path.to_owned(),
            relative: relative.to_owned(),
            size,
            notes: notes.clone(),
            is_first,
            faces_found,
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

    /// A name for formats without a face column: the path, followed by `#` and the face's number
    /// from the second row of an image on.
    pub fn label(&self) -> String {
        match self.face {
            Some(face) if !self.is_first => format!("{}#{}", self.path, face.index),
            _ => self.path.clone(),
        }
    }
}

/// The crop of one face, or an image without a face; the rows of an image are consecutive.
#[derive(Debug)]
#[non_exhaustive]
pub struct CropRow {
    /// The name to display.
    pub path: String,
    /// The name relative to its input, for output files.
    pub relative: PathBuf,
    /// Width and height of the image in its file, upright, if it was decoded.
    pub size: Option<(usize, usize)>,
    /// What was ignored or changed.
    pub notes: Vec<Note>,
    /// Whether this is the first row of its image.
    pub is_first: bool,
    /// The face, if there is one.
    pub face: Option<FaceInfo>,
    /// Its crop, or the reason why there is none.
    pub crop: Result<Crop, Failure>,
}

/// The faces of one image, largest first, or why detection failed. An image without faces has an
/// empty list.
#[derive(Debug)]
#[non_exhaustive]
pub struct FacesRow {
    /// The name to display.
    pub path: String,
    /// The name relative to its input, for output files.
    pub relative: PathBuf,
    /// Width and height of the image in its file, upright, if it was decoded.
    pub size: Option<(usize, usize)>,
    /// What was ignored or changed.
    pub notes: Vec<Note>,
    /// The upright photo, if requested by [`super::FindOptions::keep_photo`].
    pub photo: Option<Arc<Image>>,
    /// The detected faces.
    pub faces: Result<Vec<Face>, Failure>,
}
