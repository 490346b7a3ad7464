//! Errors about landmarks.

use crate::status::{Failure, Status};

/// Landmarks that cannot be those of a face in the image.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LandmarkError {
    /// A coordinate is NaN or infinite.
    #[error("{name} is at ({x}, {y}); expected two finite numbers")]
    NotFinite {
        /// Which of the five.
        name: &'static str,
        /// Its column.
        x: f32,
        /// Its row.
        y: f32,
    },
    /// The five points coincide, or nearly.
    #[error(
        "the five landmarks are on average {spread:.2} pixels from their centre; expected at least \
         {minimum} pixels for a face"
    )]
    Coincident {
        /// Root mean square distance of the points from their mean, in pixels.
        spread: f64,
        /// Minimum accepted value, in pixels.
        minimum: f64,
    },
    /// A point is far outside the image, or no point lies in it.
    #[error(
        "{name} is at ({x}, {y}), outside the image of {width}×{height} pixels; expected pixel \
         coordinates in the upright image, not fractions or coordinates in a resized image"
    )]
    Outside {
        /// Which of the five.
        name: &'static str,
        /// Its column.
        x: f32,
        /// Its row.
        y: f32,
        /// The image's width.
        width: usize,
        /// The image's height.
        height: usize,
    },
    /// The points fit a mirrored face better.
    #[error(
        "the landmarks fit a mirrored face better; expected left eye, right eye, nose tip, left and \
         right mouth corner, in this order, where left is the left of the image (the person's \
         right)"
    )]
    Mirrored,
    /// The points do not resemble a face.
    #[error(
        "the landmarks fit a face with a correlation of only {correlation:.2}; expected at least \
         {minimum}, with left eye, right eye, nose tip, left and right mouth corner in this order"
    )]
    NoFace {
        /// Correlation with the template after the best similarity transform, 0 to 1.
        correlation: f64,
        /// Minimum accepted value.
        minimum: f64,
    },
}

impl From<LandmarkError> for Failure {
    fn from(error: LandmarkError) -> Self {
        Self::new(Status::BadLandmarks, error.to_string())
    }
}
