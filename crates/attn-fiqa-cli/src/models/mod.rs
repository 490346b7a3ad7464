//! Models by name: those known, those added by the user, and those in the cache.

mod entry;
mod for_study;
mod hub;
mod locate;
mod pins;
mod pull;
mod registry;

pub(crate) use entry::{Entry, EntryLocation};
pub(crate) use for_study::find_for_study;
pub(crate) use hub::Hub;
pub(crate) use locate::{BUILT_IN, BUILT_IN_LICENCE, Located, locate};
pub(crate) use pull::{Accepted, pull};
pub(crate) use registry::{Registry, folder as registry_folder};

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::Context;
use sha2::{Digest, Sha256};

/// The SHA-256 of a file, in lower-case hexadecimal.
pub(crate) fn sha256_of(path: &Path) -> anyhow::Result<String> {
    let hash = || -> io::Result<String> {
        let mut file = File::open(path)?;
        let mut hash = Sha256::new();
        let mut part = vec![0; 1 << 20];
        loop {
            match file.read(&mut part)? {
                0 => break,
                read => hash.update(&part[..read]),
            }
        }
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    };
    hash().with_context(|| format!("cannot read '{}'", path.display()))
}
