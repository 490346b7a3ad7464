//! Admission control: two budgets for work in flight, images and bytes. A request takes its share
//! before its body is read, and holds it until its last image has left memory, even if its client
//! has left; then its answer holds bytes until it has been read. Nothing waits for a budget: if
//! there is no room, the answer is 429.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ApiError;
use crate::metrics::Metrics;

/// Bytes are counted in units, since a semaphore can only acquire a 32-bit count at a time.
const UNIT: u64 = 1 << 10;

pub(crate) struct Admission {
    images: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    max_images: usize,
    /// In units.
    max_bytes: usize,
    metrics: Arc<Metrics>,
}

/// A request's share of both budgets, released on drop.
#[must_use]
pub(crate) struct Share {
    admission: Arc<Admission>,
    images: OwnedSemaphorePermit,
    bytes: OwnedSemaphorePermit,
}

fn bytes_of(bytes: u64) -> String {
    format!("{bytes} bytes")
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

impl Admission {
    pub(crate) fn new(max_images: usize, max_bytes: u64, metrics: Arc<Metrics>) -> Self {
        // The most that one call can acquire, so that the largest request has a chance.
        let most = Semaphore::MAX_PERMITS.min(u32::MAX as usize);
        let max_images = max_images.min(most);
        let max_bytes = usize::try_from(max_bytes / UNIT).unwrap_or(most).min(most);
        Self {
            images: Arc::new(Semaphore::new(max_images)),
            bytes: Arc::new(Semaphore::new(max_bytes)),
            max_images,
            max_bytes,
            metrics,
        }
    }

    /// Number of images in admitted requests.
    pub(crate) fn images_in_flight(&self) -> usize {
        self.max_images - self.images.available_permits()
    }

    /// Number of bytes in admitted requests.
    pub(crate) fn bytes_in_flight(&self) -> u64 {
        (self.max_bytes - self.bytes.available_permits()) as u64 * UNIT
    }

    /// Acquires room for one image and the bytes of its request.
    ///
    /// # Errors
    ///
    /// 429 if there is no room.
    pub(crate) fn admit(self: &Arc<Self>, bytes: u64) -> Result<Share, ApiError> {
        let images = Arc::clone(&self.images).try_acquire_owned().map_err(|_| self.queue_full())?;
        let bytes = Arc::clone(&self.bytes)
            .try_acquire_many_owned(units(bytes))
            .map_err(|_| self.memory_full())?;
        Ok(Share { admission: Arc::clone(self), images, bytes })
    }

    fn queue_full(&self) -> ApiError {
        ApiError::busy("queue-full", "images", self.time_to_empty())
    }

    fn memory_full(&self) -> ApiError {
        ApiError::busy("memory-full", "bytes", self.time_to_empty())
    }

    /// Estimated time to finish what is in flight, from the latest batches; in whole seconds, at
    /// least one.
    fn time_to_empty(&self) -> Duration {
        let seconds = self.images_in_flight() as f64 * self.metrics.seconds_per_image();
        Duration::from_secs(seconds.ceil().clamp(1.0, 60.0) as u64)
    }
}

impl Share {
    /// Acquires more bytes, up to `total`: for a body of unknown length, or for pixels.
    ///
    /// # Errors
    ///
    /// 429 if there is no room, 413 if there never will be.
    pub(crate) fn grow_to(&mut self, total: u64) -> Result<(), ApiError> {
        let most = self.admission.max_bytes as u64 * UNIT;
        if total > most {
            let code = "request-too-large";
            return Err(ApiError::too_large(code, "request", bytes_of(most), bytes_of(total)));
        }
        let missing = units(total).saturating_sub(self.bytes.num_permits() as u32);
        if missing == 0 {
            return Ok(());
        }
        let more = Arc::clone(&self.admission.bytes).try_acquire_many_owned(missing);
        self.bytes.merge(more.map_err(|_| self.admission.memory_full())?);
        Ok(())
    }

    /// Turns the share of a request into that of its answer, which takes no place in the queue.
    ///
    /// # Errors
    ///
    /// 429 if there is no room, 413 if there never will be.
    pub(crate) fn into_answer(mut self, length: u64) -> Result<Self, ApiError> {
        self.grow_to(length)?;
        let excess = self.bytes.num_permits() - units(length) as usize;
        drop(self.bytes.split(excess));
        drop(self.images.split(self.images.num_permits()));
        Ok(self)
    }

    /// Acquires room for all images of the request.
    ///
    /// # Errors
    ///
    /// 429 if there is no room.
    pub(crate) fn grow_to_images(&mut self, images: usize) -> Result<(), ApiError> {
        let missing = images.saturating_sub(self.images.num_permits()) as u32;
        if missing == 0 {
            return Ok(());
        }
        let more = Arc::clone(&self.admission.images).try_acquire_many_owned(missing);
        self.images.merge(more.map_err(|_| self.admission.queue_full())?);
        Ok(())
    }
}
