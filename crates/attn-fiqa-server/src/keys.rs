//! The keys that a service may require.

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// The header that carries a key.
pub(crate) const HEADER: &str = "x-api-key";

/// Maximum size of a key file, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Keys as stored by a service: their SHA-256 only.
#[derive(Clone)]
pub struct ApiKeys(Vec<[u8; 32]>);

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiKeysError {
    /// The file cannot be read.
    #[error("{file}: the keys cannot be read")]
    Io {
        /// The file.
        file: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The file is far larger than a list of keys.
    #[error("{file}: expected one key per line, at most 1 MiB, and found more")]
    TooLarge {
        /// The file.
        file: PathBuf,
    },
    /// A key that no header can carry, or that is too easy to guess.
    #[error(
        "{file}:{line}: expected a key of at least 16 visible ASCII characters: write one key per \
         line, such as the output of `openssl rand -hex 32`"
    )]
    BadKey {
        /// The file.
        file: PathBuf,
        /// The line number, from 1.
        line: usize,
    },
    /// The file has no key, so nobody could use the service.
    #[error("{file}: expected one key per line and found none")]
    Empty {
        /// The file.
        file: PathBuf,
    },
}

impl ApiKeys {
    /// Reads a file with one key per line. Empty lines and those that begin with `#` are skipped.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or contains no key or a bad one.
    pub fn open(file: &Path) -> Result<Self, ApiKeysError> {
        let io = |source| ApiKeysError::Io { file: file.to_owned(), source };
        let mut bytes = Vec::new();
        // The length of a device or a pipe is not known in advance.
        let mut start = File::open(file).map_err(io)?.take(MAX_FILE + 1);
        start.read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(ApiKeysError::TooLarge { file: file.to_owned() });
        }
        let no_text = |error| io(std::io::Error::new(ErrorKind::InvalidData, error));
        let text = String::from_utf8(bytes).map_err(no_text)?;
        let mut keys = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let key = line.trim();
            if key.is_empty() || key.starts_with('#') {
                continue;
            }
            if key.len() < 16 || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(ApiKeysError::BadKey { file: file.to_owned(), line: index + 1 });
            }
            keys.push(Sha256::digest(key).into());
        }
        if keys.is_empty() {
            return Err(ApiKeysError::Empty { file: file.to_owned() });
        }
        Ok(Self(keys))
    }

    /// Whether this is one of the keys. Takes the same time whether and where the key differs, and
    /// whichever key it matches.
    pub(crate) fn accepts(&self, key: &[u8]) -> bool {
        let digest: [u8; 32] = Sha256::digest(key).into();
        let found = self.0.iter().map(|known| known.ct_eq(&digest));
        found.fold(Choice::from(0), |any, one| any | one).into()
    }
}

/// Does not show any key.
impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeys({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_files_are_parsed_and_validated() {
        let folder = std::env::temp_dir().join(format!("attn-fiqa-keys-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let file = folder.join("keys");
        let open = |text: &str| {
            std::fs::write(&file, text).expect("a file");
            ApiKeys::open(&file)
        };
        let keys = open("# staging\n0123456789abcdef\n\n  fedcba9876543210 \n").expect("keys");
        assert!(keys.accepts(b"0123456789abcdef") && keys.accepts(b"fedcba9876543210"));
        for wrong in ["", "0123456789abcde", "0123456789abcdeF", "# staging", "0123456789abcdef "] {
            assert!(!keys.accepts(wrong.as_bytes()), "{wrong}");
        }
        assert!(!format!("{keys:?}").contains("0123"));
        assert!(matches!(open("# none\n"), Err(ApiKeysError::Empty { .. })));
        assert!(matches!(open("a\n"), Err(ApiKeysError::BadKey { line: 1, .. })));
        assert!(matches!(open("\nsixteen letters ä"), Err(ApiKeysError::BadKey { line: 2, .. })));
        let long = "0123456789abcdef\n".repeat((MAX_FILE / 17) as usize + 1);
        assert!(matches!(open(&long), Err(ApiKeysError::TooLarge { .. })));
        #[cfg(unix)]
        {
            let endless = ApiKeys::open(Path::new("/dev/zero"));
            assert!(matches!(endless, Err(ApiKeysError::TooLarge { .. })));
        }
        std::fs::remove_dir_all(folder).expect("removed");
        assert!(matches!(ApiKeys::open(&file), Err(ApiKeysError::Io { .. })));
    }
}
