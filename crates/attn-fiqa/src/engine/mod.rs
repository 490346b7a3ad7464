//! The engine: crops in, assessments out.
//!
//! It knows nothing about files or the command line, so the command line, a binding and a service
//! share this one type. The network runs on a [`Backend`].

mod assess;
mod full_forward;
mod precision;
mod request;

use std::num::NonZeroUsize;

pub use attn_fiqa_kernels::Precision;

use crate::backend::{Backend, BackendError, BackendLoader, LoadError};

use crate::buffer_pool::BufferPool;
use crate::causes::{CauseModel, Causes, FaceRegion};
use crate::checkpoint::{Checkpoint, CheckpointError, KEY_BIAS};
use crate::crop::Crop;
use crate::map::PatchMap;
use crate::score::{MatchProbability, Method, QualityMap};
use crate::status::Failure;
use crate::threads::{Isa, Threads, ThreadsError};
use crate::vit::config::VitConfig;
use crate::vit::{EmbeddingHead, QueryKey};

pub use precision::{ChosenPrecision, MAX_SCORE_SHIFT, PrecisionChoice};
pub use request::{Request, RequestError};

/// Options for building an [`Engine`].
#[derive(Debug, Clone, Default)]
pub struct EngineOptions {
    /// Number of worker threads; `None` means one per core.
    pub threads: Option<NonZeroUsize>,
    /// The instruction set of the kernels; `None` means the one named by the environment variable
    /// `ATTN_FIQA_ISA` or, without it, the widest that the machine has.
    pub isa: Option<Isa>,
    /// Also load what embeddings need, about half of a ViT-S; attention scores do not need it. See
    /// also [`Method::needs_full_forward`].
    pub embedding: bool,
    /// The precision of the blocks' matrix products.
    pub precision: PrecisionChoice,
    /// The methods that [`PrecisionChoice::Auto`] is judged by; empty means the default method.
    pub methods: Vec<Method>,
}

/// Why an engine could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// A tensor could not be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The device does not accept the network.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The threads could not be started, or not with the requested instruction set.
    #[error(transparent)]
    Threads(#[from] ThreadsError),
}

impl From<LoadError> for EngineError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Checkpoint(error) => Self::Checkpoint(error),
            LoadError::Backend(error) => Self::Backend(error),
        }
    }
}

/// The results for one crop.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Assessment {
    /// One raw score per method of the request, in the same order. Higher is more useful for
    /// recognition; scores of different models are not comparable.
    pub scores: Vec<f32>,
    /// Attention received by each patch, `mean over i of A[h,i,j]`, if requested.
    pub received: Option<AttentionMap>,
    /// Attention paid by each patch, `mean over j of A[h,i,j]`, if requested.
    pub paid: Option<AttentionMap>,
    /// The recognition embedding, not normalised, if requested.
    pub embedding: Option<Vec<f32>>,
    /// The mean over tokens of the last block's queries, `q̄` `[head, head_dim]`, if requested: a
    /// key bias `c` adds `(scale/H)·Σₕ q̄ₕ·cₕ` to the score (definitions §2).
    pub mean_query: Option<Vec<f32>>,
    /// The mean over tokens of the last block's input, normalised without the affine part of
    /// `norm1`, `[dim]`, if requested: the mean query is a linear function of it, with the weights
    /// of [`Engine::query_weight`].
    pub mean_token: Option<Vec<f64>>,
    /// What lowers the quality of the face, if requested.
    pub causes: Option<Causes>,
    /// Regions whose attention is far below that of good faces, weakest first, if requested.
    pub weak_regions: Option<Vec<FaceRegion>>,
}

/// The mean map over the heads of the first method and, on request, one map per head.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AttentionMap {
    /// The mean over heads.
    pub mean: PatchMap,
    /// One map per head; empty unless [`Request::per_head`] is set.
    pub per_head: Vec<PatchMap>,
}

