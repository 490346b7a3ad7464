//! Networks as ONNX files, for other runtimes: ONNX Runtime, OpenVINO, a browser, a phone.
//!
//! [`export_score`] writes the whole score as one graph: aligned pixels in; the raw score, the
//! quality of 0–100, the map, causes and the embedding out, computed as by
//! [`Engine`](crate::engine::Engine). [`export_detector`] and [`export_landmarks`] write the
//! built-in networks that get from a photo to an aligned face.
//!
//! # The score
//!
//! The input `image` is `[batch, 3, S, S]`: red, green and blue planes with levels of 0 to 255 as
//! f32, of a crop aligned to [`TEMPLATE_112`](crate::align::TEMPLATE_112); `S` is the model's input
//! size. Normalisation is part of the graph. Outputs are f32:
//!
//! | output | shape | what |
//! |---|---|---|
//! | `score` | `[batch]` | the raw score of the default method, in closed form |
//! | `quality` | `[batch]` | 0 … 100, integers; −1 if the score is not a number |
//! | `map` | `[batch, rows, columns]` | attention received by each patch |
//! | `embedding` | `[batch, dim]` | not normalised |
//! | `causes` | `[batch, causes]` | strength of each cause, 0 … 1; 0 unless it is named |
//! | `cause_gains` | `[batch, causes]` | expected gain in quality without each cause; 0 unless named |
//! | `none_probability` | `[batch]` | probability that nothing lowers the quality |
//!
//! [`ScoreOutput::Causes`] stands for the last three. The order of causes is in the metadata.
//!
//! # Metadata
//!
//! `attn_fiqa.network`, `attn_fiqa.version`, `attn_fiqa.licence`; for a score also
//! `attn_fiqa.model`, `attn_fiqa.model_sha256`, `attn_fiqa.method`, `attn_fiqa.tokens`
//! ([`ScoreTokens`](crate::vit::config::ScoreTokens)), `attn_fiqa.calibration`, `attn_fiqa.weights`
//! and `attn_fiqa.causes`, the cause names in output order.
//!
//! # Types
//!
//! Weights of the blocks are f32 or f16. In an f16 file, the patch embedding, the residual stream,
//! LayerNorms, the mean tokens and everything computed from them stay f32: their sums would lose
//! digits or overflow. Weights that are f16 in the checkpoint, such as those of the built-in model,
//! keep their values.

#[cfg(feature = "builtin-model")]
mod convolution;
#[cfg(feature = "builtin-model")]
mod detector;
mod error;
#[cfg_attr(
    not(feature = "builtin-model"),
    allow(dead_code, reason = "some operators serve only the built-in networks")
)]
mod graph;
#[cfg(feature = "builtin-model")]
mod landmarks;
mod protobuf;
mod readout;
mod score;
mod vit;

use std::ops::RangeInclusive;
use std::path::Path;

use crate::atomic_file::{is_same_file, write_atomically};
use crate::checkpoint::Checkpoint;
use graph::Graph;

#[cfg(feature = "builtin-model")]
pub use detector::export_detector;
pub use error::{ExportError, ExportProblem};
#[cfg(feature = "builtin-model")]
pub use landmarks::export_landmarks;

/// Versions of the ONNX operator set that can be written.
pub const OPSETS: RangeInclusive<i64> = 17..=18;

/// An output of the exported score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ScoreOutput {
    /// The raw score.
    Score,
    /// The score mapped to 0–100.
    Quality,
    /// Attention received by each patch.
    Map,
    /// The recognition embedding; adds the last block and the embedding head to the file.
    Embedding,
    /// Causes of low quality.
    Causes,
}

impl ScoreOutput {
    /// Every output.
    pub const ALL: [Self; 5] =
        [Self::Score, Self::Quality, Self::Map, Self::Embedding, Self::Causes];

    /// The name in the file and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::Quality => "quality",
            Self::Map => "map",
            Self::Embedding => "embedding",
            Self::Causes => "causes",
        }
    }

    /// The inverse of [`ScoreOutput::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|output| output.name() == name)
    }

    /// Score and map, plus quality and causes if the model has them.
    pub fn available(checkpoint: &Checkpoint) -> Vec<Self> {
        let calibration = checkpoint.calibration();
        let has = |output: &Self| match output {
            Self::Score | Self::Map => true,
            Self::Quality => {
                calibration.is_some_and(|c| c.quality.method() == score::method(checkpoint))
            }
            Self::Causes => calibration.is_some_and(|c| c.causes.is_some()),
            Self::Embedding => false,
        };
        Self::ALL.into_iter().filter(has).collect()
    }

    fn list() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

/// The type of the weights in an exported file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ExportDtype {
    /// 32-bit float.
    #[default]
    F32,
    /// 16-bit float where the score allows it; see [`export`](crate::export).
    F16,
}

/// How a score is exported.
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// The type of the weights.
    pub dtype: ExportDtype,
    /// The outputs, in any order; `None` means [`ScoreOutput::available`].
    pub outputs: Option<Vec<ScoreOutput>>,
    /// Version of the operator set, one of [`OPSETS`].
    pub opset: i64,
    /// The licence of the weights, for the metadata; `None` is written as `not stated`.
    pub licence: Option<String>,
}

impl Default for ExportOptions {
    fn default() -> Self {
        let opset = *OPSETS.start();
        Self { dtype: ExportDtype::F32, outputs: None, opset, licence: None }
    }
}

/// Writes the score of `checkpoint` to `path` as an ONNX file.
///
/// The same checkpoint and options give the same bytes. Weights are read one tensor at a time. The
/// write is atomic and replaces any file of that name.
///
/// # Errors
///
/// If the model lacks a requested output or has a landmark bias, the opset is not one of
/// [`OPSETS`], the file would exceed 2 GiB, a weight is not finite or overflows f16, or `path` is a
/// file of the checkpoint or cannot be written.
///
/// # Examples
///
/// ```no_run
/// # #[cfg(feature = "builtin-model")] {
/// use attn_fiqa::export::{ExportDtype, ExportOptions, export_score};
///
/// let checkpoint = attn_fiqa::checkpoint::builtin()?;
/// let options = ExportOptions { dtype: ExportDtype::F16, ..ExportOptions::default() };
/// export_score(&checkpoint, "score.onnx".as_ref(), &options)?;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn export_score(
    checkpoint: &Checkpoint,
    path: &Path,
    options: &ExportOptions,
) -> Result<(), ExportError> {
    if checkpoint.paths().iter().any(|input| is_same_file(input, path)) {
        return Err(ExportError::of_output(path, ExportProblem::OutputIsInput));
    }
    check_output(path, options.opset)?;
    let of_model = |problem| ExportError::new(checkpoint.file(), problem);
    let score = score::Score::build(checkpoint, options).map_err(of_model)?;
    write(path, &score.graph, "attn_fiqa_score", score::ABOUT, &score.metadata)
}

/// Problems that are known before anything is computed.
fn check_output(path: &Path, opset: i64) -> Result<(), ExportError> {
    let problem = match opset {
        found if !OPSETS.contains(&found) => ExportProblem::Opset { found },
        _ if path.is_dir() => ExportProblem::Folder,
        _ => return Ok(()),
    };
    Err(ExportError::of_output(path, problem))
}

fn write(
    path: &Path,
    graph: &Graph<'_>,
    name: &str,
    about: &str,
    metadata: &[(String, String)],
) -> Result<(), ExportError> {
    write_atomically(path, ExportProblem::Write, |out| graph.write(out, name, about, metadata))
        .map_err(|problem| ExportError::of_output(path, problem))
}
