//! Identifies files by content, with SHA-256.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::StudyError;

/// The files' names, and one hash over their bytes; folders count only by name.
pub(super) fn hash_files<'f>(
    files: impl Iterator<Item = &'f PathBuf>,
) -> Result<(String, String), StudyError> {
    let mut hash = Sha256::new();
    let mut names = Vec::new();
    for path in files {
        names.push(path.display().to_string());
        if path.is_dir() {
            hash.update(path.as_os_str().as_encoded_bytes());
            continue;
        }
        let mut file = File::open(path).map_err(StudyError::io(path, "cannot be read"))?;
        let mut part = vec![0; 1 << 16];
        loop {
            match file.read(&mut part).map_err(StudyError::io(path, "cannot be read"))? {
                0 => break,
                length => hash.update(&part[..length]),
            }
        }
    }
    Ok((names.join(", "), hex(&hash.finalize())))
}

/// A hash in hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
