//! Errors about exported files.

use std::path::Path;

use super::{OPSETS, ScoreOutput};
use crate::checkpoint::CheckpointError;
use crate::sanitize::sanitized_line;
use crate::score::Method;

/// A network that was not exported, and why. The message starts with the file concerned.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", sanitized_line(.file, usize::MAX))]
pub struct ExportError {
    file: String,
    problem: Box<ExportProblem>,
}

impl ExportError {
    pub(super) fn new(file: &str, problem: ExportProblem) -> Self {
        Self { file: file.to_owned(), problem: Box::new(problem) }
    }

    pub(super) fn of_output(path: &Path, problem: ExportProblem) -> Self {
        Self::new(&path.display().to_string(), problem)
    }

    /// The model, or the file to write, that the problem is about.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// What is wrong.
    pub fn problem(&self) -> &ExportProblem {
        &self.problem
    }
}

/// Why a network is not exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportProblem {
    /// The operator set version is not supported.
    #[error(
        "cannot be written in opset {found}; expected {} (LayerNormalization exists from 17 on)",
        opsets()
    )]
    Opset {
        /// The requested version.
        found: i64,
    },

    /// Nothing would be computed.
    #[error("has no outputs; ask for at least one of {}", ScoreOutput::list())]
    NoOutputs,

    /// The model has no map to 0–100.
    #[error("has no calibration, which the output 'quality' needs; calibrate it first")]
    NoQuality,

    /// The model's calibration has no readout of causes.
    #[error("has no readout of causes for the output 'causes'; fit one first")]
    NoCauses,

    /// A quality-only checkpoint, or a network without the embedding head.
    #[error("has no embedding head for the output 'embedding'; export the full checkpoint")]
    NoEmbedding,

    /// The calibration is for a different score.
    #[error(
        "its calibration maps the scores of the method '{found}', but the exported score is \
         '{exported}'; leave out the output 'quality' or calibrate '{exported}'"
    )]
    OtherMethod {
        /// The method of the calibration.
        found: Method,
        /// The method of the output `score`.
        exported: Method,
    },

    /// Landmarks are an input of the network, and the exported graph has only pixels as input.
    #[error(
        "adds a landmark bias to the attention of every block (KP-RPE), but an exported score has \
         only pixels as input; score with this program"
    )]
    LandmarkBias,

    /// A weight overflows the data type of the export.
    #[error("the weight {value} of '{tensor}' does not fit into float16; export float32")]
    Overflow {
        /// The name in the exported file.
        tensor: String,
        /// The weight.
        value: f32,
    },

    /// The network is too large for the format.
    #[error(
        "would have {bytes} bytes, more than the {limit} that an ONNX file can have; export \
         float16, or leave out the output 'embedding'"
    )]
    TooLarge {
        /// Size of the file.
        bytes: u64,
        /// Maximum size.
        limit: u64,
    },

    /// The output would replace the model that is being read.
    #[error("is a file of the input model; choose another name")]
    OutputIsInput,

    /// The path to write to is a folder.
    #[error("is a folder; expected the name of a file to write")]
    Folder,

    /// The operating system refused to write.
    #[error("cannot be written: {0}")]
    Write(std::io::Error),

    /// The weights of the model could not be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

fn opsets() -> String {
    format!("{} or {}", OPSETS.start(), OPSETS.end())
}
