//! Everything about one face, or about an image that has none.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::align::Landmarks;
use crate::align::landmark_file::ListedFace;
use crate::crop::Crop;
use crate::decode::Note;
use crate::detect::{Face, FaceBox};
use crate::engine::Assessment;
use crate::picture::Picture;
use crate::status::Failure;

/// How a crop came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// The picture was taken for an aligned face and scored as it is.
    Aligned,
    /// The face was found by the detector and aligned by its landmarks.
    Detected,
    /// The face was found by the detector and aligned by the landmarks of a second look.
    Refined,
    /// The face was aligned by landmarks that were given.
    Landmarks,
}

impl Way {
    /// The name in output files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aligned => "aligned",
            Self::Detected => "detected",
            Self::Refined => "refined",
            Self::Landmarks => "landmarks",
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which face of its picture a row is about; coordinates are pixels of the
/// upright picture, the centre of its top-left pixel being (0, 0).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FaceInfo {
    /// How its crop came to be.
    pub way: Way,
    /// Its number in the picture, 0 being the largest, by the box or, where only
    /// landmarks are given, by the distance between the eyes.
    pub index: usize,
    /// The detector's box.
    pub bounds: Option<FaceBox>,
    /// The landmarks that it was aligned by.
    pub landmarks: Option<Landmarks>,
    /// How sure the detector is, 0 to 1.
    pub confidence: Option<f32>,
}

impl FaceInfo {
    /// A face that the detector found.
    pub fn detected(index: usize, face: &Face) -> Self {
        Self {
            way: if face.refined { Way::Refined } else { Way::Detected },
            index,
            bounds: Some(face.bounds),
            landmarks: Some(face.landmarks),
            confidence: Some(face.confidence),
        }
    }

    /// A face of a landmark file.
    pub fn listed(index: usize, face: &ListedFace) -> Self {
        Self {
            way: Way::Landmarks,
            index,
            bounds: None,
            landmarks: Some(face.landmarks),
            confidence: face.confidence,
        }
    }

    /// A picture that was taken for a face.
    pub fn aligned() -> Self {
        Self { way: Way::Aligned, index: 0, bounds: None, landmarks: None, confidence: None }
    }
}

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
