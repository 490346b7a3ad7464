//! Where recognition networks expect eyes, nose and mouth.

use super::similarity::{fit, spread};
use super::{LandmarkError, Landmarks, Similarity};

/// The five landmarks in a crop of 112×112 pixels, each `[x, y]`, in the order of [`Landmarks`]:
/// ArcFace's template, which most recognition networks share.
pub const TEMPLATE_112: [[f64; 2]; 5] = [
    [38.2946, 51.6963],
    [73.5318, 51.5014],
    [56.0252, 71.7366],
    [41.5493, 92.3655],
    [70.7299, 92.2041],
];

/// Side of the crop that [`TEMPLATE_112`] belongs to.
const TEMPLATE_SIDE: f64 = 112.0;

/// Minimum root mean square distance of the points from their mean: a face with an inter-eye
/// distance of about one pixel.
const MIN_SPREAD: f64 = 0.5;

/// Points with a lower correlation with the template are not those of a face. An exact profile, all
/// five points on one line, still reaches 0.78.
const MIN_CORRELATION: f64 = 0.5;

/// How many times better a mirrored face must fit for the points to be refused: in a profile, both
/// fit nearly equally well.
const MIRRORED: f64 = 1.5;

/// The least-squares similarity transform from an image's pixels to those of a crop of `side`
/// pixels (Umeyama 1991); for sides other than 112 the template is scaled by `side / 112`, as is
/// common practice.
///
/// # Errors
///
/// If the points are not finite, coincide, or are not those of a face, for instance with left and
/// right swapped.
pub fn similarity_to_template(
    landmarks: &Landmarks,
    side: usize,
) -> Result<Similarity, LandmarkError> {
    let to = TEMPLATE_112.map(|point| point.map(|value| value * side as f64 / TEMPLATE_SIDE));
    similarity_to(&to, landmarks)
}

/// The least-squares similarity transform that maps the landmarks to these positions.
///
/// # Errors
///
/// As [`similarity_to_template`].
pub(crate) fn similarity_to(
    to: &[[f64; 2]; 5],
    landmarks: &Landmarks,
) -> Result<Similarity, LandmarkError> {
    landmarks.check_finite()?;
    let from = landmarks.0.map(|point| point.map(f64::from));
    let spread = spread(&from);
    let coincident = LandmarkError::Coincident { spread, minimum: MIN_SPREAD };
    if spread < MIN_SPREAD {
        return Err(coincident);
    }
    let fit = fit(&from, to).ok_or(coincident)?;
    if fit.mirrored_correlation > MIRRORED * fit.correlation {
        return Err(LandmarkError::Mirrored);
    }
    if fit.correlation < MIN_CORRELATION {
        let correlation = fit.correlation;
        return Err(LandmarkError::NoFace { correlation, minimum: MIN_CORRELATION });
    }
    Ok(fit.similarity)
}
