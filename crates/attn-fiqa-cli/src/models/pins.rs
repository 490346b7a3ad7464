//! Records the first download of a file, so that a later one cannot be a different file.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::registry::{read_limited, write_atomic};

const HEADER: &str = "# Written by `attn-fiqa model pull`: the SHA-256 of each file at its first \
                      download, and the\n# licence accepted then. Remove an entry to trust a \
                      file anew.\n\n";

/// One file on the hub.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pin {
    pub(crate) repo: String,
    pub(crate) file: String,
    pub(crate) sha256: String,
    /// The licence as shown when it was accepted; empty if none was.
    #[serde(default)]
    pub(crate) licence: String,
}

/// The pins that belong to one cache.
#[derive(Debug)]
pub(crate) struct Pins {
    path: PathBuf,
    pins: Vec<Pin>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    pin: Vec<Pin>,
}

impl Pins {
    pub(crate) fn open(path: PathBuf) -> anyhow::Result<Self> {
        let pins = match read_limited(&path)? {
            Some(text) => {
                let file: File = toml::from_str(&text)
                    .map_err(|error| anyhow::anyhow!("'{}': {error}", path.display()))?;
                file.pin
            }
            None => Vec::new(),
        };
        Ok(Self { path, pins })
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        &self.path
    }

    pub(crate) fn find(&self, repo: &str, file: &str) -> Option<&Pin> {
        self.pins.iter().find(|pin| pin.repo == repo && pin.file == file)
    }

    /// Stores a pin, replacing an earlier one, and writes the file.
    pub(crate) fn put(&mut self, pin: Pin) -> anyhow::Result<()> {
        self.pins.retain(|other| (&other.repo, &other.file) != (&pin.repo, &pin.file));
        self.pins.push(pin);
        let file = File { pin: self.pins.clone() };
        write_atomic(&self.path, &format!("{HEADER}{}", toml::to_string(&file)?))
    }
}
