//! The bytes of a checkpoint: mapped from a file, built in, or in memory.

use std::fmt;
use std::fs::File;
use std::ops::{Deref, Range};
use std::path::Path;

use memmap2::Mmap;

use super::error::CheckpointProblem;

/// A file's whole content, wherever it lies.
pub(super) enum Bytes {
    Mapped(Mmap),
    Static(&'static [u8]),
    Owned(Vec<u8>),
}

impl Bytes {
    /// Maps a regular file read-only.
    pub(super) fn map(path: &Path) -> Result<Self, CheckpointProblem> {
        // Opening a pipe would wait for a writer, so look before opening.
        let metadata = std::fs::metadata(path).map_err(CheckpointProblem::Io)?;
        if !metadata.is_file() {
            return Err(CheckpointProblem::NotAFile);
        }
        if metadata.len() == 0 {
            return Err(CheckpointProblem::Empty);
        }
        let file = File::open(path).map_err(CheckpointProblem::Io)?;
        // SAFETY: the mapping is read-only and lives as long as the bytes that
        // borrow it. They are only ever read as single bytes, for which every
        // bit pattern is valid, and every range is checked against the length
        // of the mapping. A process that rewrites the file meanwhile can change
        // weights but not break a type; one that truncates it ends this process
        // with a bus error, which is the usual contract of a mapped model file.
        #[allow(unsafe_code)]
        let mapped = unsafe { Mmap::map(&file) };
        mapped.map(Self::Mapped).map_err(CheckpointProblem::Io)
    }

    /// Says that `range` has been read and will not be soon: a mapped file's pages no
    /// longer count as this process's memory. Reading them again is only slower.
    pub(super) fn release(&self, range: Range<usize>) {
        #[cfg(unix)]
        if let Self::Mapped(map) = self
            && range.end <= map.len()
        {
            let advice = memmap2::UncheckedAdvice::DontNeed;
            // SAFETY: the pages of a read-only mapping of a file hold nothing but the
            // file's bytes, which the next access reads again.
            #[allow(unsafe_code)]
            let advised = unsafe { map.unchecked_advise_range(advice, range.start, range.len()) };
            // It is only about memory: a system that does not do it is no failure.
            let _ = advised;
        }
        #[cfg(not(unix))]
        let _ = range;
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Static(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}
