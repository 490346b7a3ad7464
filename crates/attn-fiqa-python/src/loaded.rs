//! What one process has loaded for a scorer.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use attn_fiqa::checkpoint::{Checkpoint, CheckpointOptions, builtin};
use attn_fiqa::crop::Fit;
use attn_fiqa::detect::Detector;
use attn_fiqa::engine::{Engine, EngineOptions, PrecisionChoice, Request};
use attn_fiqa::pipeline::{FaceChoice, FaceOptions, FacePipeline, FaceSource, ScoreOptions};
use attn_fiqa::score::Method;
use pyo3::PyResult;

use crate::error::{ModelError, bad_detector, bad_engine, refused};

/// A scorer's arguments.
#[derive(Debug, Clone)]
pub(crate) struct Arguments {
    /// A file or a model's name; `None` for the built-in model.
    pub(crate) model: Option<PathBuf>,
    pub(crate) detector: Option<PathBuf>,
    pub(crate) precision: PrecisionChoice,
    pub(crate) threads: Option<NonZeroUsize>,
    /// Empty for the model's default.
    pub(crate) methods: Vec<Method>,
    pub(crate) checkpoint: CheckpointOptions,
}

impl Arguments {
    fn open(&self) -> PyResult<Checkpoint> {
        let opened = match &self.model {
            None => return builtin().map_err(|error| ModelError::new_err(error.to_string())),
            Some(model) => attn_fiqa_cli::open_model(model, self.checkpoint.clone()),
        };
        opened.map_err(|error| ModelError::new_err(format!("{error:#}")))
    }

    fn engine_options(&self, embedding: bool, precision: PrecisionChoice) -> EngineOptions {
        EngineOptions {
            threads: self.threads,
            embedding,
            precision,
            methods: self.methods.clone(),
            ..EngineOptions::default()
        }
    }
}

/// What is requested for each face.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wanted {
    pub(crate) maps: bool,
    pub(crate) embeddings: bool,
}

/// A model and a detector on one pool of threads.
pub(crate) struct Loaded {
    arguments: Arguments,
    methods: Vec<Method>,
    /// Without the parts that only an embedding needs, unless a method needs them.
    engine: Arc<Engine>,
    /// With all parts; loaded for the first embedding.
    whole: Mutex<Option<Arc<Engine>>>,
    detector: Mutex<Option<Arc<Detector>>>,
}

impl Loaded {
    /// Loads the model and starts the threads. The detector is loaded when it is first needed.
    pub(crate) fn new(arguments: Arguments) -> PyResult<Self> {
        let checkpoint = arguments.open()?;
        let whole = arguments.methods.iter().any(|method| method.needs_full_forward());
        let options = arguments.engine_options(whole, arguments.precision);
        let engine = Arc::new(Engine::new(&checkpoint, &options).map_err(bad_engine)?);
        let methods = match &arguments.methods[..] {
            [] => vec![engine.default_method()],
            methods => methods.to_vec(),
        };
        let request = Request { methods: methods.clone(), ..Request::new(methods[0]) };
        engine.check(&request).map_err(refused)?;
        let whole = Mutex::new(whole.then(|| Arc::clone(&engine)));
        let loaded = Self { arguments, methods, engine, whole, detector: Mutex::new(None) };
        if loaded.arguments.detector.is_some() {
            // A bad file is reported when the scorer is built.
            loaded.detector()?;
        }
        Ok(loaded)
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    pub(crate) fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// The engine that can compute what is requested; all engines give the same scores.
    pub(crate) fn engine_for(&self, wanted: Wanted) -> PyResult<Arc<Engine>> {
        if !wanted.embeddings {
            return Ok(Arc::clone(&self.engine));
        }
        let mut whole = self.whole.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = &*whole {
            return Ok(Arc::clone(engine));
        }
        let precision = PrecisionChoice::Fixed(self.engine.precision().precision);
        let options = self.arguments.engine_options(true, precision);
        let threads = self.engine.threads();
        let engine = Engine::with_backend(&self.arguments.open()?, &options, threads, threads);
        let engine = Arc::new(engine.map_err(bad_engine)?);
        Ok(Arc::clone(whole.insert(engine)))
    }

    pub(crate) fn detector(&self) -> PyResult<Arc<Detector>> {
        let mut detector = self.detector.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(detector) = &*detector {
            return Ok(Arc::clone(detector));
        }
        let threads = self.engine.threads();
        let opened = match &self.arguments.detector {
            None => Detector::builtin(threads),
            Some(file) => Detector::open(file, threads),
        };
        let precision = self.engine.precision().precision;
        let opened = opened.and_then(|opened| opened.with_precision(precision));
        Ok(Arc::clone(detector.insert(Arc::new(opened.map_err(bad_detector)?))))
    }

    /// The built-in detector, regardless of the scorer's own.
    pub(crate) fn builtin_detector(&self) -> PyResult<Arc<Detector>> {
        match &self.arguments.detector {
            None => self.detector(),
            Some(_) => {
                Ok(Arc::new(Detector::builtin(self.engine.threads()).map_err(bad_detector)?))
            }
        }
    }

    pub(crate) fn request(&self, wanted: Wanted) -> Request {
        Request {
            methods: self.methods.clone(),
            received: wanted.maps,
            embedding: wanted.embeddings,
            // They cost next to nothing.
            causes: self.engine.cause_model().is_some(),
            ..Request::new(self.methods[0])
        }
    }

    /// A pipeline that finds faces, or treats every image as one.
    pub(crate) fn pipeline(
        &self,
        wanted: Wanted,
        choice: FaceChoice,
        aligned: bool,
    ) -> PyResult<FacePipeline> {
        let source = match aligned {
            true => FaceSource::Aligned(Fit::Exact),
            false => FaceSource::Detected(self.detector()?),
        };
        let faces = FaceOptions { choice, ..FaceOptions::new(source) };
        let options = ScoreOptions::from(self.request(wanted));
        FacePipeline::new(self.engine_for(wanted)?, faces, options).map_err(refused)
    }
}
