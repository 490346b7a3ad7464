//! The name of any quality that `score` can write.

use std::fmt;
use std::str::FromStr;

use attn_fiqa::measure::MeasureName;
use attn_fiqa::score::Method;

/// A way to a quality: read off the Vision Transformer, or without it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum QualityName {
    Method(Method),
    Measure(MeasureName),
}

impl QualityName {
    /// The method, if it is one of the Vision Transformer.
    pub(crate) fn method(&self) -> Option<Method> {
        match self {
            Self::Method(method) => Some(*method),
            Self::Measure(_) => None,
        }
    }
}

impl FromStr for QualityName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if MeasureName::claims(name) {
            return name.parse().map(Self::Measure).map_err(|error| format!("{error}"));
        }
        name.parse().map(Self::Method).map_err(|error| {
            format!("{error}; or laplacian, inter-eye-distance, detection-score, onnx:FILE[@preprocess=SPEC]")
        })
    }
}

impl fmt::Display for QualityName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method(method) => method.fmt(f),
            Self::Measure(measure) => measure.fmt(f),
        }
    }
}
