//! Everything about one face, or about an image that has none.

use std::path::PathBuf;
use std::sync::Arc;

use crate::crop::Crop;
use crate::decode::Note;
use crate::detect::Face;
use crate::engine::Assessment;
use crate::face::FaceInfo;
use crate::picture::Picture;
use crate::status::Failure;

/// One face, or an image without one. Every image that goes in comes out as one
/// row at least; the rows of an image follow each other.
#[derive(Debug)]
pub struct Row {
    /// The name to show.
    pub path: String,
    /// The name inside its input, for files to be written.
    pub relative: PathBuf,
    /// Width and height of the picture in its file, upright, when it was decoded.
    pub size: Option<(usize, usize)>,
    /// What was ignored or changed on the way.
    pub notes: Vec<Note>,
    /// Whether this is the first row of its image.
    pub is_first: bool,
    /// The face, when there is one.
    pub face: Option<FaceInfo>,
    /// The upright photo, where [`super::PipelineOptions::keep_photo`] asks for it.
    pub photo: Option<Arc<Picture>>,
    /// The network's input, when there is one.
    pub crop: Option<Crop>,
    /// What was found out, or why nothing was.
    pub outcome: Result<Assessment, Failure>,
    /// Standard deviation of the first score over noisy landmarks, where
    /// [`super::PipelineOptions::jitter`] asks for it and the face was aligned here.
    pub jitter_std: Option<f32>,
}

impl Row {
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
pub struct CropRow {
    /// The name to show.
    pub path: String,
    /// The name inside its input, for files to be written.
    pub relative: PathBuf,
    /// Width and height of the picture in its file, upright, when it was decoded.
    pub size: Option<(usize, usize)>,
    /// What was ignored or changed on the way.
    pub notes: Vec<Note>,
    /// Whether this is the first row of its image.
    pub is_first: bool,
    /// The face, when there is one.
    pub face: Option<FaceInfo>,
    /// Its crop, or why there is none.
    pub crop: Result<Crop, Failure>,
}

/// The faces of one image, largest first, or why they could not be looked for.
/// An image without faces has an empty list.
#[derive(Debug)]
pub struct FacesRow {
    /// The name to show.
    pub path: String,
    /// The name inside its input, for files to be written.
    pub relative: PathBuf,
    /// Width and height of the picture in its file, upright, when it was decoded.
    pub size: Option<(usize, usize)>,
    /// What was ignored or changed on the way.
    pub notes: Vec<Note>,
    /// The upright photo, where [`super::FindOptions::keep_photo`] asks for it.
    pub photo: Option<Arc<Picture>>,
    /// What was found.
    pub faces: Result<Vec<Face>, Failure>,
}
