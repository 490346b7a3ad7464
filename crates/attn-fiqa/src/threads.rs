//! Worker threads and their instruction set.
//!
//! Decoding, detection, the ViT and ONNX networks all run on one pool, so that there are never more
//! busy threads than requested. The built-in kernels all use one instruction set.

use std::num::NonZeroUsize;
use std::sync::Arc;

pub use attn_fiqa_kernels::{CpuFeature, CpuFeatures, ISA_VARIABLE, Isa, IsaError};

/// Both kinds of pool run on `rayon` threads; `rten` accepts only its own.
#[cfg(feature = "onnx")]
type Pool = rten::ThreadPool;
#[cfg(not(feature = "onnx"))]
type Pool = rayon::ThreadPool;

/// A handle on worker threads and the instruction set that they use; clones share the threads.
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
    #[error("{wanted} worker threads were asked for, but at most {} can be started", Threads::MAX)]
    TooMany {
        /// The requested number.
        wanted: usize,
    },
    /// The operating system provided no threads.
    #[error("cannot start {wanted} worker threads; ask for fewer")]
    NotStarted {
        /// The requested number; 0 stands for one per core.
        wanted: usize,
    },
    /// `ATTN_FIQA_ISA` names an instruction set that this machine does not have.
    #[error(transparent)]
    InstructionSet(#[from] IsaError),
}

impl Threads {
    /// Maximum number of worker threads: each needs a stack and may hold a decoded image.
    pub const MAX: usize = 512;

    /// Starts threads; `None` means one per core. They use the instruction set named by the
    /// environment variable `ATTN_FIQA_ISA`, or else the fastest one of the machine.
    ///
    /// # Errors
    ///
    /// If more than [`Threads::MAX`] are requested, the operating system provides none, or the
    /// variable names an instruction set that the machine lacks.
    pub fn new(threads: Option<NonZeroUsize>) -> Result<Self, ThreadsError> {
        Self::with_isa(threads, Isa::from_env()?)
    }

    /// Starts threads that use `isa`, regardless of the environment.
    ///
    /// # Errors
    ///
    /// If more than [`Threads::MAX`] are requested, or the operating system provides none.
    pub fn with_isa(threads: Option<NonZeroUsize>, isa: Isa) -> Result<Self, ThreadsError> {
        let wanted = threads.map_or(0, NonZeroUsize::get);
        if wanted > Self::MAX {
            return Err(ThreadsError::TooMany { wanted });
        }
        let pool = start(wanted).ok_or(ThreadsError::NotStarted { wanted })?;
        Ok(Self { pool: Arc::new(pool), isa })
    }

    /// Number of threads.
    pub fn count(&self) -> usize {
        self.install(rayon::current_num_threads)
    }

    /// The instruction set of the built-in kernels.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Runs `work`, and whatever it splits itself into, on these threads.
    pub(crate) fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        #[cfg(feature = "onnx")]
        return self.pool.run(work);
        #[cfg(not(feature = "onnx"))]
        self.pool.install(work)
    }

    /// The pool in the form that the ONNX runtime expects.
    #[cfg(feature = "onnx")]
    pub(crate) fn pool(&self) -> Arc<rten::ThreadPool> {
        Arc::clone(&self.pool)
    }
}

/// A pool of `threads`, or of one per core if that is 0; `None` if the system provides none.
#[cfg(feature = "onnx")]
fn start(threads: usize) -> Option<Pool> {
    let pool = Pool::with_num_threads(threads);
    // A pool that could not be started runs its work on the calling thread.
    pool.run(|| rayon::current_thread_index().is_some()).then_some(pool)
}

/// A pool of `threads`, or of one per core if that is 0; `None` if the system provides none.
#[cfg(not(feature = "onnx"))]
fn start(threads: usize) -> Option<Pool> {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_threads_are_rejected() {
        let wanted = NonZeroUsize::new(100_000);
        let error = Threads::with_isa(wanted, Isa::widest()).expect_err("too many");
        assert_eq!(error, ThreadsError::TooMany { wanted: 100_000 });
        assert!(error.to_string().contains("at most 512"), "{error}");
    }

    #[test]
    fn threads_keep_their_instruction_set() {
        for isa in Isa::available() {
            let threads = Threads::with_isa(NonZeroUsize::new(1), isa).expect("a thread");
            assert_eq!(threads.clone().isa(), isa);
        }
    }
}
