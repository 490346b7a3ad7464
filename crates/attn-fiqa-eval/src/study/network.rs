//! The networks of a study: crops in, rows of numbers out.

use std::num::NonZeroUsize;
use std::path::Path;

use attn_fiqa::checkpoint::{BUILTIN_NAME, Checkpoint, CheckpointOptions, Preset, builtin};
use attn_fiqa::crop::Crop;
use attn_fiqa::engine::{Assessment, Engine, EngineOptions, Request};
use attn_fiqa::measure::QualityNetwork;
use attn_fiqa::onnx::OnnxModel;
use attn_fiqa::recognise::{InputSpec, Recogniser};
use attn_fiqa::score::Method;
use attn_fiqa::status::Failure;
use attn_fiqa::threads::Threads;
use attn_fiqa::vit::config::Activation;

use super::StudyError;
use super::config::{ConfigError, ModelConfig};
use super::hash::hash_files;

/// Side of the crops for measures without a network, in pixels.
pub(super) const CROP_SIDE: usize = 112;

/// What a study requests from a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Required {
    /// Embeddings, or methods that need the whole network.
    pub(super) full_forward: bool,
    /// One value per face, from an ONNX network.
    pub(super) quality: bool,
}

/// A loaded network.
pub(super) struct Network {
    kind: Kind,
    /// Its name in reports.
    pub(super) name: String,
    /// SHA-256 of its file, in hexadecimal digits.
    pub(super) sha256: String,
    /// Its preprocessing if its file does not define it, else empty.
    pub(super) input: String,
}

enum Kind {
    /// A Vision Transformer.
    Vit(Box<Engine>),
    /// An ONNX recogniser.
    Recogniser(Box<Recogniser>),
    /// An ONNX quality network.
    Quality(Box<QualityNetwork>),
}

impl Network {
    pub(super) fn open(
        model: &ModelConfig,
        required: Required,
        threads: Option<NonZeroUsize>,
    ) -> Result<Self, StudyError> {
        match &model.file {
            Some(file) if model.is_onnx() => Self::open_onnx(file, model, required, threads),
            _ => Self::open_vit(model, required.full_forward, threads),
        }
    }

    fn open_vit(
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
        Ok(Self { kind: Kind::Vit(Box::new(engine)), name, sha256, input: String::new() })
    }

    fn open_onnx(
        file: &Path,
        model: &ModelConfig,
        required: Required,
        threads: Option<NonZeroUsize>,
    ) -> Result<Self, StudyError> {
        let (name, sha256) = hash_files(std::iter::once(&file.to_owned()))?;
        // The study file was checked when it was read.
        let spec: Option<InputSpec> =
            model.preprocess.as_ref().and_then(|input| input.parse().ok());
        let (network, threads) = (OnnxModel::open(file)?, Threads::new(threads)?);
        let kind = if required.quality {
            let network = QualityNetwork::new(network, spec, CROP_SIDE, &threads)?;
            Kind::Quality(Box::new(network))
        } else {
            Kind::Recogniser(Box::new(Recogniser::new(network, spec, &threads)?))
        };
        let input = model.preprocess.clone().unwrap_or_default();
        Ok(Self { kind, name, sha256, input })
    }

    /// Side of the crops it takes, in pixels.
    pub(super) fn side(&self) -> usize {
        match &self.kind {
            Kind::Vit(engine) => engine.config().image_size,
            Kind::Recogniser(network) => network.side(),
            Kind::Quality(_) => CROP_SIDE,
        }
    }

    /// Whether it can compute these scores, or embeddings. An ONNX network was tried when it was
    /// opened.
    pub(super) fn check(&self, name: &str, request: &Request) -> Result<(), StudyError> {
        let Kind::Vit(engine) = &self.kind else { return Ok(()) };
        let method = name.to_owned();
        engine.check(request).map_err(|source| StudyError::Method { method, source })
    }

    /// The results for each crop.
    ///
    /// # Panics
    ///
    /// If it is an ONNX network, or the request was not checked.
    pub(super) fn assess(
        &self,
        crops: &[Crop],
        request: &Request,
    ) -> Vec<Result<Assessment, Failure>> {
        let Kind::Vit(engine) = &self.kind else {
            panic!("an ONNX network has no attention to read: this is a bug")
        };
        engine.assess(crops, request).expect("the request was checked: this is a bug")
    }

    /// The embedding of each crop as the network gives it; for a quality network its single value.
    pub(super) fn embed(&self, crops: &[Crop]) -> Vec<Result<Vec<f32>, Failure>> {
        match &self.kind {
            Kind::Vit(_) => {
                let outcomes = self.assess(crops, &embedding()).into_iter();
                let embedding = |assessment: Assessment| {
                    assessment.embedding.expect("an embedding was asked for: this is a bug")
                };
                outcomes.map(|outcome| outcome.map(embedding)).collect()
            }
            Kind::Recogniser(network) => crops.iter().map(|crop| network.embed(crop)).collect(),
            Kind::Quality(network) => {
                crops.iter().map(|crop| Ok(vec![network.score(crop)?])).collect()
            }
        }
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

fn checkpoint_options(model: &ModelConfig, name: &str) -> Result<CheckpointOptions, ConfigError> {
    let preset = match &model.preset {
        None => None,
        Some(preset) => Some(Preset::from_name(preset).ok_or_else(|| {
            let names: Vec<&str> = Preset::ALL.iter().map(|preset| preset.name()).collect();
            let message = format!("no preset '{preset}'; expected one of {}", names.join(", "));
            ConfigError { file: name.to_owned(), line: None, message }
        })?),
    };
    let activation = model.activation.as_deref().and_then(Activation::from_name);
    Ok(CheckpointOptions {
        preset,
        heads: model.heads,
        activation,
        allow_unused: true,
        ..Default::default()
    })
}
