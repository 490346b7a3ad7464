//! What scores: an engine, a detector, and what answers say about them.

use std::sync::Arc;

use attn_fiqa::checkpoint::Checkpoint;
use attn_fiqa::crop::Fit;
use attn_fiqa::decode::DecodeLimits;
use attn_fiqa::detect::Detector;
use attn_fiqa::engine::{Engine, Request, RequestError};
use attn_fiqa::pipeline::{FaceChoice, FaceOptions, FacePipeline, FaceSource, ScoreOptions};
use attn_fiqa::score::{Method, QualityMap};
use serde::Serialize;
use utoipa::ToSchema;

/// What scores: a network, what finds faces, and the limits of one image.
pub struct Model {
    /// The network. Built with [`EngineOptions::embedding`](attn_fiqa::engine::EngineOptions),
    /// it also serves embeddings.
    pub engine: Arc<Engine>,
    /// What finds faces, on the engine's threads.
    pub detector: Arc<Detector>,
    /// Limits on one image.
    pub limits: DecodeLimits,
    /// Which faces count.
    pub choice: FaceChoice,
    /// How answers name the model.
    pub info: ModelInfo,
}

/// The model that scored, in every answer.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ModelInfo {
    /// The model's name, or its file's.
    pub name: String,
    /// The SHA-256 of its file, hexadecimal; `null` for a model that has no file.
    pub identifier: Option<String>,
    /// The identifier of its calibration; `null` without one, and then no quality is given.
    pub calibration: Option<String>,
    /// The arithmetic of its blocks: f32, bf16x2, bf16 or int8.
    #[schema(example = "f32")]
    pub precision: String,
    /// The version of attn-fiqa.
    pub version: String,
}

/// Which of an image's faces are answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) enum Faces {
    #[default]
    All,
    Largest,
    Best,
}

/// What a request wants of each image.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) faces: Faces,
    pub(crate) aligned: bool,
    pub(crate) map: bool,
    pub(crate) embedding: bool,
    pub(crate) causes: bool,
    pub(crate) weak_regions: bool,
    pub(crate) components: bool,
    pub(crate) photo: bool,
    /// Another least detection score than the service's.
    pub(crate) min_detection_score: Option<f32>,
    /// The most faces of an image.
    pub(crate) max_faces: Option<usize>,
}

/// What images must have in common to go through the network together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Group {
    map: bool,
    embedding: bool,
    causes: bool,
    weak_regions: bool,
    best: bool,
}

impl Wanted {
    pub(crate) fn group(&self) -> Group {
        let Self { map, embedding, causes, weak_regions, faces, .. } = *self;
        Group { map, embedding, causes, weak_regions, best: faces == Faces::Best }
    }
}

impl ModelInfo {
    /// Describes a model by the name that people know it by and the SHA-256 of its file.
    pub fn new(
        name: impl Into<String>,
        identifier: Option<String>,
        checkpoint: &Checkpoint,
        engine: &Engine,
    ) -> Self {
        Self {
            name: name.into(),
            identifier,
            calibration: checkpoint.calibration().map(|found| found.id().to_owned()),
            precision: engine.precision().precision.name().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

impl Model {
    /// A model with the default limits on images and every face that the detector finds.
    pub fn new(engine: Arc<Engine>, detector: Arc<Detector>, info: ModelInfo) -> Self {
        Self {
            engine,
            detector,
            limits: DecodeLimits::default(),
            choice: FaceChoice::default(),
            info,
        }
    }

    /// The method of the first score.
    pub(crate) fn method(&self) -> Method {
        self.engine.default_method()
    }

    /// The map of that score to 0–100.
    pub(crate) fn quality_map(&self) -> Option<&QualityMap> {
        self.engine.quality_map().filter(|map| map.method() == self.method())
    }

    /// The pipeline that gives what is wanted.
    ///
    /// # Errors
    ///
    /// What the model does not have.
    pub(crate) fn pipeline(&self, wanted: &Wanted) -> Result<FacePipeline, RequestError> {
        let source = match wanted.aligned {
            true => FaceSource::Aligned(Fit::Exact),
            false => FaceSource::Detected(Arc::clone(&self.detector)),
        };
        let max_faces = match wanted.faces {
            Faces::Largest => Some(1),
            Faces::All | Faces::Best => wanted.max_faces.or(self.choice.max_faces),
        };
        let min_confidence = wanted.min_detection_score.unwrap_or(self.choice.min_confidence);
        let faces = FaceOptions {
            limits: self.limits,
            choice: FaceChoice { min_confidence, max_faces, ..self.choice },
            keep_photo: wanted.photo,
            ..FaceOptions::new(source)
        };
        let request = Request {
            received: wanted.map,
            embedding: wanted.embedding,
            causes: wanted.causes,
            weak_regions: wanted.weak_regions,
            ..Request::new(self.method())
        };
        let options = ScoreOptions {
            components: wanted.components,
            best_only: wanted.faces == Faces::Best,
            ..ScoreOptions::from(request)
        };
        FacePipeline::new(Arc::clone(&self.engine), faces, options)
    }
}
