//! The study file, which defines what is measured.
//!
//! Strict: an unknown key is an error with its line, since a misspelt setting would otherwise
//! silently measure something else. This module defines its contents; `read` parses it.

mod crop_measure;
mod read;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use attn_fiqa::onnx::is_onnx;
use attn_fiqa::pixels::ChannelOrder;
use attn_fiqa::score::Method;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::hash::hex;
use crate::benchmark::BenchmarkKind;
use crate::edc::{FMR_TARGETS, PAUC_LIMIT, Protocol};
use crate::files::Missing;

pub use crop_measure::CropMeasure;

/// Larger than any study file.
const MAX_BYTES: u64 = 1 << 20;

/// An error in a study file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {message}", line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub struct ConfigError {
    /// The file as given.
    pub file: String,
    /// The line, from 1, if the error is in one.
    pub line: Option<usize>,
    /// What was expected, what was found and what to do.
    pub message: String,
}

/// A study as described, checked as far as possible without its data.
#[derive(Debug, Clone)]
pub struct StudyConfig {
    /// The file as it was named.
    pub file: String,
    /// Its text, which is included in the record.
    pub text: String,
    /// SHA-256 of the text, in hexadecimal digits.
    pub sha256: String,
    /// General settings.
    pub settings: Settings,
    /// The data sets, with unique names.
    pub datasets: Vec<DatasetConfig>,
    /// The recognition models, with unique names.
    pub recognisers: Vec<RecogniserConfig>,
    /// The quality methods, with unique names.
    pub methods: Vec<MethodConfig>,
}

/// General settings.
#[derive(Debug, Clone, PartialEq, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Protocols of the curves.
    pub protocols: Vec<Protocol>,
    /// False match rates at which thresholds are set.
    pub fmr: Vec<f64>,
    /// Discard fraction up to which pAUC is computed.
    #[serde(alias = "limit")]
    pub max_discard: f64,
    /// Bootstrap replicates for the confidence intervals; 0 for none.
    #[serde(alias = "replicates")]
    pub bootstrap: usize,
    /// Confidence level of the intervals.
    #[serde(alias = "level")]
    pub confidence_level: f64,
    /// Seed of all random numbers.
    pub seed: u64,
    /// Random orders: of all comparisons, for the baseline `random`, and of comparisons of equal
    /// quality, for the range of ties.
    #[serde(alias = "random_orders", alias = "tie_orders")]
    pub orders: usize,
    /// How many of the best and of the worst images are displayed for each method.
    pub faces: usize,
    /// What to do about images that are in the lists of pairs but not in a data set's folder, or
    /// not in a file of scores or embeddings.
    pub missing: Missing,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            protocols: vec![Protocol::Crfiqa],
            fmr: FMR_TARGETS.to_vec(),
            max_discard: PAUC_LIMIT,
            bootstrap: 200,
            confidence_level: 0.95,
            seed: 0,
            orders: 20,
            faces: 6,
            missing: Missing::Fail,
        }
    }
}

/// One data set.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetConfig {
    /// Its name in all tables.
    pub name: String,
    /// Its layout.
    pub kind: BenchmarkKind,
    /// Its folder or file.
    pub path: PathBuf,
    /// The list of pairs for [`BenchmarkKind::Pairs`], if it is not in the folder.
    pub pairs: Option<PathBuf>,
    /// Channel order of its files.
    pub channels: ChannelOrder,
    /// Whether crops of another size are resized.
    pub resize: bool,
    /// Whether its images are photos in which faces must be detected and aligned. One of exactly
    /// 112×112 pixels is still treated as an aligned crop.
    pub align: bool,
}

/// One recognition model.
#[derive(Debug, Clone, PartialEq)]
pub struct RecogniserConfig {
    /// Its name in all tables.
    pub name: String,
    /// Where embeddings come from.
    pub from: EmbeddingsFrom,
}

/// Where a recogniser's embeddings come from.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum EmbeddingsFrom {
    /// A network.
    Model(ModelConfig),
    /// Files computed elsewhere, with their lists of names: by data set.
    Files(BTreeMap<String, (PathBuf, Option<PathBuf>)>),
}

/// A network, and settings that its file does not contain.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModelConfig {
    /// Its file; the built-in model if `None`.
    pub file: Option<PathBuf>,
    /// Name of a preset.
    pub preset: Option<String>,
    /// Number of attention heads of a Vision Transformer.
    pub heads: Option<usize>,
    /// Name of the MLP's activation, if not the official one.
    pub activation: Option<String>,
    /// Whether the mirrored image's embedding is appended.
    pub flip: bool,
    /// The preprocessing of an ONNX network, as parsed by
    /// [`InputSpec`](attn_fiqa::recognise::InputSpec); `None` if its file is known, and for Vision
    /// Transformers.
    pub preprocess: Option<String>,
}

impl ModelConfig {
    /// Whether the file is an ONNX network rather than a Vision Transformer checkpoint.
    pub fn is_onnx(&self) -> bool {
        self.file.as_deref().is_some_and(is_onnx)
    }
}

/// One quality method.
#[derive(Debug, Clone, PartialEq)]
pub struct MethodConfig {
    /// Its name in all tables.
    pub name: String,
    /// Where scores come from.
    pub from: ScoresFrom,
}

/// Where a method's scores come from.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ScoresFrom {
    /// A network's attention.
    Attention(ModelConfig, Method),
    /// An ONNX quality network.
    Network(ModelConfig),
    /// A measure of the crop itself.
    Crop(CropMeasure),
    /// Norm of a recogniser's embedding: the index of that recogniser.
    EmbeddingNorm(usize),
    /// Files computed elsewhere, by data set, and the column if they are tables.
    Files(BTreeMap<String, PathBuf>, Option<String>),
}

/// Finds a model by its name: `None` if the name is unknown, and an error if it is known and its
/// file cannot be used.
pub type FindModel<'a> = &'a dyn Fn(&str) -> Result<Option<ModelConfig>, String>;

impl StudyConfig {
    /// Reads and checks a study file. Relative paths start from its own folder.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or contains anything unknown.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Self::read_with(path, &|_| Ok(None))
    }

    /// Reads and checks a study file whose models may also be given by name.
    ///
    /// # Errors
    ///
    /// As [`Self::read`], and those of `find_model`.
    pub fn read_with(path: &Path, find_model: FindModel<'_>) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let file_error = |message: String| ConfigError { file: file.clone(), line: None, message };
        let size =
            fs::metadata(path).map_err(|error| file_error(format!("cannot be read: {error}")))?;
        if size.len() > MAX_BYTES {
            return Err(file_error(format!(
                "is larger than {MAX_BYTES} bytes, more than any study"
            )));
        }
        let text = fs::read_to_string(path)
            .map_err(|error| file_error(format!("cannot be read: {error}")))?;
        Self::parse_with(&file, text, path.parent().unwrap_or(Path::new("")), find_model)
    }

    /// Checks a study file's text; relative paths start from `folder`.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub fn parse(file: &str, text: String, folder: &Path) -> Result<Self, ConfigError> {
        Self::parse_with(file, text, folder, &|_| Ok(None))
    }

    fn parse_with(
        file: &str,
        text: String,
        folder: &Path,
        find_model: FindModel<'_>,
    ) -> Result<Self, ConfigError> {
        let read::Parts { settings, datasets, recognisers, methods } =
            read::parts(file, &text, folder, find_model)?;
        let sha256 = hex(&Sha256::digest(&text));
        let file = file.to_owned();
        Ok(Self { file, text, sha256, settings, datasets, recognisers, methods })
    }
}
