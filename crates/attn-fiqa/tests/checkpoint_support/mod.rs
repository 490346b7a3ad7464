//! Makes small checkpoints, good and hostile ones, without the library's help.

// Each test program uses another part of this.
#![allow(dead_code)]

pub(crate) mod hostile;
pub(crate) mod network;
pub(crate) mod pickle;
pub(crate) mod reading;
pub(crate) mod zip;

use std::path::PathBuf;

/// A file of the shared folder, or `None` with a note when it is not here.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let shared = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    if !shared.is_dir() {
        eprintln!("skipped: ../shared is not here");
        return None;
    }
    Some(shared.join(path))
}
