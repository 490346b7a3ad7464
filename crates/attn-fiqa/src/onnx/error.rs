//! Why an ONNX file could not be opened or run.

use crate::sanitize::sanitized_line;

/// The most characters of a message besides the file's name.
const LONGEST_REASON: usize = 800;

/// What went wrong with which file.
#[derive(Debug, thiserror::Error)]
#[error("{}: '{}'", sanitized_line(&.problem.to_string(), LONGEST_REASON), sanitized_line(.file, usize::MAX))]
pub struct OnnxError {
    /// The file, or the name that stands for embedded bytes.
    pub file: String,
    /// What went wrong.
    #[source]
    pub problem: OnnxProblem,
}

/// What can go wrong with an ONNX network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxProblem {
    /// The file could not be read.
    #[error("cannot read the file ({0})")]
    Io(std::io::Error),
    /// There is no memory for the file's bytes.
    #[error("the file has {0} bytes, for which there is no memory")]
    NoMemory(u64),
    /// A folder, a pipe or a device.
    #[error("not a regular file")]
    NotAFile,
    /// The file is longer than the format allows.
    #[error("the file has {found} bytes, and an ONNX file at most {limit}")]
    TooLarge {
        /// Bytes found.
        found: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// Not the bytes of an ONNX model.
    #[error("not an ONNX model: {0}")]
    NotOnnx(&'static str),
    /// The network cannot be built; the text names the node.
    #[error("the network cannot be built (opset {opset}): {detail}")]
    Load {
        /// The version of the operator set that the file asks for.
        opset: String,
        /// What is wrong, and in which node.
        detail: String,
    },
    /// The network would take more memory or time than any face network.
    #[error("the network asks for more than any face network: {detail}")]
    TooCostly {
        /// Which node asks for what.
        detail: String,
    },
    /// An input or output by this name is not there.
    #[error("there is no {side} '{name}'; the network has {known}")]
    NoSuchTensor {
        /// `input` or `output`.
        side: &'static str,
        /// The name asked for.
        name: String,
        /// The names that are there.
        known: String,
    },
    /// A tensor does not fit the input that it is for.
    #[error("the input '{name}' takes {expected}, not {found:?}")]
    WrongShape {
        /// The input.
        name: String,
        /// Its shape.
        expected: String,
        /// The tensor's.
        found: Vec<usize>,
    },
    /// The network failed on an input.
    #[error("the network failed while it ran: {0}")]
    Run(String),
    /// An output is no tensor of f32.
    #[error("the output '{name}' is {found}, not a tensor of f32")]
    NotF32 {
        /// The output.
        name: String,
        /// What it is.
        found: String,
    },
    /// `rten` panicked.
    #[error(
        "the ONNX runtime gave up ({0}); the file is damaged or uses what the runtime cannot do"
    )]
    Panicked(String),
}

impl OnnxError {
    pub(super) fn new(file: &str, problem: OnnxProblem) -> Self {
        Self { file: file.to_owned(), problem }
    }
}
