//! What is known about a face besides its pixels.

use std::fmt;

use crate::align::Landmarks;
use crate::align::landmark_file::ListedFace;
use crate::detect::{Face, FaceBox};

/// The origin of a crop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CropOrigin {
    /// The image was treated as an aligned face and scored as it is.
    Aligned,
    /// The face was found by the detector and aligned by its landmarks.
    Detected,
    /// The face was found by the detector and aligned by refined landmarks.
    Refined,
    /// The face was aligned by given landmarks.
    Landmarks,
}

impl CropOrigin {
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

impl fmt::Display for CropOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The face of an image that a row describes. Coordinates are in pixels of the upright image; the
/// centre of its top-left pixel is (0, 0).
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct FaceInfo {
    /// The origin of its crop.
    pub crop_origin: CropOrigin,
    /// Its number in the image, from 0 for the largest: by box, or by inter-eye distance if only
    /// landmarks are given.
    pub index: usize,
    /// The detector's box.
    pub bounds: Option<FaceBox>,
    /// The landmarks by which it was aligned.
    pub landmarks: Option<Landmarks>,
    /// The detector's confidence, 0 to 1.
    pub confidence: Option<f32>,
}

impl FaceInfo {
    /// A face that the detector found.
    pub fn detected(index: usize, face: &Face) -> Self {
        Self {
            crop_origin: if face.refined { CropOrigin::Refined } else { CropOrigin::Detected },
            index,
            bounds: Some(face.bounds),
            landmarks: Some(face.landmarks),
            confidence: Some(face.confidence),
        }
    }

    /// A face of a landmark file.
    pub fn listed(index: usize, face: &ListedFace) -> Self {
        Self { confidence: face.confidence, ..Self::with_landmarks(index, face.landmarks) }
    }

    /// A face with landmarks given by the caller.
    pub fn with_landmarks(index: usize, landmarks: Landmarks) -> Self {
        Self {
            crop_origin: CropOrigin::Landmarks,
            index,
            bounds: None,
            landmarks: Some(landmarks),
            confidence: None,
        }
    }

    /// An image that is treated as an aligned face.
    pub fn aligned() -> Self {
        Self {
            crop_origin: CropOrigin::Aligned,
            index: 0,
            bounds: None,
            landmarks: None,
            confidence: None,
        }
    }
}
