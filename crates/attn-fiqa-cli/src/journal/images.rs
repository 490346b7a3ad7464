//! The images of a run, in input order, without those that are already done.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::bail;
use attn_fiqa::input::SourceItem;
use attn_fiqa::source::{Progress, Sources};

use super::{DoneImage, RunLog, Shard};
use crate::{interrupt, log};

/// Names compared at once while finished images are skipped.
const SKIP_CHUNK: u64 = 1 << 14;

/// An image's position among all input images, and the hash of its name in the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ImageName {
    pub(crate) ordinal: u64,
    pub(crate) name: u32,
}

/// Decides by its name in the rows and its relative name whether an image is included; called once
/// per image, in order.
pub(crate) type Admit = Box<dyn Fn(&str, &Path) -> bool + Send>;

#[derive(Debug, Default)]
struct Shared {
    /// Images on their way from the inputs to the rows.
    in_flight: Mutex<VecDeque<ImageName>>,
    found: AtomicU64,
    ended: AtomicBool,
}

impl Shared {
    fn in_flight(&self) -> MutexGuard<'_, VecDeque<ImageName>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The images that a run reads, until Ctrl-C is pressed.
pub(crate) struct Images {
    sources: Sources,
    shared: Arc<Shared>,
    /// How often each outcome occurred in earlier runs.
    earlier: BTreeMap<String, u64>,
    shards: u64,
}

/// Identifies the image of the rows that come next.
pub(crate) struct Names(Arc<Shared>);

impl Images {
    /// All images, for callers that do not need [`Names`].
    pub(crate) fn all(sources: Sources) -> Self {
        Self { sources, shared: Arc::default(), earlier: BTreeMap::new(), shards: 1 }
    }

    /// The images of a shard that `admit` accepts, and their names.
    pub(crate) fn named(
        sources: Sources,
        shard: Option<Shard>,
        admit: Option<Admit>,
    ) -> (Self, Names) {
        let shared = Arc::<Shared>::default();
        let names = Arc::clone(&shared);
        let sources = sources.only(move |path, relative| {
            let ordinal = names.found.fetch_add(1, Ordering::AcqRel);
            let taken = shard.is_none_or(|shard| shard.takes(relative))
                && admit.as_ref().is_none_or(|admit| admit(path, relative));
            if taken {
                let name = crc32fast::hash(path.as_bytes());
                names.in_flight().push_back(ImageName { ordinal, name });
            }
            taken
        });
        let names = Names(Arc::clone(&shared));
        let shards = shard.map_or(1, Shard::count);
        (Self { sources, shared, earlier: BTreeMap::new(), shards }, names)
    }

    /// Skips the images recorded in `log`, which must be the first of the inputs, unchanged.
    ///
    /// # Errors
    ///
    /// If the inputs have changed.
    pub(crate) fn skip_finished(&mut self, run: &mut RunLog) -> anyhow::Result<()> {
        let done = run.done().images;
        if done == 0 {
            return Ok(());
        }
        let place = run.place().clone();
        log::info(format!(
            "'{}' holds {done} images of an earlier run, which this one continues",
            place.data.display()
        ));
        let mut left = done;
        let mut compared = 0;
        run.for_each_image(|image: DoneImage| {
            compared += 1;
            if self.shared.in_flight().is_empty() && left > 0 {
                let count = left.min(SKIP_CHUNK);
                let _ = self.sources.nth((count - 1) as usize);
                left -= count;
            }
            let now = self.shared.in_flight().pop_front();
            let before = ImageName { ordinal: image.ordinal, name: image.name };
            if now != Some(before) {
                bail!(
                    "'{}' cannot be continued, since the inputs have changed: image {compared} of \
                     them is a different one; {}",
                    place.data.display(),
                    place.remedy()
                );
            }
            *self.earlier.entry(image.outcome).or_default() += 1;
            Ok(())
        })
    }

    /// The approximate fraction of all images that belongs to this run.
    pub(crate) fn shard_fraction(&self) -> f64 {
        1.0 / self.shards as f64
    }

    /// Reports whether any image has been found, now or later.
    pub(crate) fn found(&self) -> Found {
        Found(Arc::clone(&self.shared))
    }

    /// Counts of what has been read.
    pub(crate) fn progress(&self) -> Progress {
        self.sources.progress()
    }

    /// How often each outcome occurred in earlier runs.
    pub(crate) fn earlier(&self) -> &BTreeMap<String, u64> {
        &self.earlier
    }
}

impl Iterator for Images {
    type Item = SourceItem;

    fn next(&mut self) -> Option<SourceItem> {
        if interrupt::is_interrupted() {
            return None;
        }
        let item = self.sources.next();
        if item.is_none() {
            self.shared.ended.store(true, Ordering::Release);
        }
        // Ctrl-C may have been pressed while waiting for the item.
        item.filter(|_| !interrupt::is_interrupted())
    }
}

/// Whether the inputs of a run contain any image, including excluded images and those of other
/// shards.
pub(crate) struct Found(Arc<Shared>);

impl Found {
    pub(crate) fn any(&self) -> bool {
        self.0.found.load(Ordering::Acquire) > 0
    }
}

impl Names {
    /// The image whose rows come next.
    pub(crate) fn next(&self) -> ImageName {
        let next = self.0.in_flight().pop_front();
        next.expect("no rows without an image: this is a bug")
    }

    /// The number of input images, including those of other shards, if all were read and the run
    /// was not interrupted.
    pub(crate) fn total(&self) -> Option<u64> {
        let ended = self.0.ended.load(Ordering::Acquire) && !interrupt::is_interrupted();
        ended.then(|| self.0.found.load(Ordering::Acquire))
    }
}
