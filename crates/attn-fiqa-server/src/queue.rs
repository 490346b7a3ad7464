//! The queue of images waiting for the worker.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use attn_fiqa::input::ImageData;
use attn_fiqa::pipeline::{FacePipeline, ScoredImage};
use tokio::sync::oneshot;

use crate::admission::Share;
use crate::model::Group;

/// One image on its way to the worker.
pub(crate) struct Job {
    pub(crate) image: ImageData,
    /// The pipeline that finds its faces.
    pub(crate) pipeline: Arc<FacePipeline>,
    /// Images in the same group can go through the network together.
    pub(crate) group: Group,
    /// Bytes needed to decode it.
    pub(crate) memory: u64,
    pub(crate) queued: Instant,
    pub(crate) reply: oneshot::Sender<ScoredImage>,
    /// The share of the request, which counts as long as any of its images is in memory.
    pub(crate) share: Arc<Share>,
}

impl Job {
    /// Whether anyone is waiting for the answer.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.reply.is_closed()
    }
}

/// A FIFO queue. Its images hold shares of the budgets, so it needs no limit of its own.
#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the images of one request consecutively.
    pub(crate) fn push(&self, jobs: impl IntoIterator<Item = Job>) {
        self.lock().jobs.extend(jobs);
        self.changed.notify_all();
    }

    /// Removes the images that nobody is waiting for any more, and returns their number.
    pub(crate) fn remove_unwanted(&self) -> usize {
        let mut state = self.lock();
        let before = state.jobs.len();
        state.jobs.retain(Job::is_wanted);
        before - state.jobs.len()
    }

    pub(crate) fn depth(&self) -> usize {
        self.lock().jobs.len()
    }

    /// Takes the next images, at most `limit`. With `wait`, returns at least one unless the queue
    /// was closed; it never waits for a second one.
    pub(crate) fn next_batch(&self, limit: usize, wait: bool) -> Vec<Job> {
        let mut state = self.lock();
        if wait {
            let none = |state: &mut State| state.jobs.is_empty() && !state.closed;
            let waited = self.changed.wait_while(state, none);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        let count = state.jobs.len().min(limit.max(1));
        state.jobs.drain(..count).collect()
    }

    /// Lets the worker end once it has processed the waiting images.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }
}
