//! Face alignment: from five landmarks, by a similarity transform, to a crop.
//!
//! Recognition networks are trained on crops in which eyes, nose and mouth corners lie at fixed
//! positions. [`align`] finds the rotation, scale and translation that bring a face's landmarks
//! closest to those positions and samples the pixels accordingly. Landmarks come from a detector or
//! from a file ([`landmark_file`]).

mod error;
pub mod landmark_file;
mod landmarks;
mod reduce;
mod similarity;
mod template;
mod warp;

use crate::crop::Crop;
use crate::pixels::Image;

pub use error::LandmarkError;
pub use landmarks::{HeadPose, Landmarks};
pub use similarity::Similarity;
pub(crate) use template::similarity_to;
pub use template::{TEMPLATE_112, similarity_to_template};
pub use warp::warp;

/// A face as network input, and the transform that produced it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Aligned {
    /// The network input, with the landmarks in crop pixels.
    pub crop: Crop,
    /// Maps pixels of the image to pixels of the crop.
    pub to_crop: Similarity,
}

/// Aligns a face of an upright image to a crop of `side`×`side` pixels.
///
/// # Errors
///
/// If the landmarks cannot be those of a face in this image: see [`LandmarkError`].
///
/// # Examples
///
/// ```
/// use attn_fiqa::align::{Landmarks, TEMPLATE_112, align};
/// use attn_fiqa::pixels::Image;
///
/// let photo = Image::from_rgb(400, 300, vec![90; 400 * 300 * 3]).ok_or("wrong size")?;
/// // A face twice the template's size, 100 pixels from the photo's left edge.
/// let landmarks = Landmarks(TEMPLATE_112.map(|[x, y]| [(2.0 * x + 100.0) as f32, 2.0 * y as f32]));
/// let aligned = align(&photo, &landmarks, 112)?;
/// assert_eq!(aligned.crop.side(), 112);
/// assert!((aligned.to_crop.scale() - 0.5).abs() < 1e-6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn align(image: &Image, landmarks: &Landmarks, side: usize) -> Result<Aligned, LandmarkError> {
    landmarks.check_within(image.width(), image.height())?;
    let to_crop = similarity_to_template(landmarks, side)?;
    let in_crop = landmarks.0.map(|point| {
        let point = to_crop.apply(point.map(f64::from));
        point.map(|value| value as f32)
    });
    Ok(Aligned { crop: warp(image, &to_crop, side).with_landmarks(in_crop), to_crop })
}
