//! Which images are read: those that a filter admits, without those that are skipped.

use std::cell::Cell;
use std::fmt;
use std::path::Path;

type Filter = Box<dyn Fn(&str, &Path) -> bool + Send>;

/// What happens to an image, decided by its names alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FilterAction {
    Read,
    /// It counts as an image, but its bytes are not needed.
    Skip,
    /// The filter leaves it out.
    LeaveOut,
}

/// Decides in the order in which images are found, which may be ahead of the order in which they
/// are returned.
#[derive(Default)]
pub(super) struct ImageFilter {
    filter: Option<Filter>,
    /// Images found that the filter admits.
    found: Cell<u64>,
    /// The first of them whose bytes are needed.
    first: Cell<u64>,
}

impl ImageFilter {
    pub(super) fn only(&mut self, filter: Filter) {
        self.filter = Some(match self.filter.take() {
            None => filter,
            Some(before) => {
                Box::new(move |path, relative| before(path, relative) && filter(path, relative))
            }
        });
    }

    /// Images before the one with this number, from 0, are skipped.
    pub(super) fn skip_to(&self, number: u64) {
        self.first.set(number);
    }

    /// Whether the filter admits an image.
    pub(super) fn admits(&self, path: &str, relative: &Path) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter(path, relative))
    }

    /// Called once per image.
    pub(super) fn want(&self, path: &str, relative: &Path) -> FilterAction {
        if !self.admits(path, relative) {
            return FilterAction::LeaveOut;
        }
        let number = self.found.get();
        self.found.set(number + 1);
        if number < self.first.get() { FilterAction::Skip } else { FilterAction::Read }
    }
}

impl fmt::Debug for ImageFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wanted")
            .field("filtered", &self.filter.is_some())
            .field("found", &self.found)
            .field("first", &self.first)
            .finish()
    }
}
