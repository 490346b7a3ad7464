//! Output destinations: standard output, a pipe or a device, a file that appears only when it is
//! complete, or the log of a run that can be continued later.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::NamedTempFile;

use super::stdout::{StandardOutput, mark_closed, stdout};
use crate::interrupt::{Unfinished, partial_path};
use crate::journal::{DoneImage, Fingerprint, RunLog, RunPaths, Shard};

/// How the output of a run is kept, so that a killed run can be continued.
#[derive(Debug, Clone)]
pub(crate) struct RunPlan {
    pub(crate) fingerprint: Fingerprint,
    /// Whether existing output may be replaced.
    pub(crate) overwrite: bool,
    pub(crate) shard: Option<Shard>,
    /// Rows per data set file.
    pub(crate) rows_per_file: Option<NonZeroU64>,
}

/// Default number of rows per data set file.
pub(crate) const DEFAULT_ROWS_PER_FILE: NonZeroU64 = NonZeroU64::new(100_000).unwrap();

/// Whether an output is a folder for a data set: an existing folder, or a path ending in `/`.
pub(crate) fn is_folder(output: &Path) -> bool {
    let ends_with_separator = output
        .as_os_str()
        .as_encoded_bytes()
        .last()
        .is_some_and(|&byte| byte == b'/' || (cfg!(windows) && byte == b'\\'));
    !is_stdout(output) && (ends_with_separator || output.is_dir())
}

/// Where bytes go.
pub(crate) enum Destination {
    /// Every row is flushed immediately, so that a reader downstream need not wait.
    Stdout(StandardOutput),
    File(NewFile),
    Log {
        log: Box<RunLog>,
        /// For `merge`.
        keep_journal: bool,
    },
}

impl Destination {
    pub(crate) fn open(output: Option<&Path>) -> anyhow::Result<Self> {
        match output.filter(|path| !is_stdout(path)) {
            None => Ok(Self::Stdout(stdout())),
            Some(path) => Ok(Self::File(NewFile::create(path)?)),
        }
    }

    /// The same for rows that a later run can continue, if they are written to a file.
    pub(crate) fn open_run(output: Option<&Path>, plan: &RunPlan) -> anyhow::Result<Self> {
        match output.map(open_log).transpose()?.flatten() {
            None => Self::open(output),
            Some(place) => {
                let log = RunLog::open(place, &plan.fingerprint, plan.overwrite)?;
                Ok(Self::Log { log: Box::new(log), keep_journal: plan.shard.is_some() })
            }
        }
    }

    /// Whether it holds rows of an earlier run, with their heading.
    pub(crate) fn has_heading(&self) -> bool {
        matches!(self, Self::Log { log, .. } if log.has_heading())
    }

    /// Marks what was written as the heading.
    pub(crate) fn end_heading(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Log { log, .. } => log.end_heading(),
            Self::Stdout(_) | Self::File(_) => Ok(()),
        }
    }

    /// Marks what was written since as the rows of this image.
    pub(crate) fn end_image(&mut self, image: &DoneImage) -> anyhow::Result<()> {
        match self {
            Self::Log { log, .. } => log.end_image(image),
            Self::Stdout(_) | Self::File(_) => Ok(()),
        }
    }

    pub(crate) fn log(&mut self) -> Option<&mut RunLog> {
        match self {
            Self::Log { log, .. } => Some(log),
            Self::Stdout(_) | Self::File(_) => None,
        }
    }

    /// Completes the output of a run over `images` images, or `None` if it was interrupted.
    pub(crate) fn finish_run(self, images: Option<u64>) -> anyhow::Result<()> {
        match (self, images) {
            (Self::Log { log, .. }, None) => log.leave(),
            (Self::Log { mut log, keep_journal }, Some(images)) => {
                log.end(images)?;
                log.complete(keep_journal)
            }
            (destination, _) => destination.finish(),
        }
    }

    /// Makes everything written so far visible on standard output.
    pub(crate) fn end_row(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::File(_) | Self::Log { .. } => Ok(()),
        }
    }

    pub(crate) fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Stdout(mut stdout) => Ok(stdout.flush()?),
            Self::File(file) => file.finish_run(),
            Self::Log { log, .. } => log.leave(),
        }
    }
}

impl Write for Destination {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(stdout) => stdout.write(bytes),
            Self::File(file) => file.write(bytes),
            Self::Log { log, .. } => log.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::File(file) => file.flush(),
            Self::Log { .. } => Ok(()),
        }
    }
}

/// A file written next to its final path and moved there when it is complete: nobody ever reads a
/// half-written file, and a failed run leaves nothing behind.
///
/// A path that is not a regular file (standard output, another open descriptor, a pipe, a device)
/// is written to directly and never replaced.
pub(crate) struct NewFile {
    to: NewFileTarget,
    path: PathBuf,
    /// Removes the file if the program is terminated.
    _unfinished: Option<Unfinished>,
}

enum NewFileTarget {
    Beside(BufWriter<NamedTempFile>),
    InPlace(File),
}

impl NewFile {
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let in_place = in_place(path);
        if let Some(file) =
            in_place.with_context(|| format!("cannot write '{}'", path.display()))?
        {
            return Ok(Self {
                to: NewFileTarget::InPlace(file),
                path: path.to_owned(),
                _unfinished: None,
            });
        }
        let (path, folder) = (&file_to_make(path)?, folder_of(path));
        let mut builder = tempfile::Builder::new();
        builder.prefix(".attn-fiqa-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // The process umask still applies, as for any new file.
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        let file = builder
            .tempfile_in(&folder)
            .with_context(|| format!("cannot write into the folder '{}'", folder.display()))?;
        if let Ok(existing) = fs::metadata(path) {
            // Anyone who could not read the replaced file must not be able to read this one.
            fs::set_permissions(file.path(), existing.permissions())
                .with_context(|| format!("cannot write '{}'", path.display()))?;
        }
        let unfinished = Some(Unfinished::new(file.path()));
        let to = NewFileTarget::Beside(BufWriter::new(file));
        Ok(Self { to, path: path.to_owned(), _unfinished: unfinished })
    }

