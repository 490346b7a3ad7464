//! Buffers that are lent and taken back, so that a steady run allocates nothing.

use std::sync::{Mutex, PoisonError};

/// Things lent out and taken back: as many are made as were ever lent at once.
pub(crate) struct Pool<T>(Mutex<Vec<T>>);

impl<T> Pool<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    pub(crate) fn take(&self, make: impl FnOnce() -> T) -> T {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_else(make)
    }

    pub(crate) fn give_back(&self, kept: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
    }
}