/// A loaded model and the threads that run it. `Send + Sync`; share it freely.
///
/// Scores depend neither on the number of threads nor on the other images in the batch.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "builtin-model")] {
/// use attn_fiqa::crop::Crop;
/// use attn_fiqa::engine::{Engine, EngineOptions, Request};
///
/// let checkpoint = attn_fiqa::checkpoint::builtin()?;
/// let engine = Engine::new(&checkpoint, &EngineOptions::default())?;
/// let grey = Crop::from_rgb(112, vec![128; 112 * 112 * 3]).ok_or("wrong size")?;
/// let request = Request { received: true, ..Request::new(engine.default_method()) };
///
/// for outcome in engine.assess(&[grey], &request)? {
///     let assessment = outcome?;
///     println!("{}", assessment.scores[0]);
///     assert_eq!(assessment.received.ok_or("no map")?.mean.grid(), 14);
/// }
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Engine {
    backend: Box<dyn Backend>,
    /// The last block's queries and keys, from which the score is computed.
    query_key: QueryKey,
    embedding_head: Option<EmbeddingHead>,
    key_bias: Option<Vec<f32>>,
    quality_map: Option<QualityMap>,
    match_probability: Option<MatchProbability>,
    causes: Option<CauseModel>,
    precision: ChosenPrecision,
    threads: Threads,
    /// Mean tokens `[crop, dim]` of one batch.
    mean_tokens: BufferPool<Vec<f64>>,
}

impl Engine {
    /// Packs the weights and starts the threads. The checkpoint is not needed afterwards.
    ///
    /// # Errors
    ///
    /// If a tensor cannot be read or holds NaN or infinity, or no threads could be started.
    pub fn new(checkpoint: &Checkpoint, options: &EngineOptions) -> Result<Self, EngineError> {
        let threads = match options.isa {
            Some(isa) => Threads::with_isa(options.threads, isa)?,
            None => Threads::new(options.threads)?,
        };
        Self::with_backend(checkpoint, options, &threads, &threads)
    }

    /// Builds an engine whose network runs on another device. Decoding, detection and score
    /// computation run on `threads`; the threads and instruction set of the options are ignored.
    /// `&Threads` is itself the loader for the CPU, so several engines can share one pool.
    ///
    /// # Errors
    ///
    /// If a tensor cannot be read or holds NaN or infinity, or the device does not accept the
    /// network.
    pub fn with_backend(
        checkpoint: &Checkpoint,
        options: &EngineOptions,
        threads: &Threads,
        loader: &dyn BackendLoader,
    ) -> Result<Self, EngineError> {
        let embedding = options.embedding && checkpoint.config().embedding_head.is_some();
        let isa = threads.isa();
        let embedding_head = if embedding { EmbeddingHead::load(checkpoint, isa)? } else { None };
        let load = |precision| loader.load(checkpoint, precision, embedding);
        // `auto` starts from the reference.
        let precision = match options.precision {
            PrecisionChoice::Fixed(precision) => precision,
            PrecisionChoice::Auto => Precision::F32,
        };
        let backend = load(precision)?;
        let mut engine = Self {
            query_key: QueryKey::of_last_block(checkpoint, isa)?,
            embedding_head,
            key_bias: checkpoint
                .contains(KEY_BIAS)
                .then(|| checkpoint.read_f32(KEY_BIAS))
                .transpose()?,
            quality_map: checkpoint.calibration().map(|found| found.quality.clone()),
            match_probability: checkpoint
                .calibration()
                .and_then(|found| Some(found.scale.as_ref()?.match_probability)),
            causes: checkpoint.calibration().and_then(|found| found.causes.clone()),
            precision: ChosenPrecision { precision: backend.precision(), moved: None },
            backend,
            threads: threads.clone(),
            mean_tokens: BufferPool::new(),
        };
        if options.precision == PrecisionChoice::Auto {
            engine.choose_precision(&options.methods, &loader.faster_than_f32(), load)?;
        }
        Ok(engine)
    }

