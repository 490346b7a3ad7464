//! Why a file cannot be used as a detector.

#[cfg(feature = "onnx")]
use super::format::{InputSize, Output};
#[cfg(feature = "onnx")]
use crate::onnx::OnnxError;
#[cfg(feature = "onnx")]
use crate::sanitize::sanitized;

/// A file that cannot be used as a detector.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DetectorError {
    /// The built-in weights do not match their network.
    #[error("the weights of the {name} are damaged: {what}; rebuild or reinstall the program")]
    BadWeights {
        /// Which of the built-in networks.
        name: String,
        /// What is wrong.
        what: String,
    },
    /// The file cannot be read, or is not a network that can be run.
    #[cfg(feature = "onnx")]
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// The network does not take exactly one image.
    #[error(
        "{name}: a detector takes one image [1, 3, height, width], but this network takes {found}"
    )]
    BadInput {
        /// The file.
        name: String,
        /// The inputs and their shapes.
        found: String,
    },
    /// The trial run failed.
    #[error("{name}: the network cannot be run on a blank image: {what}")]
    DoesNotRun {
        /// The file.
        name: String,
        /// The runtime's error.
        what: String,
    },
    /// The outputs are not those of a known detector family.
    #[error(
        "{name}: the outputs are neither YuNet's (cls_S, obj_S, bbox_S and kps_S for strides S of \
         8, 16 and 32) nor SCRFD's with landmarks (for each stride two rows per cell of 1, 4 and 10 \
         numbers); at an input of {width}×{height} this network gives {found}"
    )]
    UnknownFormat {
        /// The file.
        name: String,
        /// Width of the trial input, in pixels.
        width: usize,
        /// Height of the trial input, in pixels.
        height: usize,
        /// The outputs and their shapes.
        found: String,
    },
    /// The outputs have the right names but cannot be decoded.
    #[error("{name}: {what}; the file may be damaged or of another version")]
    BadOutput {
        /// The file.
        name: String,
        /// What is wrong.
        what: String,
    },
}

#[cfg(feature = "onnx")]
impl DetectorError {
    pub(super) fn unknown_format(name: &str, outputs: &[Output], input: InputSize) -> Self {
        let found: Vec<String> = outputs
            .iter()
            .map(|output| format!("{} {:?}", sanitized(&output.name), output.shape))
            .collect();
        Self::UnknownFormat {
            name: name.to_owned(),
            width: input.width,
            height: input.height,
            found: sanitized(&found.join(", ")),
        }
    }
}
