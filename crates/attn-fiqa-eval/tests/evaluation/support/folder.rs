//! A folder of synthetic files.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A temporary folder.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().expect("a temporary folder"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a new folder");
        std::fs::write(&path, bytes).expect("a new file");
        path
    }

    /// The text of an error, without the temporary folder's path.
    pub(crate) fn said(&self, error: &dyn std::fmt::Display) -> String {
        error.to_string().replace(&format!("{}/", self.path().display()), "")
    }
}

/// A `.npy` file with an arbitrary header.
pub(crate) fn npy_with_header(header: &str, numbers: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(numbers);
    bytes
}
