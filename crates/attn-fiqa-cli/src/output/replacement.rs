//! A whole file in place of another, under the lock of a run.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::interrupt::Unfinished;
use crate::journal::sync_folder;

/// A file that is written beside its place under a name of its own, so that a run that is killed
/// leaves no nameless file behind: the next one writes it again.
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
            // Whoever could not read the file that is replaced shall not read this one.
            file.set_permissions(existing.permissions()).with_context(context)?;
        }
        let unfinished = Unfinished::new(&beside);
        Ok(Self { file, beside, to: to.to_owned(), _unfinished: unfinished })
    }

    /// Puts it in its place.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        let context = || format!("cannot write '{}'", self.to.display());
        // Else, after a loss of power, the name may be there and the bytes not.
        self.file.sync_all().with_context(context)?;
        fs::rename(&self.beside, &self.to).with_context(context)?;
        // A journal that is removed or written next must not be there without it.
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
