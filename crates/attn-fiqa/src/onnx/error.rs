//! Why an ONNX file could not be opened or run.

use crate::sanitize::sanitized_line;

/// Maximum length of a message, in characters, excluding the file's name.
const LONGEST_REASON: usize = 800;

/// An error with an ONNX file: which file, and what went wrong.
#[derive(Debug, thiserror::Error)]
#[error("{}: '{}'", sanitized_line(&.problem.to_string(), LONGEST_REASON), sanitized_line(.file, usize::MAX))]
pub struct OnnxError {
    /// The file, or the name given to bytes in memory.
    pub file: String,
    /// What went wrong.
    #[source]
    pub problem: OnnxProblem,
}

/// What can go wrong with an ONNX network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxProblem {
    /// The file cannot be read.
    #[error("cannot read the file ({0})")]
    Io(std::io::Error),
    /// The file does not fit in memory.
    #[error("the file has {0} bytes, which do not fit in memory")]
    NoMemory(u64),
    /// The path is a folder, a pipe or a device.
    #[error("not a regular file")]
    NotAFile,
    /// The file is larger than the format allows.
    #[error("the file has {found} bytes, but an ONNX file has at most {limit}")]
    TooLarge {
        /// Size in bytes.
        found: u64,
        /// Maximum size in bytes.
        limit: u64,
    },
    /// The bytes are not an ONNX model.
    #[error("not an ONNX model: {0}")]
    NotOnnx(&'static str),
    /// The network cannot be built; the message names the node.
    #[error("the network cannot be built (opset {opset}): {detail}")]
    Load {
        /// The operator set version that the file declares.
        opset: String,
        /// What is wrong, and in which node.
        detail: String,
    },
    /// The network would need more memory or time than any face network.
    #[error("the network needs more than any face network: {detail}")]
    TooCostly {
        /// Which node needs what.
        detail: String,
    },
    /// There is no input or output with this name.
    #[error("there is no {side} '{name}'; the network has {known}")]
    NoSuchTensor {
        /// `input` or `output`.
        side: &'static str,
        /// The requested name.
        name: String,
        /// The existing names.
        known: String,
    },
    /// A tensor does not match the shape of its input.
    #[error("the input '{name}' takes {expected}, not {found:?}")]
    WrongShape {
        /// The input.
        name: String,
        /// The input's shape.
        expected: String,
        /// The tensor's shape.
        found: Vec<usize>,
    },
    /// The network failed on an input.
    #[error("the network failed while it ran: {0}")]
    Run(String),
    /// An output is not an f32 tensor.
    #[error("the output '{name}' is {found}, not a tensor of f32")]
    NotF32 {
        /// The output.
        name: String,
        /// Its actual type.
        found: String,
    },
    /// `rten` panicked.
    #[error("the ONNX runtime failed ({0}); the file is damaged or uses an unsupported feature")]
    Panicked(String),
}

impl OnnxError {
    pub(super) fn new(file: &str, problem: OnnxProblem) -> Self {
        Self { file: file.to_owned(), problem }
    }
}
