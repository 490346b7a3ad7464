//! The networks of a study: crops in, rows of numbers out.

use std::num::NonZeroUsize;

use attn_fiqa::checkpoint::{BUILTIN_NAME, Checkpoint, CheckpointOptions, Preset, builtin};
use attn_fiqa::crop::Crop;
use attn_fiqa::engine::{Assessment, Engine, EngineOptions, Request};
use attn_fiqa::score::Method;
use attn_fiqa::status::Failure;

use super::StudyError;
use super::config::{ConfigError, ModelConfig};

/// A Vision Transformer ready to run.
pub(super) struct Network {
    engine: Engine,
    /// How reports call it.
    pub(super) name: String,
    /// Of its file, in hexadecimal digits.
    pub(super) sha256: String,
}

impl Network {
    pub(super) fn open(
        model: &ModelConfig,
        embedding: bool,
        threads: Option<NonZeroUsize>,
    ) -> Result<Self, StudyError> {
        let name = model.file.as_ref().map_or(BUILTIN_NAME.to_owned(), |f| f.display().to_string());
        let checkpoint = match &model.file {
            None => builtin()?,
            Some(file) => Checkpoint::open(file, &checkpoint_options(model, &name)?)?,
        };
        let sha256 = checkpoint.inspect().sha256;
        let engine = Engine::new(
            &checkpoint,
            &EngineOptions { threads, embedding, ..EngineOptions::default() },
        )?;
        Ok(Self { engine, name, sha256 })
    }

    /// Side of the crops it takes, in pixels.
    pub(super) fn side(&self) -> usize {
        self.engine.config().image_size
    }

    /// Whether it can give these scores.
    pub(super) fn check(&self, name: &str, request: &Request) -> Result<(), StudyError> {
        let method = name.to_owned();
        self.engine.check(request).map_err(|source| StudyError::Method { method, source })
    }

    /// What was found out about each crop.
    pub(super) fn assess(
        &self,
        crops: &[Crop],
        request: &Request,
    ) -> Vec<Result<Assessment, Failure>> {
        self.engine.assess(crops, request).expect("the request was checked: this is a bug")
    }
}

/// A request for scores.
pub(super) fn scores(methods: &[Method]) -> Request {
    Request { methods: methods.to_vec(), ..Request::new(Method::ATTN) }
}

/// A request for an embedding.
pub(super) fn embedding() -> Request {
    Request { embedding: true, ..Request::new(Method::ATTN) }
}

/// A crop seen in a mirror.
pub(super) fn mirrored(crop: &Crop) -> Crop {
    let side = crop.side();
    let rows = crop.rgb().chunks_exact(3 * side);
    let rgb = rows.flat_map(|row| row.chunks_exact(3).rev().flatten().copied()).collect();
    Crop::from_rgb(side, rgb).expect("a mirror keeps the size: this is a bug")
}

fn checkpoint_options(model: &ModelConfig, name: &str) -> Result<CheckpointOptions, ConfigError> {
    let preset = match &model.preset {
        None => None,
        Some(preset) => Some(Preset::from_name(preset).ok_or_else(|| {
            let names: Vec<&str> = Preset::ALL.iter().map(|preset| preset.name()).collect();
            let message = format!("no preset '{preset}'; expected one of {}", names.join(", "));
            ConfigError { file: name.to_owned(), line: None, message }
        })?),
    };
    Ok(CheckpointOptions { preset, heads: model.heads, allow_unused: true, ..Default::default() })
}