    /// Replaces the f32 network with the fastest one within the bound, as judged by every requested
    /// method that this model has.
    fn choose_precision(
        &mut self,
        methods: &[Method],
        candidates: &[Precision],
        load: impl Fn(Precision) -> Result<Box<dyn Backend>, LoadError>,
    ) -> Result<(), EngineError> {
        self.precision.moved = Some(0.0);
        if candidates.is_empty() {
            return Ok(());
        }
        let probes = precision::probes(self.config().image_size);
        let mut requests: Vec<Request> = methods.iter().copied().map(Request::new).collect();
        requests.retain(|request| self.check(request).is_ok());
        if requests.is_empty() {
            requests.push(Request::new(self.default_method()));
        }
        let scores = |engine: &Self| -> Vec<Vec<f32>> {
            requests.iter().map(|request| engine.probe_scores(&probes, request)).collect()
        };
        let exact = scores(self);
        for &candidate in candidates {
            let faster = load(candidate)?;
            let reference = std::mem::replace(&mut self.backend, faster);
            let found = scores(self);
            match precision::max_shift(&exact, &found) {
                Some(moved) if moved <= MAX_SCORE_SHIFT => {
                    self.precision = ChosenPrecision { precision: candidate, moved: Some(moved) };
                    break;
                }
                _ => self.backend = reference,
            }
        }
        Ok(())
    }

    /// NaN for a probe that cannot be scored.
    fn probe_scores(&self, probes: &[Crop], request: &Request) -> Vec<f32> {
        let outcomes = self.threads.install(|| self.assess_batch(probes, request));
        let score = |outcome: Result<Assessment, Failure>| {
            outcome.map_or(f32::NAN, |assessment| assessment.scores[0])
        };
        outcomes.into_iter().map(score).collect()
    }

    /// The precision of the blocks' products, and the measured shift if it was `auto`.
    pub fn precision(&self) -> ChosenPrecision {
        self.precision
    }

    /// The shape of the network; crops must be `image_size` on a side.
    pub fn config(&self) -> &VitConfig {
        self.backend.config()
    }

    /// `attn-calibrated` if the checkpoint has a fitted key bias, else `attn`.
    pub fn default_method(&self) -> Method {
        if self.key_bias.is_some() { Method::ATTN_CALIBRATED } else { Method::ATTN }
    }

    /// The map from one method's raw scores to 0–100, if the checkpoint was calibrated.
    pub fn quality_map(&self) -> Option<&QualityMap> {
        self.quality_map.as_ref()
    }

    /// The probability of a match at each raw score of the quality map's method, if the checkpoint
    /// was calibrated to a recogniser's matches.
    pub fn match_probability(&self) -> Option<MatchProbability> {
        self.match_probability
    }

    /// The readout of causes, if the checkpoint's calibration has one.
    pub fn cause_model(&self) -> Option<&CauseModel> {
        self.causes.as_ref()
    }

    /// Whether the network reads landmarks but `crop` has none, so that those of the template are
    /// assumed ([`VitConfig::landmark_bias`]).
    pub fn assumes_landmarks(&self, crop: &Crop) -> bool {
        self.config().landmark_bias.is_some() && crop.landmarks().is_none()
    }

    /// The weights `[out, in]` that map the mean token to the mean query of the last block, up to a
    /// bias: `q̄ = W·m + b`, with the affine part of `norm1` folded in and `out` as
    /// `[head, head_dim]`.
    pub fn query_weight(&self) -> &[f32] {
        self.query_key.query_weight()
    }

    /// Assesses crops. Results are in the order of the crops.
    ///
    /// # Errors
    ///
    /// If the request asks for something that this model does not have. A problem with a single
    /// crop becomes that crop's [`Failure`].
    pub fn assess(
        &self,
        crops: &[Crop],
        request: &Request,
    ) -> Result<Vec<Result<Assessment, Failure>>, RequestError> {
        self.check(request)?;
        Ok(self.threads.install(|| self.assess_batch(crops, request)))
    }

    /// Runs `work` on the engine's threads, including the parts that it hands to `rayon`, so that
    /// work around the network starts no threads of its own.
    pub fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.threads.install(work)
    }

    /// The name of the back end, such as `cpu avx512`.
    pub fn backend_name(&self) -> String {
        self.backend.name()
    }

    /// The name of the instruction set of the CPU kernels.
    pub fn instruction_set(&self) -> &'static str {
        self.threads.isa().name()
    }

    /// The threads, for sharing with other work such as a [`Detector`](crate::detect::Detector).
    pub fn threads(&self) -> &Threads {
        &self.threads
    }
}
