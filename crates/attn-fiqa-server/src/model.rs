//! The model of a service: an engine, a detector, and how answers describe them.

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

/// A model: a network, a face detector, and the limits on one image.
pub struct Model {
    /// The network. Built with [`EngineOptions::embedding`](attn_fiqa::engine::EngineOptions),
    /// it also serves embeddings.
    pub engine: Arc<Engine>,
    /// The face detector, on the engine's threads.
    pub detector: Arc<Detector>,
    /// Limits on one image.
    pub limits: DecodeLimits,
    /// Which faces count.
    pub choice: FaceChoice,
    /// How answers describe the model.
    pub info: ModelInfo,
}

/// The model that scored; part of every answer.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ModelInfo {
    /// The name of the model, or of its file.
    pub name: String,
    /// The SHA-256 of its file, in hexadecimal; `null` for a model without a file.
    pub identifier: Option<String>,
    /// The identifier of its calibration; `null` without one, in which case no quality is given.
    pub calibration: Option<String>,
    /// The arithmetic of its blocks: f32, bf16x2, bf16 or int8.
    #[schema(example = "f32")]
    pub precision: String,
    /// The version of attn-fiqa.
    pub version: String,
}

/// Which faces of an image are answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) enum Faces {
    #[default]
    All,
    Largest,
    Best,
}

/// What a request needs from each image.
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
    /// Overrides the service's minimum detection score.
    pub(crate) min_detection_score: Option<f32>,
    /// Maximum number of faces per image.
    pub(crate) max_faces: Option<usize>,
}

/// What images must share to go through the network together.
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
    /// Describes a model by its usual name and the SHA-256 of its file.
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
    /// A model with the default limits on images that uses every detected face.
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

    /// The pipeline for a request.
    ///
    /// # Errors
    ///
    /// If the model lacks something.
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
