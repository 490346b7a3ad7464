//! A folder that files are written into: one rule for every command.

use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, bail};

/// What is done about a folder that is not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    /// It is refused.
    Refuse,
    /// Files of the same names are written over.
    Overwrite,
    /// Images whose files are there are left out.
    Skip,
}

/// Makes a folder, or refuses one that holds something that `existing` does not allow.
/// `unfinished` is a file of a run that was not finished there and may be continued.
///
/// # Errors
///
/// Also if the folder cannot be made or read, or nothing can be written into it.
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
            "the folder '{}' is not empty: name another, or use --overwrite to write over files \
             of the same names, or --skip-existing to leave out images whose files are there",
            folder.display()
        );
    }
    // Found out before any work.
    tempfile::tempfile_in(folder)
        .map(drop)
        .with_context(|| format!("cannot write into the folder '{}'", folder.display()))
}

/// Which of a folder's files were there before a run started: what is left of an earlier attempt
/// of the same run is none of them.
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

    /// Whether images are left out whose files are there.
    pub(crate) fn is_skipping(self) -> bool {
        self.existing == Existing::Skip
    }

    /// Whether there is such a file, which is to be kept.
    pub(crate) fn keeps(&self, file: &Path) -> bool {
        self.existing == Existing::Skip
            && fs::metadata(file)
                .and_then(|found| found.modified())
                .is_ok_and(|modified| modified < self.started)
    }
}

/// Stands for a name in a set of those that were given out: eight bytes, however long it is.
pub(crate) fn name_hash(name: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(name);
    hasher.finish()
}

/// Writes a whole file, with the folders that it lies in.
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
