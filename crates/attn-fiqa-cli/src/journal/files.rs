//! Files that rows refer to, such as crops: a journal vouches for them only once they are on disk.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::output::write_file;

/// The files that a run writes into one folder.
#[derive(Debug, Clone)]
pub(crate) struct RunFiles {
    folder: PathBuf,
    #[cfg(not(target_os = "linux"))]
    written: std::sync::Arc<std::sync::Mutex<Vec<PathBuf>>>,
}

impl RunFiles {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            #[cfg(not(target_os = "linux"))]
            written: std::sync::Arc::default(),
        }
    }

    /// Writes a whole file, creating its parent folders.
    pub(crate) fn write(&self, path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
        write_file(path, bytes)?;
        self.wrote(path).with_context(|| format!("cannot write '{}'", path.display()))
    }
}

/// Linux can sync a whole file system at once: 1,000 files of 20 kB took 0.3 s, against 32 s one by
/// one (ext4, on a machine that was busy with other work).
#[cfg(target_os = "linux")]
impl RunFiles {
    /// Records that a file was written.
    pub(crate) fn wrote(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    /// Flushes all files written so far, and their names, to disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(File::open(&self.folder)?)?)
    }
}

#[cfg(not(target_os = "linux"))]
impl RunFiles {
    /// Records that a file was written.
    pub(crate) fn wrote(&self, file: &Path) -> io::Result<()> {
        /// Keeps the list small in a run without a journal.
        const MOST: usize = 1024;
        let mut written = self.written();
        written.push(file.to_owned());
        let full = written.len() >= MOST;
        drop(written);
        if full { self.sync() } else { Ok(()) }
    }

    /// Flushes all files written so far, and their names, to disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        let written = std::mem::take(&mut *self.written());
        sync_each(&self.folder, &written)
    }

    fn written(&self) -> std::sync::MutexGuard<'_, Vec<PathBuf>> {
        self.written.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(any(test, not(target_os = "linux")))]
fn sync_each(folder: &Path, files: &[PathBuf]) -> io::Result<()> {
    let mut folders = std::collections::BTreeSet::new();
    for file in files {
        // Windows flushes only files that are open for writing.
        File::options().write(true).open(file)?.sync_all()?;
        let above = file.ancestors().skip(1);
        folders.extend(above.take_while(|above| above.starts_with(folder)));
    }
    folders.into_iter().for_each(sync_folder);
    Ok(())
}

/// A new name is on disk only once its folder is. A failure here is harmless unless power is lost.
pub(crate) fn sync_folder(folder: &Path) {
    if cfg!(unix) {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
}

/// Identifies the current boot of the machine: whatever was written during the same boot is still
/// there, flushed to disk or not. `None` if the boot is unknown.
pub(super) fn boot() -> Option<u32> {
    let id = std::fs::read("/proc/sys/kernel/random/boot_id").ok()?;
    Some(crc32fast::hash(&id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sync_fails_if_files_are_missing() {
        let folder = tempfile::tempdir().expect("a folder");
        let inner = folder.path().join("a/b");
        std::fs::create_dir_all(&inner).expect("folders");
        let file = inner.join("c.png");
        std::fs::write(&file, "c").expect("a file");
        let files = RunFiles::new(folder.path());
        files.wrote(&file).expect("noted");
        files.sync().expect("synced");
        sync_each(folder.path(), &[file]).expect("synced");
        assert!(sync_each(folder.path(), &[inner.join("gone.png")]).is_err());
        std::fs::remove_dir_all(folder.path()).expect("removed");
        assert!(!cfg!(target_os = "linux") || files.sync().is_err(), "the folder is gone");
    }
}
