//! Reading one image file's bytes.

use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Read};
use std::path::Path;

use crate::decode::too_many_bytes;
use crate::status::{Failure, Status};

fn unreadable(message: impl Into<String>) -> Failure {
    Failure::new(Status::Unreadable, message)
}

/// Only regular files are read: a pipe or a device may never end.
fn check(found: &Metadata, max_bytes: u64) -> Result<(), Failure> {
    if found.is_dir() {
        return Err(unreadable("this is a folder, and a file was expected"));
    }
    if !found.is_file() {
        return Err(unreadable(
            "this is a pipe, socket or device, and a regular file was expected",
        ));
    }
    if found.len() > max_bytes {
        return Err(too_many_bytes(found.len(), max_bytes));
    }
    Ok(())
}

fn failure(path: &Path, error: &std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            let dangling = fs::symlink_metadata(path).is_ok();
            Failure::new(
                Status::NotFound,
                if dangling {
                    "this is a link to a file that does not exist"
                } else {
                    "no such file"
                },
            )
        }
        _ => unreadable(format!("the file cannot be read: {error}")),
    }
}

/// A file's bytes, at most `max_bytes`.
pub(super) fn read(path: &Path, max_bytes: u64) -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| failure(path, &error);
    // Before opening, because opening a pipe waits for its other end.
    check(&fs::metadata(path).map_err(failed)?, max_bytes)?;
    let file = File::open(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    check(&found, max_bytes)?;
    let mut bytes = Vec::new();
    usize::try_from(found.len())
        .ok()
        .and_then(|length| bytes.try_reserve_exact(length).ok())
        .ok_or_else(|| {
            Failure::new(
                Status::TooLarge,
                format!("the file's {} bytes do not fit in memory", found.len()),
            )
        })?;
    // The file may have grown since it was measured.
    file.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    let length = bytes.len() as u64;
    if length > max_bytes {
        return Err(too_many_bytes(length, max_bytes));
    }
    Ok(bytes)
}
