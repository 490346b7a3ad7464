//! Quality measures that need no Vision Transformer: baselines, and networks from ONNX files.
//! Higher is better for all of them.

#[cfg(feature = "onnx")]
mod network;
mod sharpness;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
#[cfg(feature = "onnx")]
use std::sync::Arc;

use crate::crop::Crop;
use crate::face::FaceInfo;
use crate::recognise::InputSpec;
use crate::status::Failure;

#[cfg(feature = "onnx")]
pub use network::{QualityNetwork, QualityNetworkError};
pub use sharpness::sharpness;

/// A quality measure as requested by name.
///
/// Written `laplacian`, `inter-eye-distance`, `detection-score`, or `onnx:FILE` with an optional
/// `@preprocess=SPEC` after it (see [`InputSpec`]).
#[derive(Debug, Clone, PartialEq)]
pub enum MeasureName {
    /// [`sharpness`] of the crop.
    Laplacian,
    /// Distance between the eyes, in pixels of the photo.
    InterEyeDistance,
    /// The detector's confidence.
    DetectionScore,
    /// A quality network and its preprocessing; that of ArcFace if `None`.
    Onnx(PathBuf, Option<InputSpec>),
}

/// A name that is not a measure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{reason} in '{name}'; expected laplacian, inter-eye-distance, detection-score or onnx:FILE[@preprocess=SPEC]"
)]
pub struct MeasureNameError {
    name: String,
    reason: String,
}

impl MeasureName {
    /// Whether this looks like the name of a measure, well-formed or not.
    pub fn claims(name: &str) -> bool {
        matches!(
            name,
            "laplacian"
                | "inter-eye-distance"
                | "eye-distance"
                | "detection-score"
                | "detector-score"
        ) || name.starts_with("onnx:")
    }
}

impl FromStr for MeasureName {
    type Err = MeasureNameError;

    fn from_str(name: &str) -> Result<Self, MeasureNameError> {
        let error = |reason: String| MeasureNameError { name: name.to_owned(), reason };
        Ok(match name {
            "laplacian" => Self::Laplacian,
            "inter-eye-distance" | "eye-distance" => Self::InterEyeDistance,
            "detection-score" | "detector-score" => Self::DetectionScore,
            _ => {
                let rest =
                    name.strip_prefix("onnx:").ok_or_else(|| error("unknown name".to_owned()))?;
                let (file, spec) = match rest
                    .rsplit_once("@preprocess=")
                    .or_else(|| rest.rsplit_once("@input="))
                {
                    Some((file, spec)) => {
                        let spec = spec.parse::<InputSpec>();
                        (file, Some(spec.map_err(|problem| error(problem.to_string()))?))
                    }
                    None => (rest, None),
                };
                if file.is_empty() {
                    return Err(error("no file".to_owned()));
                }
                Self::Onnx(file.into(), spec)
            }
        })
    }
}

impl fmt::Display for MeasureName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Laplacian => f.write_str("laplacian"),
            Self::InterEyeDistance => f.write_str("inter-eye-distance"),
            Self::DetectionScore => f.write_str("detection-score"),
            Self::Onnx(file, _) => write!(f, "onnx:{}", file.display()),
        }
    }
}

/// A quality measure that is ready to run.
#[derive(Clone)]
pub enum Measure {
    /// [`sharpness`] of the crop.
    Laplacian,
    /// Distance between the eyes, in pixels of the photo.
    InterEyeDistance,
    /// The detector's confidence, 0 to 1.
    DetectionScore,
    /// A quality network.
    #[cfg(feature = "onnx")]
    Network(Arc<QualityNetwork>),
}

impl Measure {
    /// The name without the file, for messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Laplacian => "laplacian",
            Self::InterEyeDistance => "inter-eye-distance",
            Self::DetectionScore => "detection-score",
            #[cfg(feature = "onnx")]
            Self::Network(_) => "onnx",
        }
    }

    /// The value for one face; NaN if this face has none, such as the distance between the eyes for
    /// an image that was taken as a crop.
    ///
    /// # Errors
    ///
    /// If a network cannot score the crop.
    pub fn compute(&self, info: &FaceInfo, crop: &Crop) -> Result<f32, Failure> {
        Ok(match self {
            Self::Laplacian => sharpness(crop),
            Self::InterEyeDistance => {
                info.landmarks.map_or(f32::NAN, |found| found.inter_eye_distance())
            }
            Self::DetectionScore => info.confidence.unwrap_or(f32::NAN),
            #[cfg(feature = "onnx")]
            Self::Network(network) => network.score(crop)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measure_names_round_trip() {
        for name in ["laplacian", "inter-eye-distance", "detection-score", "onnx:a/b@c.onnx"] {
            let measure: MeasureName = name.parse().expect(name);
            assert_eq!(measure.to_string(), name);
            assert!(MeasureName::claims(name));
        }
        let with_spec: MeasureName = "onnx:q.onnx@preprocess=bgr:1:2".parse().expect("a network");
        let spec = "bgr:1:2".parse().expect("a specification");
        assert_eq!(with_spec, MeasureName::Onnx("q.onnx".into(), Some(spec)));
    }

    #[test]
    fn invalid_names_are_rejected_with_reason() {
        for (name, reason) in
            [("laplace", "unknown"), ("onnx:", "no file"), ("onnx:q@preprocess=x", "specification")]
        {
            let message = name.parse::<MeasureName>().expect_err(name).to_string();
            assert!(message.contains(reason) && message.contains("eye-distance"), "{message}");
        }
    }
}
