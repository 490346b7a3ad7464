//! Errors of a study.

use std::io;
use std::path::{Path, PathBuf};

use attn_fiqa::checkpoint::CheckpointError;
use attn_fiqa::detect::DetectorError;
use attn_fiqa::engine::{EngineError, RequestError};
use attn_fiqa::measure::QualityNetworkError;
use attn_fiqa::onnx::OnnxError;
use attn_fiqa::recognise::RecogniserError;
use attn_fiqa::threads::ThreadsError;

use super::config::ConfigError;
use crate::error::EvalError;
use crate::files::FileError;

/// Why a study failed. One bad image is no reason.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StudyError {
    /// The file that describes it.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A data set, a quality or an embedding file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file of the run's own.
    #[error("'{}' {action}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What could not be done with it.
        action: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A file of the run's own that holds something else.
    #[error("'{}' is not what this program wrote: {problem}", path.display())]
    UnexpectedContent {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A model.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A model that could not be started.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The face detector.
    #[error(transparent)]
    Detector(#[from] DetectorError),
    /// An ONNX network that cannot be run.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// An ONNX network that is no recogniser.
    #[error(transparent)]
    Recogniser(#[from] RecogniserError),
    /// An ONNX network that is no quality network.
    #[error(transparent)]
    QualityNetwork(#[from] QualityNetworkError),
    /// No threads for an ONNX network.
    #[error(transparent)]
    Threads(#[from] ThreadsError),
    /// A method that a model does not have.
    #[error("method '{method}': {source}")]
    Method {
        /// Its name in the configuration.
        method: String,
        /// Why.
        source: RequestError,
    },
    /// A combination that cannot be measured.
    #[error("{what}: {source}")]
    Measure {
        /// Data set, recogniser or method.
        what: String,
        /// Why.
        source: EvalError,
    },
    /// A data set of which a network could use no image.
    #[error("{what}: none of {images} images could be used; the first: {first}")]
    NoImage {
        /// Data set and network.
        what: String,
        /// How many images there are.
        images: usize,
        /// What was wrong with the first.
        first: String,
    },
}

impl StudyError {
    pub(super) fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, action, source }
    }

    pub(super) fn measure(what: impl Into<String>) -> impl FnOnce(EvalError) -> Self {
        let what = what.into();
        move |source| Self::Measure { what, source }
    }
}
