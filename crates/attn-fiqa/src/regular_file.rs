//! Opens an untrusted path for reading if it is a regular file, and never waits for anything else.
//!
//! Opening a pipe waits for its other end, reading a device may never end, and what is at a path
//! can change between checking and opening it. The file is therefore opened without waiting, and
//! the check is done on its handle, which cannot change any more.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// Why no regular file could be opened.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// The operating system refused; the kind tells whether nothing exists at the path.
    Io(io::Error),
    /// The path is a folder.
    Folder,
    /// The path is a pipe, a socket or a device.
    Special,
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Why a file could not be read into memory.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// It could not be opened.
    Open(OpenError),
    /// It has more bytes than allowed: this many, or at least this many.
    TooLong(u64),
    /// There is not enough memory for this many bytes.
    NoMemory(u64),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Open(OpenError::Io(error))
    }
}

/// Opens the regular file at `path`, following links, and returns it with the metadata of the
/// opened file.
pub(crate) fn open_regular_file(path: &Path) -> Result<(File, Metadata), OpenError> {
    // Merely opening a device can activate it, so the type is checked first. This check is not
    // decisive: a moment later, the path may be something else.
    check(&fs::metadata(path)?)?;
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // A pipe without a writer is opened at once, and a terminal does not become the controlling
        // terminal of this process. Neither flag affects a regular file.
        options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    }
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    check(&metadata)?;
    Ok((file, metadata))
}

/// The bytes of the regular file at `path`, at most `limit` of them.
///
/// Memory is requested only after the length was compared with the limit; a failed allocation is an
/// error.
pub(crate) fn read_regular_file(path: &Path, limit: u64) -> Result<Vec<u8>, ReadError> {
    let (file, metadata) = open_regular_file(path).map_err(ReadError::Open)?;
    let length = metadata.len();
    if length > limit {
        return Err(ReadError::TooLong(length));
    }
    let mut bytes = Vec::new();
    let reserved = usize::try_from(length).is_ok_and(|len| bytes.try_reserve_exact(len).is_ok());
    if !reserved {
        return Err(ReadError::NoMemory(length));
    }
    // The file may be growing.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    let length = bytes.len() as u64;
    if length > limit { Err(ReadError::TooLong(length)) } else { Ok(bytes) }
}

fn check(found: &Metadata) -> Result<(), OpenError> {
    if found.is_dir() {
        return Err(OpenError::Folder);
    }
    if found.is_file() { Ok(()) } else { Err(OpenError::Special) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_size_limit_is_enforced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, b"four").unwrap();
        assert_eq!(read_regular_file(&path, 4).unwrap(), b"four");
        assert!(matches!(read_regular_file(&path, 3), Err(ReadError::TooLong(4))));
        let (_, metadata) = open_regular_file(&path).unwrap();
        assert_eq!(metadata.len(), 4);
    }

    #[test]
    fn non_regular_files_are_rejected_by_kind() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(open_regular_file(folder.path()), Err(OpenError::Folder)));
        let absent = open_regular_file(&folder.path().join("absent"));
        assert!(matches!(absent, Err(OpenError::Io(e)) if e.kind() == io::ErrorKind::NotFound));
        #[cfg(unix)]
        assert!(matches!(open_regular_file("/dev/zero".as_ref()), Err(OpenError::Special)));
    }

    /// A path that alternates between a file and a pipe must never block the reader: the pipe may
    /// appear between the first check and the opening.
    #[cfg(unix)]
    #[test]
    fn opening_never_blocks_on_a_swapped_in_pipe() {
        use std::process::Command;
        use std::sync::atomic::{AtomicBool, Ordering};

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("turns");
        let [file, pipe] = ["file", "pipe"].map(|name| folder.path().join(name));
        fs::write(&file, b"bytes").unwrap();
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        fs::hard_link(&file, &path).unwrap();
        let done = AtomicBool::new(false);
        let (opened, special) = std::thread::scope(|scope| {
            scope.spawn(|| {
                let next = folder.path().join("next");
                for kind in [&pipe, &file].into_iter().cycle() {
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                    fs::hard_link(kind, &next).unwrap();
                    fs::rename(&next, &path).unwrap();
                    // Renaming one link of a file to another link of the same file leaves both.
                    let _ = fs::remove_file(&next);
                }
            });
            let mut seen = (0, 0);
            for _ in 0..20_000 {
                match open_regular_file(&path) {
                    Ok((mut file, _)) => {
                        let mut bytes = Vec::new();
                        file.read_to_end(&mut bytes).unwrap();
                        assert_eq!(bytes, b"bytes");
                        seen.0 += 1;
                    }
                    Err(OpenError::Special) => seen.1 += 1,
                    Err(other) => panic!("{other:?}"),
                }
            }
            done.store(true, Ordering::Relaxed);
            seen
        });
        assert!(opened > 0 && special > 0, "{opened} files, {special} pipes");
    }
}
