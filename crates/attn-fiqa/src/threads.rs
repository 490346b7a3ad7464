//! Worker threads and their instruction set.
//!
//! Decoding, detection, the ViT and ONNX networks all run on one pool, so that there are never
//! more busy threads than asked for. The built-in kernels all use one instruction set.

use std::num::NonZeroUsize;
use std::sync::Arc;

pub use attn_fiqa_kernels::{CpuFeature, CpuFeatures, ISA_VARIABLE, Isa, IsaError};

/// Both run on `rayon` threads; only `rten`'s own can be handed to it.
#[cfg(feature = "onnx")]
type Pool = rten::ThreadPool;
#[cfg(not(feature = "onnx"))]
type Pool = rayon::ThreadPool;

/// A handle on worker threads and on the instruction set that they compute with; clones
/// share the threads.
///
/// # Examples
///
/// ```
/// use std::num::NonZeroUsize;
///
/// use attn_fiqa::threads::{CpuFeatures, Isa, Threads};
///
/// let threads = Threads::new(NonZeroUsize::new(2))?;
/// assert_eq!(threads.count(), 2);
/// println!("{} of {:?}", threads.isa().name(), Isa::available());
/// assert!(CpuFeatures::detected().contains_all(threads.isa().features()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Threads {
    pool: Arc<Pool>,
    isa: Isa,
}

/// Why no threads could be started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ThreadsError {
    /// More threads than any machine has cores.
    #[error("{wanted} worker threads were asked for, and at most {} can be started", Threads::MAX)]
    TooMany {
        /// The number asked for.
        wanted: usize,
    },
    /// The operating system gave no threads.
    #[error("cannot start {wanted} worker threads; ask for fewer")]
    NotStarted {
        /// The number asked for; 0 stands for one per core.
        wanted: usize,
    },
    /// `ATTN_FIQA_ISA` names an instruction set that this machine does not have.
    #[error(transparent)]
    InstructionSet(#[from] IsaError),
}

impl Threads {
    /// The most worker threads: each needs a stack and may hold a decoded image.
    pub const MAX: usize = 512;

    /// Starts threads; `None` is one for every core. They compute with the instruction set
    /// that the environment variable `ATTN_FIQA_ISA` names, or else the fastest of the
    /// machine.
    ///
    /// # Errors
    ///
    /// When there are more than [`Threads::MAX`], the operating system gives none, or
    /// the variable names an instruction set that the machine lacks.
    pub fn new(threads: Option<NonZeroUsize>) -> Result<Self, ThreadsError> {
        Self::with_isa(threads, Isa::from_env()?)
    }

    /// Starts threads that compute with `isa`, whatever the environment says.
    ///
    /// # Errors
    ///
    /// When there are more than [`Threads::MAX`], or the operating system gives none.
    pub fn with_isa(threads: Option<NonZeroUsize>, isa: Isa) -> Result<Self, ThreadsError> {
        let wanted = threads.map_or(0, NonZeroUsize::get);
        if wanted > Self::MAX {
            return Err(ThreadsError::TooMany { wanted });
        }
        let pool = start(wanted).ok_or(ThreadsError::NotStarted { wanted })?;
        Ok(Self { pool: Arc::new(pool), isa })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.install(rayon::current_num_threads)
    }

    /// The instruction set of the built-in kernels.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Runs `work` on these threads, and whatever it splits itself into.
    pub(crate) fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        #[cfg(feature = "onnx")]
        return self.pool.run(work);
        #[cfg(not(feature = "onnx"))]
        self.pool.install(work)
    }

    /// The pool as the ONNX runtime wants it.
    #[cfg(feature = "onnx")]
    pub(crate) fn pool(&self) -> Arc<rten::ThreadPool> {
        Arc::clone(&self.pool)
    }
}

/// A pool of `threads`, or of one per core if that is 0; `None` if the system gives none.
#[cfg(feature = "onnx")]
fn start(threads: usize) -> Option<Pool> {
    let pool = Pool::with_num_threads(threads);
    // Where it could not be started, it runs what it is given on the calling thread.
    pool.run(|| rayon::current_thread_index().is_some()).then_some(pool)
}

/// A pool of `threads`, or of one per core if that is 0; `None` if the system gives none.
#[cfg(not(feature = "onnx"))]
fn start(threads: usize) -> Option<Pool> {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_threads_are_refused_before_any_is_started() {
        let wanted = NonZeroUsize::new(100_000);
        let error = Threads::with_isa(wanted, Isa::widest()).expect_err("too many");
        assert_eq!(error, ThreadsError::TooMany { wanted: 100_000 });
        assert!(error.to_string().contains("at most 512"), "{error}");
    }

    #[test]
    fn the_instruction_set_is_carried() {
        for isa in Isa::available() {
            let threads = Threads::with_isa(NonZeroUsize::new(1), isa).expect("a thread");
            assert_eq!(threads.clone().isa(), isa);
        }
    }
}
