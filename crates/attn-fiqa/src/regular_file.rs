//! Opens an untrusted path for reading if a regular file lies there, and never waits for
//! anything else.
//!
//! Opening a pipe waits for its other end, reading a device may never end, and what lies
//! at a path can change between a look at it and the opening. So the file is opened
//! without waiting, and the handle, which cannot change any more, decides.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// Why no regular file could be opened.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// The operating system refused; the kind says whether nothing lies at the path.
    Io(io::Error),
    /// A folder lies there.
    Folder,
    /// A pipe, a socket or a device lies there.
    Special,
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Why a file's bytes are not in memory.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// It could not be opened.
    Open(OpenError),
    /// It holds more bytes than allowed; how many it has, or at least has.
    TooLong(u64),
    /// There is no memory for that many bytes.
    NoMemory(u64),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Open(OpenError::Io(error))
    }
}

/// Opens the regular file at `path`, following links, and returns what the system says of
/// the file that was opened.
pub(crate) fn open_regular_file(path: &Path) -> Result<(File, Metadata), OpenError> {
    // Merely opening a device can set it in motion, so its type is checked first. This look
    // decides nothing: what is there a moment later may be something else.
    check(&fs::metadata(path)?)?;
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // A pipe without a writer is opened at once, and a terminal does not become this
        // process's own. Neither flag does anything to a regular file.
        options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    }
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    check(&metadata)?;
    Ok((file, metadata))
}

/// The bytes of the regular file at `path`, at most `limit` of them.
///
/// Memory is asked for only after the length was compared with the limit, and a refusal
/// of it is an error.
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
    fn a_file_is_read_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, b"four").unwrap();
        assert_eq!(read_regular_file(&path, 4).unwrap(), b"four");
        assert!(matches!(read_regular_file(&path, 3), Err(ReadError::TooLong(4))));
        let (_, metadata) = open_regular_file(&path).unwrap();
        assert_eq!(metadata.len(), 4);
    }

    #[test]
    fn what_is_no_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(open_regular_file(folder.path()), Err(OpenError::Folder)));
        let absent = open_regular_file(&folder.path().join("absent"));
        assert!(matches!(absent, Err(OpenError::Io(e)) if e.kind() == io::ErrorKind::NotFound));
        #[cfg(unix)]
        assert!(matches!(open_regular_file("/dev/zero".as_ref()), Err(OpenError::Special)));
    }

    /// A path at which a file and a pipe take turns must never hold the reader up: between
    /// the first look and the opening the pipe may come.
    #[cfg(unix)]
    #[test]
    fn a_pipe_that_takes_the_place_of_a_file_is_not_waited_for() {
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
                    // Renaming one link of a file onto another of the same leaves both.
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
