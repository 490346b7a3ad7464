//! The worker threads that everything shares.
//!
//! Decoding, detection, the score's network and other people's networks all run
//! on one pool, so that there are never more busy threads than asked for.

use std::num::NonZeroUsize;
use std::sync::Arc;

/// A handle on worker threads; clones share them.
#[derive(Debug, Clone)]
pub struct Threads(Arc<rten::ThreadPool>);

/// The operating system gave no threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot start {wanted} worker threads; ask for fewer")]
pub struct ThreadsError {
    /// The number that was asked for; 0 stands for one for every core.
    pub wanted: usize,
}

impl Threads {
    /// Starts threads; `None` is one for every core.
    ///
    /// # Errors
    ///
    /// When the operating system gives none.
    pub fn new(threads: Option<NonZeroUsize>) -> Result<Self, ThreadsError> {
        let wanted = threads.map_or(0, NonZeroUsize::get);
        // The pool of `rten` is the one that can be handed to it; it runs what it
        // is given on the calling thread where it could not be started.
        let pool = rten::ThreadPool::with_num_threads(wanted);
        let started = pool.run(|| rayon::current_thread_index().is_some());
        if started { Ok(Self(Arc::new(pool))) } else { Err(ThreadsError { wanted }) }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.install(rayon::current_num_threads)
    }

    /// Runs `work` on these threads, and whatever it splits itself into.
    pub(crate) fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.0.run(work)
    }

    /// The pool as the ONNX runtime wants it.
    pub(crate) fn pool(&self) -> Arc<rten::ThreadPool> {
        Arc::clone(&self.0)
    }
}
