//! Replaces a whole file, under the lock of a run.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::interrupt::Unfinished;
use crate::journal::sync_folder;

/// A file written next to its final path under a predictable name, so that a killed run leaves no
/// unnamed file behind: the next run overwrites it.
pub(super) struct Replacement {
    file: File,
    beside: PathBuf,
    to: PathBuf,
    _unfinished: Unfinished,
}

impl Replacement {
    /// For the file `to`, written as `beside.tmp`.
    pub(super) fn create(to: &Path, beside: &Path) -> anyhow::Result<Self> {
        let mut name = beside.as_os_str().to_owned();
        name.push(".tmp");
        let beside = PathBuf::from(name);
        let context = || format!("cannot write '{}'", beside.display());
        let file = File::create(&beside).with_context(context)?;
        if let Ok(existing) = fs::metadata(to) {
            // Anyone who could not read the replaced file must not be able to read this one.
            file.set_permissions(existing.permissions()).with_context(context)?;
        }
        let unfinished = Unfinished::new(&beside);
        Ok(Self { file, beside, to: to.to_owned(), _unfinished: unfinished })
    }

    /// Moves the file to its final path.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        let context = || format!("cannot write '{}'", self.to.display());
        // Otherwise, after a loss of power, the name may exist without the contents.
        self.file.sync_all().with_context(context)?;
        fs::rename(&self.beside, &self.to).with_context(context)?;
        // A journal that is removed or written next must not get to disk without it.
        sync_folder(self.to.parent().unwrap_or(Path::new("")));
        Ok(())
    }
}

impl Write for Replacement {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
