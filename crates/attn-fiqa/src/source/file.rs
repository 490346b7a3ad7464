//! Reading one image file's bytes.

use std::fs;
use std::io::{BufRead, ErrorKind, Read};
use std::path::Path;

use crate::decode::{self, too_many_bytes};
use crate::regular_file::{OpenError, ReadError, open_regular_file, read_regular_file};
use crate::status::{Failure, Status};

fn unreadable(message: impl Into<String>) -> Failure {
    Failure::new(Status::Unreadable, message)
}

/// The failure for a path at which no regular file could be opened.
pub(super) fn not_opened(path: &Path, error: OpenError) -> Failure {
    match error {
        OpenError::Folder => unreadable("this is a folder, but a file was expected"),
        OpenError::Special => {
            unreadable("this is a pipe, socket or device, but a regular file was expected")
        }
        OpenError::Io(error) => match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => {
                let dangling = fs::symlink_metadata(path).is_ok();
                let message = if dangling {
                    "this is a link to a file that does not exist"
                } else {
                    "no such file"
                };
                Failure::new(Status::NotFound, message)
            }
            _ => unreadable(format!("the file cannot be read: {error}")),
        },
    }
}

/// A file's bytes, at most `max_bytes`. Only regular files are read: a pipe or a device may never
/// end.
pub(super) fn read(path: &Path, max_bytes: u64) -> Result<Vec<u8>, Failure> {
    read_regular_file(path, max_bytes).map_err(|error| match error {
        ReadError::Open(error) => not_opened(path, error),
        ReadError::TooLong(length) => too_many_bytes(length, max_bytes),
        ReadError::NoMemory(length) => Failure::new(
            Status::TooLarge,
            format!("the file's {length} bytes do not fit in memory"),
        ),
    })
}

/// Whether a regular file is an image by its first bytes; `false` if it cannot be read.
pub(super) fn starts_as_image(path: &Path) -> bool {
    decode::starts_as_image(&head(path))
}

/// The first bytes of a regular file, as far as they can be read.
pub(super) fn head(path: &Path) -> Vec<u8> {
    let mut head = Vec::new();
    if let Ok((file, _)) = open_regular_file(path) {
        // Bytes read before an error are used.
        let _ = file.take(decode::HEAD as u64).read_to_end(&mut head);
    }
    head
}

/// Peeks at the next bytes of an archive; empty at its end.
///
/// # Errors
///
/// If it cannot be read at all, as opposed to being damaged.
pub(super) fn peek(archive: &mut impl BufRead) -> Result<&[u8], Failure> {
    archive.fill_buf().map_err(|error| {
        let status = match error.kind() {
            ErrorKind::NotFound => Status::NotFound,
            _ => Status::Unreadable,
        };
        Failure::new(status, format!("the archive cannot be read: {error}"))
    })
}
