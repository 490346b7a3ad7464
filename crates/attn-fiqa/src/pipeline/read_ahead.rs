//! Bytes read by a thread of their own, a batch ahead of the work.

use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread::Scope;

use crate::source::SourceItem;

/// Encoded images that are read ahead at most: reading is far faster than scoring.
const MAX_READ_AHEAD: usize = 1024;

pub(super) struct ReadAhead(Receiver<SourceItem>);

impl ReadAhead {
    /// The thread ends with the items, or when this receiver is dropped.
    pub(super) fn start<'scope, 'env>(
        scope: &'scope Scope<'scope, 'env>,
        items: impl Iterator<Item = SourceItem> + Send + 'scope,
        batch: usize,
    ) -> Self {
        let (sender, receiver) = sync_channel(batch.min(MAX_READ_AHEAD));
        scope.spawn(move || {
            for item in items {
                if sender.send(item).is_err() {
                    break;
                }
            }
        });
        Self(receiver)
    }

    /// Up to `limit` items: waits for the first only when there is nothing else to
    /// do, and never for more, so that slow sources are answered at once.
    pub(super) fn next_batch(&self, limit: usize, wait: bool) -> Vec<SourceItem> {
        let mut items = Vec::new();
        if wait {
            items.extend(self.0.recv());
        }
        while items.len() < limit {
            match self.0.try_recv() {
                Ok(item) => items.push(item),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        items
    }
}
