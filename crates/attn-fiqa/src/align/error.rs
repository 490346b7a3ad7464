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
        "the five landmarks lie {spread:.2} pixels around their middle on average; expected those \
         of a face, at least {minimum} pixels"
    )]
    Coincident {
        /// Root mean square distance of the points from their mean, in pixels.
        spread: f64,
        /// Minimum accepted value, in pixels.
        minimum: f64,
    },
    /// A point is far outside the image, or no point lies in it.
    #[error(
        "{name} is at ({x}, {y}), outside of the image of {width}×{height} pixels; expected \
         pixels of the upright image, not fractions of it or pixels of another size"
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
        "the landmarks fit a face with a correlation of {correlation:.2} only; expected left eye, \
         right eye, nose tip, left and right mouth corner, in this order, and at least {minimum}"
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
