//! What has been read of a request so far, for its log line.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use axum::http::request::Parts;

/// Counts in the extensions of a request: they outlive a handler that fails or whose client leaves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    bytes: AtomicU64,
    images: AtomicUsize,
}

impl Progress {
    pub(crate) fn of(parts: &Parts) -> Self {
        parts.extensions.get::<Self>().cloned().unwrap_or_default()
    }

    pub(crate) fn set_bytes(&self, bytes: u64) {
        self.0.bytes.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn set_images(&self, images: usize) {
        self.0.images.store(images, Ordering::Relaxed);
    }

    /// Number of body bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Number of images in the body.
    pub(crate) fn images(&self) -> usize {
        self.0.images.load(Ordering::Relaxed)
    }
}
