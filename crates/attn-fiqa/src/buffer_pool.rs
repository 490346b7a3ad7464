//! A pool of buffers, so that nothing is allocated in the steady state.

use std::sync::{Mutex, PoisonError};

/// Buffers of one kind. It grows to the largest number that was in use at once.
pub(crate) struct BufferPool<T>(Mutex<Vec<T>>);

impl<T> BufferPool<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// A buffer from the pool, or a new one if none is free. Its contents are arbitrary.
    pub(crate) fn acquire(&self, make: impl FnOnce() -> T) -> T {
        let free = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        free.unwrap_or_else(make)
    }

    pub(crate) fn release(&self, buffer: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}