    /// Completes the output of a whole run; the file gets another name if the run was interrupted.
    pub(crate) fn finish_run(mut self) -> anyhow::Result<()> {
        if matches!(self.to, NewFileTarget::Beside(_)) {
            self.path = partial_path(self.path);
        }
        self.finish()
    }

    pub(crate) fn finish(self) -> anyhow::Result<()> {
        let path = self.path;
        let context = || format!("cannot write '{}'", path.display());
        let file = match self.to {
            NewFileTarget::InPlace(mut file) => {
                return file.flush().map_err(mark_closed).with_context(context);
            }
            NewFileTarget::Beside(file) => {
                file.into_inner().map_err(io::IntoInnerError::into_error)
            }
        };
        let file = file.with_context(context)?;
        // Otherwise, after a loss of power, the name may exist without the contents.
        file.as_file().sync_all().with_context(context)?;
        file.persist(&path).map_err(|e| e.error).with_context(context)?;
        Ok(())
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.to {
            NewFileTarget::Beside(file) => file.write(bytes),
            NewFileTarget::InPlace(file) => file.write(bytes).map_err(mark_closed),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.to {
            NewFileTarget::Beside(file) => file.flush(),
            NewFileTarget::InPlace(file) => file.flush().map_err(mark_closed),
        }
    }
}

/// Where a run that writes to a file at `path` keeps its rows; `None` if `path` is not a regular
/// file.
fn open_log(path: &Path) -> anyhow::Result<Option<RunPaths>> {
    let found = fs::metadata(path);
    let in_place = is_stdout(path)
        || descriptor(path).is_some()
        || found.is_ok_and(|found| !found.is_file() && !found.is_dir());
    if in_place {
        return Ok(None);
    }
    Ok(Some(RunPaths::beside(&file_to_make(path)?)))
}

/// The file that is created or replaced at a path.
fn file_to_make(path: &Path) -> anyhow::Result<PathBuf> {
    if is_folder(path) {
        anyhow::bail!("cannot write '{}': it is a folder", path.display());
    }
    let path = resolve_links(path)?;
    if !folder_of(&path).is_dir() {
        anyhow::bail!("cannot write '{}': there is no such folder", path.display());
    }
    Ok(path)
}

/// Whether a path means standard output: `-`, or a name of its descriptor.
pub(crate) fn is_stdout(path: &Path) -> bool {
    path == Path::new("-") || descriptor(path) == Some(1)
}

/// The number of the open descriptor that a path names, such as `/dev/stdout` or `/dev/fd/3`.
fn descriptor(path: &Path) -> Option<u32> {
    if !cfg!(unix) {
        return None;
    }
    let own = PathBuf::from(format!("/proc/{}/fd", std::process::id()));
    let folders = [Path::new("/dev/fd"), Path::new("/proc/self/fd"), &own];
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let parent = path.parent()?;
        if folders.contains(&parent) {
            return path.file_name()?.to_str()?.parse().ok();
        }
        // The link from the descriptor to its file is never followed.
        let target = fs::read_link(&path).ok()?;
        path = parent.join(target);
    }
    None
}

/// A destination that is written to directly: standard output, or anything that exists and is not a
/// file. `None` if a file is to be created or replaced.
fn in_place(path: &Path) -> io::Result<Option<File>> {
    if is_stdout(path) {
        return standard_output().map(Some);
    }
    if descriptor(path).is_some() {
        // Opening a descriptor by name starts at the beginning of its file, and existing contents
        // must stay.
        return File::options().append(true).open(path).map(Some);
    }
    match fs::metadata(path) {
        Ok(found) if !found.is_file() && !found.is_dir() => {
            File::options().write(true).open(path).map(Some)
        }
        _ => Ok(None),
    }
}

#[cfg(unix)]
fn standard_output() -> io::Result<File> {
    use std::os::fd::AsFd;
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}

#[cfg(windows)]
fn standard_output() -> io::Result<File> {
    use std::os::windows::io::AsHandle;
    Ok(io::stdout().as_handle().try_clone_to_owned()?.into())
}

/// The limit on Linux.
const MAX_LINKS: usize = 40;

/// The file that a path leads to, whether or not it exists: the file is replaced, not a link to it.
fn resolve_links(path: &Path) -> anyhow::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            // Not a link, or nothing there.
            Err(_) => return Ok(path),
        }
    }
    anyhow::bail!("cannot write '{}': it is part of a symlink loop", path.display())
}

/// The folder that a file is or would be in, with links followed.
pub(crate) fn folder_of(path: &Path) -> PathBuf {
    let path = resolve_links(path).unwrap_or_else(|_| path.to_owned());
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Whether two paths name the same existing file.
pub(crate) fn same_file(a: &Path, b: &Path) -> bool {
    matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}

/// An absolute path, with links followed as far as it exists.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    if let Ok(found) = fs::canonicalize(path) {
        return found;
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) if !parent.as_os_str().is_empty() => absolute(parent).join(name),
        _ => std::env::current_dir().unwrap_or_default().join(path),
    }
}
