//! Values that belong to one process, above all threads: a forked child has none of them.

use std::process;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::Python;

/// At most one value, which belongs to the process that stored it. In a forked child it is absent,
/// and the parent's value is neither used nor dropped: dropping a pool may wait for its threads.
///
/// The lock is only taken while the interpreter is held and nothing is computed under it. A
/// thread that forks holds the interpreter too, so that a child never inherits a taken lock.
pub(crate) struct PerProcess<T>(Mutex<Option<(u32, Arc<T>)>>);

impl<T> PerProcess<T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// The value of this process.
    pub(crate) fn get(&self, _attached: Python<'_>) -> Option<Arc<T>> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match slot.take() {
            Some((pid, value)) if pid == process::id() => {
                let found = Arc::clone(&value);
                *slot = Some((pid, value));
                Some(found)
            }
            Some((_, foreign)) => {
                std::mem::forget(foreign);
                None
            }
            None => None,
        }
    }

    /// Stores a value; if another thread was faster, returns that thread's value.
    pub(crate) fn put(&self, attached: Python<'_>, value: T) -> Arc<T> {
        if let Some(found) = self.get(attached) {
            return found;
        }
        let value = Arc::new(value);
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = Some((process::id(), Arc::clone(&value)));
        value
    }
}

impl<T> Drop for PerProcess<T> {
    fn drop(&mut self) {
        let slot = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some((pid, value)) = slot.take()
            && pid != process::id()
        {
            std::mem::forget(value);
        }
    }
}
