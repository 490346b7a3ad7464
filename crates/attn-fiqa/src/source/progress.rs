//! Counts images while they are discovered, for progress bars.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The number of images, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProgressCount {
    /// Images that were read or are known to follow. Images that a filter leaves out are subtracted
    /// when they are reached.
    pub known: u64,
    /// Whether the number is final: `false` while folders are still to be opened or a list or
    /// archive is being read.
    pub exact: bool,
}

/// A handle on the counts of a [`Sources`](super::Sources); cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    known: AtomicU64,
    skipped: AtomicU64,
    links: AtomicU64,
    /// Images of `known` that a filter leaves out.
    left_out: AtomicU64,
    /// Inputs whose number of images is not yet known.
    uncounted: AtomicU64,
}

/// Represents one uncounted input until it is dropped.
#[derive(Debug)]
pub(super) struct Uncounted(Progress);

impl Progress {
    /// The number of images known so far.
    pub fn counts(&self) -> ProgressCount {
        // Read in this order, so that a count marked exact is complete: images are added before
        // their input is marked as counted.
        let exact = self.0.uncounted.load(Ordering::Acquire) == 0;
        let left_out = self.0.left_out.load(Ordering::Acquire);
        let known = self.0.known.load(Ordering::Acquire).saturating_sub(left_out);
        ProgressCount { known, exact }
    }

    /// Number of files so far that are images neither by name nor by content.
    pub fn skipped(&self) -> u64 {
        self.0.skipped.load(Ordering::Relaxed)
    }

    /// Number of links to folders so far, which are not followed.
    pub fn links_to_folders(&self) -> u64 {
        self.0.links.load(Ordering::Relaxed)
    }

    pub(super) fn add_known(&self, images: u64) {
        self.0.known.fetch_add(images, Ordering::AcqRel);
    }

    pub(super) fn add_left_out(&self) {
        self.0.left_out.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn add_skipped(&self, files: u64) {
        self.0.skipped.fetch_add(files, Ordering::Relaxed);
    }

    pub(super) fn add_links(&self, links: u64) {
        self.0.links.fetch_add(links, Ordering::Relaxed);
    }

    pub(super) fn start_uncounted(&self) -> Uncounted {
        self.0.uncounted.fetch_add(1, Ordering::AcqRel);
        Uncounted(self.clone())
    }
}

impl Drop for Uncounted {
    fn drop(&mut self) {
        self.0.0.uncounted.fetch_sub(1, Ordering::AcqRel);
    }
}
