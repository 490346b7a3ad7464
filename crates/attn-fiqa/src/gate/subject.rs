//! What a rule is about.

use std::fmt;
use std::str::FromStr;

use super::Evidence;
use crate::causes::Cause;
use crate::components::Component;

/// The subject of a rule, written as [`Subject::name`] in policies and outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Subject {
    /// `quality`: 0 to 100.
    Quality,
    /// `faces`: the number of faces in the image.
    Faces,
    /// `inter_eye_distance`: in pixels of the image as given.
    InterEyeDistance,
    /// `yaw`: the absolute angle from frontal, in degrees.
    Yaw,
    /// `roll`: the absolute angle from upright, in degrees.
    Roll,
    /// `detection_score`: the detector's confidence, 0 to 1.
    DetectionScore,
    /// A cause of low quality by name, such as `blur`: its strength, 0 to 1, or 0 if it does not
    /// lower the quality.
    Cause(Cause),
    /// A component measure by name: on 0 to 100, or its native value if it has no such scale.
    Component(Component),
}

/// The subjects that are neither causes nor components.
const OWN: [Subject; 6] = [
    Subject::Quality,
    Subject::Faces,
    Subject::InterEyeDistance,
    Subject::Yaw,
    Subject::Roll,
    Subject::DetectionScore,
];

impl Subject {
    /// All subjects.
    pub fn all() -> impl Iterator<Item = Self> {
        OWN.into_iter()
            .chain(Cause::ALL.map(Self::Cause))
            .chain(Component::ALL.map(Self::Component))
    }

    /// The name in policies and outputs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quality => "quality",
            Self::Faces => "faces",
            Self::InterEyeDistance => "inter_eye_distance",
            Self::Yaw => "yaw",
            Self::Roll => "roll",
            Self::DetectionScore => "detection_score",
            Self::Cause(cause) => cause.name(),
            Self::Component(component) => component.name(),
        }
    }

    /// Its value; `None` if the evidence does not have it.
    pub(super) fn value(self, evidence: &Evidence) -> Option<f64> {
        let landmarks = || evidence.face?.landmarks;
        match self {
            // A failure to compute is written as −1 elsewhere.
            Self::Quality => evidence.quality.filter(|&quality| quality >= 0).map(f64::from),
            Self::Faces => Some(evidence.faces as f64),
            Self::InterEyeDistance => Some(landmarks()?.inter_eye_distance().into()),
            Self::Yaw => Some(landmarks()?.pose().yaw.abs().into()),
            Self::Roll => Some(landmarks()?.pose().roll.abs().into()),
            Self::DetectionScore => evidence.face?.confidence.map(f64::from),
            Self::Cause(cause) => {
                let causes = evidence.causes.as_ref()?;
                let found = causes.found.iter().find(|found| found.cause == cause);
                Some(found.map_or(0.0, |found| found.strength.into()))
            }
            Self::Component(component) => {
                let value = evidence.components.as_ref()?.get(component)?;
                Some(value.scalar.map_or(f64::from(value.native), f64::from))
            }
        }
    }

    /// The largest possible value, for comparing how far values are from their limits; `None` if
    /// there is none.
    pub(super) fn largest(self) -> Option<f64> {
        match self {
            Self::Quality => Some(100.0),
            Self::DetectionScore | Self::Cause(_) => Some(1.0),
            Self::Yaw => Some(90.0),
            Self::Roll => Some(180.0),
            Self::Component(Component::Sharpness | Component::ColourRange)
            | Self::Faces
            | Self::InterEyeDistance => None,
            Self::Component(_) => Some(100.0),
        }
    }

    /// What to do about a value that is too low, or too high.
    pub(super) fn advice(self, too_low: bool) -> &'static str {
        match (self, too_low) {
            (Self::Quality, _) => {
                "take another photo: face the camera, in even light, with the face sharp and free"
            }
            (Self::Faces, true) => "have the person in the image",
            (Self::Faces, false) => "have only one person in the image",
            (Self::InterEyeDistance, true) => "move closer or use more pixels",
            (Self::InterEyeDistance, false) => "move away from the camera",
            (Self::Yaw, _) => "turn the face to the camera",
            (Self::Roll, _) => "hold the head or the camera upright",
            (Self::DetectionScore, _) => "show the whole face, uncovered and facing the camera",
            (Self::Cause(cause), _) => cause.advice(),
            (Self::Component(component), too_low) => component_advice(component, too_low),
        }
    }
}

fn component_advice(component: Component, too_low: bool) -> &'static str {
    match component {
        Component::SingleFacePresent => "have only one person in the image",
        Component::InterEyeDistance => "move closer or use more pixels",
        Component::HeadSize => "let the head fill about half of the image's height",
        Component::LeftwardCropOfTheFaceImage => "leave more room on the left",
        Component::RightwardCropOfTheFaceImage => "leave more room on the right",
        Component::MarginAboveOfTheFaceImage => "leave more room above the head",
        Component::MarginBelowOfTheFaceImage => "leave more room below the head",
        Component::HeadPoseYaw => "turn the face to the camera",
        Component::HeadPoseRoll => "hold the head or the camera upright",
        Component::IlluminationUniformity => "light both sides of the face evenly",
        Component::LuminanceMean
        | Component::UnderExposurePrevention
        | Component::LuminanceVariance
        | Component::DynamicRange => "light the face from the front, neither dark nor glaring",
        Component::OverExposurePrevention => "avoid direct light on the face, or expose less",
        Component::NaturalColour => "use white light and no filter",
        Component::Sharpness if too_low => "focus on the face and hold still",
        Component::Sharpness => "use less sharpening and a lower sensitivity",
        Component::EffectiveResolution => "do not enlarge the image; focus on the face",
        Component::JpegQuality => "save with less compression",
        Component::ColourRange => "use a colour image",
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is not a subject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown rule '{name}'; expected one of {}", expected())]
pub struct UnknownSubject {
    name: String,
}

fn expected() -> String {
    Subject::all().map(Subject::name).collect::<Vec<_>>().join(", ")
}

impl FromStr for Subject {
    type Err = UnknownSubject;

    fn from_str(name: &str) -> Result<Self, UnknownSubject> {
        let found = Self::all().find(|subject| subject.name() == name);
        found.ok_or_else(|| UnknownSubject { name: name.to_owned() })
    }
}
