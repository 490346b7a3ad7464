//! Standard output, or a file that appears only when it is complete.

use std::fs::{self, File};
use std::io::{self, BufWriter, Stdout, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::NamedTempFile;

/// Where bytes go.
pub(crate) enum Destination {
    /// Every row is sent at once, so that a reader downstream need not wait.
    Stdout(Stdout),
    File(NewFile),
    /// A pipe or a device that was there before: it is written to, not replaced.
    Special(File),
}

impl Destination {
    pub(crate) fn open(output: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = output else { return Ok(Self::Stdout(io::stdout())) };
        match fs::metadata(path) {
            Ok(found) if !found.is_file() && !found.is_dir() => {
                let file = File::options().write(true).open(path);
                Ok(Self::Special(
                    file.with_context(|| format!("cannot write '{}'", path.display()))?,
                ))
            }
            _ => Ok(Self::File(NewFile::create(path)?)),
        }
    }

    /// Makes everything written so far visible on standard output.
    pub(crate) fn end_row(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::File(_) | Self::Special(_) => Ok(()),
        }
    }

    pub(crate) fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Stdout(mut stdout) => Ok(stdout.flush()?),
            Self::File(file) => file.finish(),
            Self::Special(mut file) => Ok(file.flush()?),
        }
    }
}

impl Write for Destination {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(stdout) => stdout.write(bytes),
            Self::File(file) => file.write(bytes),
            Self::Special(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::File(file) => file.flush(),
            Self::Special(file) => file.flush(),
        }
    }
}

/// A file written beside its place and moved there when it is complete: nobody
/// ever reads half of it, and a failed run leaves nothing behind.
pub(crate) struct NewFile {
    file: BufWriter<NamedTempFile>,
    path: PathBuf,
}

impl NewFile {
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        if path.is_dir() {
            anyhow::bail!("cannot write '{}': it is a folder", path.display());
        }
        let path = &behind_links(path)?;
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        if !folder.is_dir() {
            anyhow::bail!("cannot write '{}': there is no such folder", path.display());
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix(".attn-fiqa-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // The process's own mask still applies, as for any new file.
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        let file = builder
            .tempfile_in(folder)
            .with_context(|| format!("cannot write into the folder '{}'", folder.display()))?;
        if let Ok(existing) = fs::metadata(path) {
            // Whoever could not read the file that is replaced shall not read this one.
            fs::set_permissions(file.path(), existing.permissions())
                .with_context(|| format!("cannot write '{}'", path.display()))?;
        }
        Ok(Self { file: BufWriter::new(file), path: path.to_owned() })
    }

    pub(crate) fn finish(self) -> anyhow::Result<()> {
        let path = self.path;
        let context = || format!("cannot write '{}'", path.display());
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error);
        let file = file.with_context(context)?;
        // Else, after a loss of power, the name may be there and the bytes not.
        file.as_file().sync_all().with_context(context)?;
        file.persist(&path).map_err(|e| e.error).with_context(context)?;
        Ok(())
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The file that a path leads to, there or not: it is replaced, and not a link to it.
fn behind_links(path: &Path) -> anyhow::Result<PathBuf> {
    /// As many as Linux follows.
    const MAX_LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            // No link, or nothing at all.
            Err(_) => return Ok(path),
        }
    }
    anyhow::bail!("cannot write '{}': it is one of a circle of links", path.display())
}

/// The folder that a file lies in or would lie in, its links followed.
pub(crate) fn folder_of(path: &Path) -> PathBuf {
    let path = behind_links(path).unwrap_or_else(|_| path.to_owned());
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Whether two paths are one existing file.
pub(crate) fn same_file(a: &Path, b: &Path) -> bool {
    matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}
