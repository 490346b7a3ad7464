//! The bytes of a checkpoint: mapped from a file, embedded, or in memory.

use std::fmt;
use std::ops::{Deref, Range};
use std::path::Path;

use memmap2::Mmap;

use super::Loading;
use super::error::CheckpointProblem;
use crate::regular_file::{OpenError, ReadError, open_regular_file, read_regular_file};

/// Maximum size of a file that is copied into memory, in bytes: twenty times the largest face ViT.
const MAX_COPIED_BYTES: u64 = 32 << 30;

/// A file's entire content, wherever it is stored.
pub(super) enum Bytes {
    Mapped(Mmap),
    Static(&'static [u8]),
    Owned(Vec<u8>),
}

impl Bytes {
    /// The bytes of the regular file at `path`.
    pub(super) fn open(path: &Path, loading: Loading) -> Result<Self, CheckpointProblem> {
        match loading {
            Loading::Mapped => Self::map(path),
            Loading::Copied => {
                let bytes =
                    read_regular_file(path, MAX_COPIED_BYTES).map_err(|error| match error {
                        ReadError::Open(error) => refused(error),
                        ReadError::TooLong(found) => CheckpointProblem::Oversized {
                            what: "file",
                            found,
                            unit: "bytes",
                            limit: MAX_COPIED_BYTES,
                        },
                        ReadError::NoMemory(bytes) => CheckpointProblem::NoMemory { bytes },
                    })?;
                if bytes.is_empty() {
                    Err(CheckpointProblem::Empty)
                } else {
                    Ok(Self::Owned(bytes))
                }
            }
        }
    }

    /// Maps a regular file read-only.
    fn map(path: &Path) -> Result<Self, CheckpointProblem> {
        let (file, metadata) = open_regular_file(path).map_err(refused)?;
        if metadata.len() == 0 {
            return Err(CheckpointProblem::Empty);
        }
        // SAFETY: the mapping is read-only and lives as long as the bytes that borrow it. They are
        // only ever read as single bytes, for which every bit pattern is valid, and every range is
        // checked against the length of the mapping. A process that rewrites the file meanwhile can
        // change weights but cannot violate a type; one that truncates it kills this process with a
        // bus error, which is the usual contract of a mapped model file.
        #[allow(unsafe_code)]
        let mapped = unsafe { Mmap::map(&file) };
        mapped.map(Self::Mapped).map_err(CheckpointProblem::Io)
    }

    /// Advises the system that `range` has been read and is not needed soon, so that the pages of a
    /// mapped file no longer count as memory of this process. Reading them again is only slower.
    pub(super) fn release(&self, range: Range<usize>) {
        #[cfg(unix)]
        if let Self::Mapped(map) = self
            && range.end <= map.len()
        {
            let advice = memmap2::UncheckedAdvice::DontNeed;
            // SAFETY: the pages of a read-only file mapping hold nothing but the file's bytes,
            // which the next access reads again.
            #[allow(unsafe_code)]
            let advised = unsafe { map.unchecked_advise_range(advice, range.start, range.len()) };
            // This only saves memory: if the system does not support it, nothing fails.
            let _ = advised;
        }
        #[cfg(not(unix))]
        let _ = range;
    }
}

fn refused(error: OpenError) -> CheckpointProblem {
    match error {
        OpenError::Io(error) => CheckpointProblem::Io(error),
        OpenError::Folder | OpenError::Special => CheckpointProblem::NotAFile,
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
