//! The bytes of a checkpoint: mapped from a file, built in, or in memory.

use std::fmt;
use std::fs::File;
use std::ops::Deref;
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
