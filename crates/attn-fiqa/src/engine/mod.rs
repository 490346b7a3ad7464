//! Crops in, assessments out: the library's face to every program around it.
//!
//! No file, no command line and no thread count leaks through: the command line,
//! and whatever binding or server comes beside it, share this one type.

mod assess;
mod precision;
mod request;
mod whole;

use std::num::NonZeroUsize;

pub use attn_fiqa_kernels::Precision;
use attn_fiqa_kernels::{Isa, IsaError};

use crate::checkpoint::{Checkpoint, CheckpointError, KEY_BIAS};
use crate::crop::Crop;
use crate::map::PatchMap;
use crate::score::{Method, QualityMap};
use crate::status::Failure;
use crate::threads::{Threads, ThreadsError};
use crate::vit::config::VitConfig;
use crate::vit::{EmbeddingHead, Vit};

pub use precision::{ChosenPrecision, MOST_MOVED, PrecisionChoice};
pub use request::{Request, RequestError};

/// How an [`Engine`] is built.
#[derive(Debug, Clone, Default)]
pub struct EngineOptions {
    /// Worker threads; `None` is one for every core.
    pub threads: Option<NonZeroUsize>,
    /// Load what an embedding needs: half of a ViT-S, and nothing that an attention
    /// score reads. See also [`Aggregation::reads_whole_network`](crate::score::Aggregation::reads_whole_network).
    pub embedding: bool,
    /// How finely the blocks multiply.
    pub precision: PrecisionChoice,
}

/// Why no engine could be built.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A tensor could not be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// `ATTN_FIQA_ISA` names an instruction set that this machine does not have.
    #[error(transparent)]
    InstructionSet(#[from] IsaError),
    /// The operating system gave no threads.
    #[error(transparent)]
    Threads(#[from] ThreadsError),
}

/// What was found out about one crop.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Assessment {
    /// One raw score for every method of the request, in its order. Higher is
    /// more useful for recognition; values of different models mean nothing to
    /// each other.
    pub scores: Vec<f32>,
    /// Attention received by each patch, `mean over i of A[h,i,j]`, when asked for.
    pub received: Option<AttentionMap>,
    /// Attention paid by each patch, `mean over j of A[h,i,j]`, when asked for.
    pub paid: Option<AttentionMap>,
    /// The recognition embedding as the network gives it, not normalised, when asked for.
    pub embedding: Option<Vec<f32>>,
    /// The mean over tokens of the last block's queries, `q̄` `[head, head_dim]`,
    /// when asked for: a key bias `c` adds `(scale/H)·Σₕ q̄ₕ·cₕ` to the score
    /// (definitions §2).
    pub mean_query: Option<Vec<f32>>,
}

/// A map over the heads of the first method, and one for each head on request.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionMap {
    /// The mean over heads.
    pub mean: PatchMap,
    /// Each head's own map; empty unless [`Request::per_head`] is set.
    pub per_head: Vec<PatchMap>,
}

/// A loaded model and the threads that run it. `Send + Sync`; share it freely.
///
/// Scores depend neither on the number of threads nor on the batch an image is in.
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
    vit: Vit,
    embedding_head: Option<EmbeddingHead>,
    key_bias: Option<Vec<f32>>,
    quality_map: Option<QualityMap>,
    precision: ChosenPrecision,
    threads: Threads,
}

impl Engine {
    /// Lays out the weights for the forward pass and starts the threads.
    ///
    /// # Errors
    ///
    /// When a tensor cannot be read or holds NaN or infinity, or no threads
    /// could be started.
    pub fn new(checkpoint: &Checkpoint, options: &EngineOptions) -> Result<Self, EngineError> {
        Isa::asked_for()?;
        let threads = Threads::new(options.threads)?;
        let embedding = options.embedding && checkpoint.config().embedding_head.is_some();
        let embedding_head = if embedding { EmbeddingHead::load(checkpoint)? } else { None };
        let through_last = embedding_head.is_some();
        let load = |precision| Vit::load(checkpoint, precision, through_last);
        // `auto` begins with the reference.
        let precision = match options.precision {
            PrecisionChoice::Fixed(precision) => precision,
            PrecisionChoice::Auto => Precision::F32,
        };
        let mut engine = Self {
            vit: threads.install(|| load(precision))?,
            embedding_head,
            key_bias: checkpoint
                .contains(KEY_BIAS)
                .then(|| checkpoint.read_f32(KEY_BIAS))
                .transpose()?,
            quality_map: checkpoint.calibration().map(|found| found.quality.clone()),
            precision: ChosenPrecision { precision, moved: None },
            threads,
        };
        if options.precision == PrecisionChoice::Auto {
            engine.choose_precision(load)?;
        }
        Ok(engine)
    }

    /// Puts the fastest network that the bound allows in the place of the f32 one.
    fn choose_precision(
        &mut self,
        load: impl Fn(Precision) -> Result<Vit, CheckpointError> + Sync,
    ) -> Result<(), EngineError> {
        self.precision.moved = Some(0.0);
        let candidates = Isa::best().faster_than_f32();
        if candidates.is_empty() {
            return Ok(());
        }
        let Some(probes) = precision::probes(self.config().image_size) else {
            return Ok(());
        };
        let request = Request::new(self.default_method());
        let exact = self.probe_scores(&probes, &request);
        for &candidate in candidates {
            let faster = self.threads.install(|| load(candidate))?;
            let reference = std::mem::replace(&mut self.vit, faster);
            let found = self.probe_scores(&probes, &request);
            match precision::share_moved(&exact, &found) {
                Some(moved) if moved <= MOST_MOVED => {
                    self.precision = ChosenPrecision { precision: candidate, moved: Some(moved) };
                    break;
                }
                _ => self.vit = reference,
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

    /// What the blocks multiply in, and why where that was left to `auto`.
    pub fn precision(&self) -> ChosenPrecision {
        self.precision
    }

    /// The shape of the network; crops must be `image_size` on a side.
    pub fn config(&self) -> &VitConfig {
        self.vit.config()
    }

    /// `attn-calibrated` where the checkpoint carries a fitted key bias, else `attn`.
    pub fn default_method(&self) -> Method {
        if self.key_bias.is_some() { Method::ATTN_CALIBRATED } else { Method::ATTN }
    }

    /// The map from one method's raw scores to 0–100, where the checkpoint was
    /// calibrated.
    pub fn quality_map(&self) -> Option<&QualityMap> {
        self.quality_map.as_ref()
    }

    /// Assesses crops; the answers stand in the order of the crops.
    ///
    /// # Errors
    ///
    /// When the request asks for what this model does not have. What is wrong
    /// with a single crop is that crop's own [`Failure`].
    pub fn assess(
        &self,
        crops: &[Crop],
        request: &Request,
    ) -> Result<Vec<Result<Assessment, Failure>>, RequestError> {
        self.check(request)?;
        Ok(self.threads.install(|| self.assess_batch(crops, request)))
    }

    /// Runs `work` on the engine's threads, with whatever it splits itself into by
    /// `rayon`, so that work around the network starts no threads of its own.
    pub fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.threads.install(work)
    }

    /// The instruction set that every engine of this process runs on: the widest that
    /// the machine has, or the one that `ATTN_FIQA_ISA` names.
    pub fn instruction_set(&self) -> &'static str {
        Isa::best().name()
    }

    /// The threads, for work that shares them with the network: a
    /// [`Detector`](crate::detect::Detector) most of all.
    pub fn threads(&self) -> &Threads {
        &self.threads
    }
}
