//! Reads bytes on a separate thread, one batch ahead of the work.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;

use crate::input::SourceItem;

/// Maximum images read ahead: reading is far faster than scoring.
const MAX_READ_AHEAD: usize = 1024;

/// A queue of images, bounded in count and in bytes. It always admits one image, however large.
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    max_items: usize,
    max_bytes: u64,
}

#[derive(Default)]
struct State {
    items: VecDeque<SourceItem>,
    bytes: u64,
    /// No more items will be pushed.
    ended: bool,
    /// No more items will be taken.
    abandoned: bool,
}

/// Bytes that an image holds while it is queued.
pub(super) fn held(item: &SourceItem) -> u64 {
    item.image.as_ref().map_or(0, |image| image.bytes() as u64)
}

impl Queue {
    pub(super) fn new(batch: usize, max_bytes: u64) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            max_items: batch.clamp(1, MAX_READ_AHEAD),
            max_bytes,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room; `false` if no more items will be taken.
    fn push(&self, item: SourceItem) -> bool {
        let bytes = held(&item);
        let full = |state: &mut State| {
            let over = state.bytes.saturating_add(bytes) > self.max_bytes;
            let too_much = state.items.len() >= self.max_items || over;
            !state.abandoned && !state.items.is_empty() && too_much
        };
        let state = self.changed.wait_while(self.lock(), full);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        if state.abandoned {
            return false;
        }
        state.bytes += bytes;
        state.items.push_back(item);
        self.changed.notify_all();
        true
    }
}

/// The consuming end of a queue that a separate thread fills. The thread ends when the items do, or
/// when this is dropped.
pub(super) struct ReadAhead<'queue>(&'queue Queue);

impl<'queue> ReadAhead<'queue> {
    pub(super) fn start<'scope, 'env>(
        scope: &'scope Scope<'scope, 'env>,
        items: impl Iterator<Item = SourceItem> + Send + 'scope,
        queue: &'queue Queue,
    ) -> Self
    where
        'queue: 'scope,
    {
        scope.spawn(move || {
            // Also if reading panics; otherwise the consumer would wait for ever.
            let _end = End(queue);
            for item in items {
                if !queue.push(item) {
                    break;
                }
            }
        });
        Self(queue)
    }

    /// Takes up to `limit` items with a total weight of at most `max_weight`, but at least one if
    /// any is left. Waits for the first item only if there is nothing else to do, and never for
    /// more, so that items of a slow source are processed at once.
    pub(super) fn next_batch(
        &self,
        limit: usize,
        max_weight: u64,
        weigh: impl Fn(&SourceItem) -> u64,
        wait: bool,
    ) -> Vec<SourceItem> {
        let queue = self.0;
        let mut state = queue.lock();
        if wait {
            let none = |state: &mut State| state.items.is_empty() && !state.ended;
            let waited = queue.changed.wait_while(state, none);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        let (mut batch, mut weight) = (Vec::new(), 0u64);
        while batch.len() < limit.max(1) {
            let Some(next) = state.items.front() else { break };
            weight = weight.saturating_add(weigh(next));
            if weight > max_weight && !batch.is_empty() {
                break;
            }
            state.bytes -= held(next);
            batch.extend(state.items.pop_front());
        }
        queue.changed.notify_all();
        batch
    }
}

impl Drop for ReadAhead<'_> {
    fn drop(&mut self) {
        self.0.lock().abandoned = true;
        self.0.changed.notify_all();
    }
}

struct End<'queue>(&'queue Queue);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::input::ImageData;

    fn item(bytes: usize) -> SourceItem {
        SourceItem {
            path: bytes.to_string(),
            relative: "image".into(),
            image: Ok(ImageData::Encoded(vec![0; bytes])),
        }
    }

    /// Lets a source run ahead of a consumer that takes nothing; returns how many items it
    /// produced.
    fn produced(items: usize, bytes: usize, batch: usize, max_bytes: u64) -> usize {
        let produced = AtomicUsize::new(0);
        let queue = Queue::new(batch, max_bytes);
        std::thread::scope(|scope| {
            let source = (0..items).map(|_| {
                produced.fetch_add(1, Ordering::SeqCst);
                item(bytes)
            });
            let ahead = ReadAhead::start(scope, source, &queue);
            std::thread::sleep(std::time::Duration::from_millis(100));
            let count = produced.load(Ordering::SeqCst);
            drop(ahead);
            count
        })
    }

    #[test]
    fn reading_ahead_is_bounded_in_count_and_in_bytes() {
        // The producer holds one more item than fits.
        assert_eq!(produced(100, 10, 4, 1 << 20), 5);
        assert_eq!(produced(100, 1000, 32, 3000), 4);
        assert_eq!(produced(100, 10_000, 32, 3000), 2);
        assert_eq!(produced(3, 10, 32, 1 << 20), 3);
    }

    #[test]
    fn batches_preserve_order_and_respect_max_weight() {
        let queue = Queue::new(8, 1 << 20);
        let sizes: Vec<usize> = (1..=50).collect();
        let mut found = Vec::new();
        std::thread::scope(|scope| {
            let ahead = ReadAhead::start(scope, sizes.iter().map(|&size| item(size)), &queue);
            loop {
                let batch = ahead.next_batch(8, 60, held, true);
                if batch.is_empty() {
                    break;
                }
                let weight: u64 = batch.iter().map(held).sum();
                assert!(batch.len() == 1 || weight <= 60, "{weight}");
                found.extend(batch.iter().map(|item| held(item) as usize));
            }
        });
        assert_eq!(found, sizes);
    }

    #[test]
    fn a_source_that_panics_ends_the_stream() {
        let queue = Queue::new(8, 1 << 20);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            std::thread::scope(|scope| {
                let source = (0..3).map(|index| if index < 2 { item(1) } else { panic!("broken") });
                let ahead = ReadAhead::start(scope, source, &queue);
                let mut count = 0;
                loop {
                    let batch = ahead.next_batch(8, 60, held, true);
                    if batch.is_empty() {
                        break;
                    }
                    count += batch.len();
                }
                assert_eq!(count, 2);
            });
        }));
        assert!(outcome.is_err(), "the panic reaches the caller");
    }
}
