//! Where a run keeps its rows and its journal until it is complete.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::log as report;

/// Where a run writes, and the path that messages show.
#[derive(Debug, Clone)]
pub(crate) struct RunPaths {
    /// The path given by the user.
    pub(crate) output: PathBuf,
    /// The rows so far.
    pub(crate) data: PathBuf,
    pub(crate) journal: PathBuf,
}

impl RunPaths {
    /// For a file: `FILE.part` and `FILE.journal`.
    pub(crate) fn beside(file: &Path) -> Self {
        let with = |ending: &str| {
            let mut name: OsString = file.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        };
        Self { output: file.to_owned(), data: with(".part"), journal: with(".journal") }
    }

    /// For a folder of tables: names that table readers ignore.
    pub(crate) fn inside(folder: &Path) -> Self {
        Self {
            output: folder.to_owned(),
            data: folder.join("_rows.part"),
            journal: folder.join("_journal"),
        }
    }

    /// What the user can do about existing files.
    pub(crate) fn remedy(&self) -> String {
        format!(
            "remove '{}' and '{}', or start over with --overwrite",
            self.data.display(),
            self.journal.display()
        )
    }

    /// Opens the journal; fails if another run has it open.
    pub(crate) fn lock(&self) -> anyhow::Result<File> {
        let path = &self.journal;
        let cannot = || format!("cannot write '{}'", path.display());
        loop {
            let mut options = File::options();
            let file = options.read(true).write(true).create(true).truncate(false);
            let file = file.open(path).with_context(cannot)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => bail!(
                    "another run is writing '{}': wait until it ends, or name another output",
                    self.output.display()
                ),
                // Some network file systems do not support locks.
                Err(TryLockError::Error(error)) => report::debug(format!(
                    "'{}' cannot be locked ({error}): do not start a second run that writes there",
                    path.display()
                )),
            }
            // Between the two calls, another run may have ended and removed the file.
            if is_at(&file, path) {
                return Ok(file);
            }
        }
    }
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (Ok(own), Ok(there)) = (file.metadata(), std::fs::metadata(path)) else { return false };
    (own.dev(), own.ino()) == (there.dev(), there.ino())
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}
