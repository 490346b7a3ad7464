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

/// Why a study failed. A single bad image is not a reason.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StudyError {
    /// An error in the study file.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An error in a data set, quality or embedding file.
    #[error(transparent)]
    File(#[from] FileError),
    /// An output or cache file failed.
    #[error("'{}' {action}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operation that failed.
        action: &'static str,
        /// The reason.
        source: io::Error,
    },
    /// An output or cache file with unexpected content.
    #[error("'{}' cannot be used: {problem}", path.display())]
    UnexpectedContent {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A model.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A model that could not be loaded.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The face detector.
    #[error(transparent)]
    Detector(#[from] DetectorError),
    /// An ONNX network that cannot be run.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// An ONNX network that is not a recogniser.
    #[error(transparent)]
    Recogniser(#[from] RecogniserError),
    /// An ONNX network that is not a quality network.
    #[error(transparent)]
    QualityNetwork(#[from] QualityNetworkError),
    /// The threads for an ONNX network could not be started.
    #[error(transparent)]
    Threads(#[from] ThreadsError),
    /// A method that a model does not support.
    #[error("method '{method}': {source}")]
    Method {
        /// Its name in the configuration.
        method: String,
        /// The reason.
        source: RequestError,
    },
    /// A combination that cannot be measured.
    #[error("{what}: {source}")]
    Measure {
        /// Data set, recogniser or method.
        what: String,
        /// The reason.
        source: EvalError,
    },
    /// A data set in which a network could use no image.
    #[error("{what}: none of {images} images could be used; the first: {first}")]
    NoImage {
        /// Data set and network.
        what: String,
        /// Number of images.
        images: usize,
        /// The first image's problem.
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
