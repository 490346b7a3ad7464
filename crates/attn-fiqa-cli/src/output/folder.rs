//! A folder that files are written into: the same rule for every command.

use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, bail};

use crate::log;

/// How to treat a folder that is not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    /// Refuse it.
    Refuse,
    /// Overwrite files with the same names.
    Overwrite,
    /// Skip images whose files exist.
    Skip,
}

/// Creates a folder; refuses one with contents that `existing` does not allow. `unfinished` is a
/// file of an unfinished run there that may be continued.
///
/// # Errors
///
/// Also if the folder cannot be created, read or written to.
pub(crate) fn open_folder(
    folder: &Path,
    existing: Existing,
    unfinished: Option<&Path>,
) -> anyhow::Result<()> {
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder '{}'", folder.display()))?;
    let mut entries = fs::read_dir(folder)
        .with_context(|| format!("cannot read the folder '{}'", folder.display()))?;
    let continues = || unfinished.is_some_and(Path::exists);
    if existing == Existing::Refuse && entries.next().is_some() && !continues() {
        bail!(
            "the folder '{}' is not empty: name another, or use --overwrite to overwrite files \
             with the same names, or --skip-existing to skip images whose files exist",
            folder.display()
        );
    }
    // Detected before any work is done.
    tempfile::tempfile_in(folder)
        .map(drop)
        .with_context(|| format!("cannot write into the folder '{}'", folder.display()))
}

/// Which files of a folder existed before a run started, not counting those left by an earlier
/// attempt of the same run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BeforeRun {
    existing: Existing,
    started: SystemTime,
}

impl BeforeRun {
    /// `started` is by the clock of the folder's file system.
    pub(crate) fn new(existing: Existing, started: SystemTime) -> Self {
        Self { existing, started }
    }

    /// Whether images are skipped if their files exist.
    pub(crate) fn is_skipping(self) -> bool {
        self.existing == Existing::Skip
    }

    /// Whether such a file exists and is to be kept.
    pub(crate) fn keeps(&self, file: &Path) -> bool {
        self.existing == Existing::Skip
            && fs::metadata(file)
                .and_then(|found| found.modified())
                .is_ok_and(|modified| modified < self.started)
    }
}

/// Reports how many images were skipped since their files exist.
pub(crate) fn report_skipped(images: u64) {
    match images {
        0 => {}
        1 => log::note("1 image skipped: its files exist"),
        images => log::note(format!("{images} images skipped: their files exist")),
    }
}

/// Represents a name in a set of assigned names by eight bytes, however long it is.
pub(crate) fn name_hash(name: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(name);
    hasher.finish()
}

/// Writes a whole file, creating its parent folders.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let write = || -> io::Result<()> {
        match fs::write(path, bytes) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
                fs::write(path, bytes)
            }
            written => written,
        }
    };
    write().with_context(|| format!("cannot write '{}'", path.display()))
}
