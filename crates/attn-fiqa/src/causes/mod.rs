//! Why the quality of a face is low: causes, and the regions of the face that show them.
//!
//! The last block's mean normalised token, from which the score is computed, also shows *what* is
//! wrong with an image, and a linear readout is enough to extract it. [`CauseModel`] holds the
//! weights of that readout; `attn-fiqa calibrate` fits it on degraded faces and stores it with the
//! model. Causes therefore cost one product of a small matrix with a vector per face (definitions
//! §8).
//!
//! ```
//! # #[cfg(feature = "builtin-model")] {
//! use attn_fiqa::crop::Crop;
//! use attn_fiqa::engine::{Engine, EngineOptions, Request};
//!
//! let checkpoint = attn_fiqa::checkpoint::builtin()?;
//! let engine = Engine::new(&checkpoint, &EngineOptions::default())?;
//! let grey = Crop::from_rgb(112, vec![128; 112 * 112 * 3]).ok_or("wrong size")?;
//! let request = Request { causes: true, ..Request::new(engine.default_method()) };
//! for outcome in engine.assess(&[grey], &request)? {
//!     let causes = outcome?.causes.ok_or("asked for")?;
//!     if let Some(main) = causes.main() {
//!         println!("{}: {}", main.cause.description(), main.cause.advice());
//!     }
//! }
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod model;
mod region;

use std::fmt;
use std::str::FromStr;

pub use model::{CauseModel, CauseModelError, Curve};
#[cfg(feature = "export")]
pub(crate) use model::{LEAST_GAIN, NONE};
pub use region::{FaceRegion, RegionReference};

/// A reason for low quality.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// Out of focus.
    Blur,
    /// Too few pixels.
    LowResolution,
    /// Artefacts of lossy compression.
    Compression,
    /// Sensor noise.
    Noise,
    /// Too little light.
    TooDark,
    /// Too much light.
    TooBright,
    /// Little difference between light and dark.
    LowContrast,
    /// Part of the face is covered.
    Occlusion,
    /// The camera or the face moved during the exposure.
    Motion,
    /// The crop is rotated in the image plane: the landmarks are wrong.
    Rotation,
    /// The crop is not centred on the face: the landmarks are wrong.
    Shift,
    /// The head is turned away from the camera.
    Pose,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 12] = [
        Self::Blur,
        Self::LowResolution,
        Self::Compression,
        Self::Noise,
        Self::TooDark,
        Self::TooBright,
        Self::LowContrast,
        Self::Occlusion,
        Self::Motion,
        Self::Rotation,
        Self::Shift,
        Self::Pose,
    ];

    /// The name in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blur => "blur",
            Self::LowResolution => "low_resolution",
            Self::Compression => "compression",
            Self::Noise => "noise",
            Self::TooDark => "too_dark",
            Self::TooBright => "too_bright",
            Self::LowContrast => "low_contrast",
            Self::Occlusion => "occlusion",
            Self::Motion => "motion",
            Self::Rotation => "rotation",
            Self::Shift => "shift",
            Self::Pose => "pose",
        }
    }

    /// What is wrong with the image, in plain words.
    pub fn description(self) -> &'static str {
        match self {
            Self::Blur => "out of focus",
            Self::LowResolution => "too few pixels",
            Self::Compression => "compressed too much",
            Self::Noise => "noisy",
            Self::TooDark => "too dark",
            Self::TooBright => "too bright",
            Self::LowContrast => "too little contrast",
            Self::Occlusion => "part of the face is covered",
            Self::Motion => "blurred by motion",
            Self::Rotation => "face cropped at an angle",
            Self::Shift => "face cropped off centre",
            Self::Pose => "head turned away",
        }
    }

    /// What to do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Blur => "focus on the face and clean the lens",
            Self::LowResolution => "move closer or use more pixels",
            Self::Compression => "use a higher JPEG quality, or the original file",
            Self::Noise => "add light or lower the ISO setting",
            Self::TooDark => "light the face from the front",
            Self::TooBright => "lower the exposure or soften the light",
            Self::LowContrast => "light the face evenly and avoid haze, glare and filters",
            Self::Occlusion => "remove what covers the face",
            Self::Motion => "hold the camera and the head still, or add light",
            Self::Rotation | Self::Shift => "align the face again by its landmarks",
            Self::Pose => "look straight into the camera",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An unknown cause name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown cause '{name}'; expected one of {}", Cause::ALL.map(Cause::name).join(", "))]
pub struct UnknownCause {
    name: String,
}

impl FromStr for Cause {
    type Err = UnknownCause;

    fn from_str(name: &str) -> Result<Self, UnknownCause> {
        let known = Self::ALL.into_iter().find(|cause| cause.name() == name);
        known.ok_or_else(|| UnknownCause { name: crate::sanitize::sanitized_name(name) })
    }
}

/// A cause that lowers the quality of a face.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct FoundCause {
    /// The cause.
    pub cause: Cause,
    /// How strong it is, from 0 (absent) to 1 (unusable): the expected level of the degradation
    /// that the readout was fitted with.
    pub strength: f32,
    /// The expected gain in quality, 0 … 100, if only this cause were absent.
    pub gain: f32,
}

/// The causes of a face's quality.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Causes {
    /// The probability that nothing lowers the quality, 0 … 1.
    pub none_probability: f32,
    /// The causes that lower the quality, strongest first; empty if the probability that nothing
    /// does is at least one half.
    pub found: Vec<FoundCause>,
}

impl Causes {
    /// The cause whose absence would gain the most quality; among equals, the stronger one.
    pub fn main(&self) -> Option<&FoundCause> {
        self.found.iter().reduce(|best, other| if other.gain > best.gain { other } else { best })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cause_names_round_trip() {
        for (index, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause.name().parse(), Ok(cause));
            assert_eq!(cause as usize, index, "ALL is in the order of the variants");
            assert!(!cause.description().is_empty() && !cause.advice().is_empty());
        }
        let error = "hazy\n".parse::<Cause>().expect_err("unknown").to_string();
        assert!(error.contains("expected one of blur, low_resolution"), "{error}");
    }

    #[test]
    fn main_cause_has_the_largest_gain() {
        let found = |cause, strength, gain| FoundCause { cause, strength, gain };
        let list = vec![
            found(Cause::Pose, 0.5, 12.0),
            found(Cause::Noise, 0.4, 40.0),
            found(Cause::Blur, 0.3, 40.0),
        ];
        let causes = Causes { none_probability: 0.0, found: list };
        assert_eq!(causes.main().map(|found| found.cause), Some(Cause::Noise));
        assert_eq!(Causes::default().main(), None);
    }
}
