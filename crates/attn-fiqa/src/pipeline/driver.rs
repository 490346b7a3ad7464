//! The loop that processes every stream of images, in order and in bounded memory.

use rayon::prelude::*;

use super::StreamOptions;
use super::memory::Budget;
use super::read_ahead::{Queue, ReadAhead};
use crate::input::SourceItem;
use crate::threads::Threads;

/// Runs `prepare` on each item and `finish` on each batch, and passes the results to `sink` in the
/// order of the items.
///
/// A separate thread reads bytes ahead. While `finish` works on one batch, the same pool of threads
/// prepares the next.
///
/// # Errors
///
/// Errors of `sink`: reading then stops and the remaining images are dropped.
pub(super) fn drive<P: Send, R: Send, E>(
    items: impl Iterator<Item = SourceItem> + Send,
    threads: &Threads,
    stream: &StreamOptions,
    budget: &Budget,
    prepare: impl Fn(SourceItem) -> P + Send + Sync,
    finish: impl Fn(Vec<P>) -> Vec<R> + Send + Sync,
    mut sink: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let queue = Queue::new(stream.batch, budget.read_ahead());
    std::thread::scope(|scope| {
        let items = ReadAhead::start(scope, items, &queue);
        let mut ready: Vec<P> = Vec::new();
        loop {
            let weigh = |item: &SourceItem| budget.weight(item);
            let batch = items.next_batch(stream.batch, budget.batch(), weigh, ready.is_empty());
            if batch.is_empty() && ready.is_empty() {
                return Ok(());
            }
            let current = std::mem::take(&mut ready);
            let (results, prepared) = threads
                .install(|| rayon::join(|| finish(current), || in_waves(batch, budget, &prepare)));
            ready = prepared;
            for result in results {
                sink(result)?;
            }
        }
    })
}

/// Prepares as many items at once as threads and memory allow, and no more, since each may hold a
/// large image while it waits for its own subtasks. Keeps the order.
fn in_waves<P: Send>(
    items: Vec<SourceItem>,
    budget: &Budget,
    prepare: &(impl Fn(SourceItem) -> P + Send + Sync),
) -> Vec<P> {
    let threads = rayon::current_num_threads();
    let mut done = Vec::with_capacity(items.len());
    let mut items = items.into_iter().peekable();
    loop {
        let wave = budget.next_wave(&mut items, threads);
        if wave.is_empty() {
            return done;
        }
        done.par_extend(wave.into_par_iter().map(prepare));
    }
}
