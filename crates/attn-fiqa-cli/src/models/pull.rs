//! Fetching a known model: licence, download, verification.

use std::io::{self, BufRead, IsTerminal};
use std::path::{Path, PathBuf};

use anyhow::bail;
use attn_fiqa::checkpoint::{Checkpoint, CheckpointOptions};
use hf_hub::api::Progress;

use super::entry::{Entry, EntryLocation};
use super::hub::Hub;
use super::pins::{Pin, Pins};
use super::sha256_of;
use crate::log;

/// Whether the licence was accepted on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// Accepted by an option.
    Yes,
    /// Not yet accepted: the user is asked on a terminal.
    Ask,
}

/// Where the expected SHA-256 comes from.
enum Expected {
    Registry(String),
    Pin(String),
    Nothing,
}

impl Expected {
    /// That of the registry, otherwise that of the first download.
    fn of(entry: &Entry, pin: &Pin) -> Self {
        match &entry.sha256 {
            Some(hash) => Self::Registry(hash.clone()),
            None if !pin.sha256.is_empty() => Self::Pin(pin.sha256.clone()),
            None => Self::Nothing,
        }
    }

    fn hash(&self) -> Option<&str> {
        match self {
            Self::Registry(hash) | Self::Pin(hash) => Some(hash),
            Self::Nothing => None,
        }
    }
}

/// Fetches a model into the cache, or verifies the one there; returns the path of the file.
pub(crate) fn pull(entry: &Entry, accepted: Accepted) -> anyhow::Result<PathBuf> {
    let name = &entry.name;
    let (repo, file) = match entry.entry_location() {
        EntryLocation::Hub { repo, file } => (repo, file),
        EntryLocation::Local(path) => {
            bail!("the model '{name}' is a file on this machine: '{}'", path.display())
        }
    };
    let hub = Hub::from_env()?;
    let mut pins = Pins::open(hub.pins_file())?;
    let pin = pins.find(repo, file).cloned().unwrap_or_default();
    let expected = Expected::of(entry, &pin);
    let source = Source { entry, repo, file, hub: &hub, pins: &pins, expected: &expected };
    let (path, found, licence) = match hub.cached(repo, file) {
        Some(path) => (path.clone(), source.verify_cached(&path)?, pin.licence.clone()),
        None if hub.is_offline() => bail!(
            "the model '{name}' is not in the cache, and HF_HUB_OFFLINE forbids fetching it; unset \
             it, or add a file with `attn-fiqa model add`"
        ),
        None => {
            let licence = entry.licence.clone().unwrap_or_default();
            if licence.is_empty() || pin.licence != licence {
                accept(entry, accepted)?;
            }
            let (path, found) = source.download()?;
            (path, found, licence)
        }
    };
    log::info(match &expected {
        Expected::Registry(_) => format!("SHA-256 {found}, as in the registry"),
        Expected::Pin(_) => format!("SHA-256 {found}, as at the first download"),
        Expected::Nothing => format!(
            "SHA-256 {found}: the registry has none, so this first download pins it in '{}'",
            pins.path().display()
        ),
    });
    let new = Pin { repo: repo.to_owned(), file: file.to_owned(), sha256: found, licence };
    if new != pin {
        pins.put(new)?;
    }
    let checkpoint = Checkpoint::open(&path, &entry.complete(CheckpointOptions::default()))?;
    let config = checkpoint.config();
    log::info(format!(
        "loads: {} blocks, {} heads, patch {}; use it with --model {name}",
        config.depth, config.num_heads, config.patch_size
    ));
    Ok(path)
}

/// Where a model comes from, and the hash that its file must have.
struct Source<'a> {
    entry: &'a Entry,
    repo: &'a str,
    file: &'a str,
    hub: &'a Hub,
    pins: &'a Pins,
    expected: &'a Expected,
}

impl Source<'_> {
    /// The hash of the cached file, if it is the expected one.
    fn verify_cached(&self, path: &Path) -> anyhow::Result<String> {
        let found = sha256_of(path)?;
        self.check(&found, || {
            format!("the file in the cache; remove it and pull again: '{}'", path.display())
        })?;
        log::info(format!("{} is already in the cache", self.entry.name));
        Ok(found)
    }

    /// Fetches the file or the rest of it; returns its path and hash. A wrong file is removed.
    fn download(&self) -> anyhow::Result<(PathBuf, String)> {
        let Self { repo, file, hub, .. } = *self;
        let announced = hub.announced(repo, file)?;
        if let Some(served) = &announced.sha256 {
            self.check(served, || {
                format!("the file that {} now has, which was not fetched", hub.endpoint())
            })?;
        }
        let resuming = match hub.partial_length(repo, &announced) {
            0 => String::new(),
            partial_length => format!(", resuming at {partial_length}"),
        };
        let (size, endpoint) = (announced.size, hub.endpoint());
        log::info(format!("fetching {size} bytes from {endpoint}/{repo}{resuming}"));
        let path = hub.fetch(repo, file, &announced, &bar)?;
        let found = sha256_of(&path)?;
        if let Some(hash) = announced.sha256.as_ref().filter(|hash| **hash != found) {
            Hub::discard(&path);
            bail!(
                "the download of '{file}' of '{repo}' has the SHA-256 {found}, not {hash}, which \
                 the hub announced: it was damaged in transit and was removed; pull again"
            );
        }
        let checked = self.check(&found, || format!("the file from {endpoint}, which was removed"));
        if checked.is_err() {
            Hub::discard(&path);
        }
        checked?;
        Ok((path, found))
    }

    /// Fails if a hash is not the expected one; `which` names its file.
    fn check(&self, found: &str, which: impl Fn() -> String) -> anyhow::Result<()> {
        match self.expected.hash() {
            Some(hash) if hash != found => {
                Err(mismatch(self.entry, self.expected, found, self.pins, &which()))
            }
            _ => Ok(()),
        }
    }
}

/// Shows the licence, and fails if it is not accepted, so that nothing is fetched before.
fn accept(entry: &Entry, accepted: Accepted) -> anyhow::Result<()> {
    log::ask(format!(
        "{}: {}",
        entry.name,
        entry.title.as_deref().unwrap_or("a third-party model")
    ));
    let repo = entry.repo.as_deref().unwrap_or_default();
    log::ask(format!("publisher: {repo} on the Hugging Face hub"));
    log::ask(format!("licence: {}", entry.licence.as_deref().unwrap_or("unknown")));
    if let Some(url) = &entry.licence_url {
        log::ask(format!("see {url}"));
    }
    if accepted == Accepted::Yes {
        return Ok(());
    }
    let stdin = io::stdin();
    if !(stdin.is_terminal() && io::stderr().is_terminal()) {
        bail!(
            "nothing was fetched: read the licence above, and accept it with `attn-fiqa model pull \
             {} --accept-licence`",
            entry.name
        );
    }
    log::ask("Do you accept it? Type yes to fetch the model:");
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => bail!("nothing was fetched: the licence was not accepted"),
    }
}

fn mismatch(
    entry: &Entry,
    expected: &Expected,
    found: &str,
    pins: &Pins,
    which: &str,
) -> anyhow::Error {
    let name = &entry.name;
    let hash = expected.hash().unwrap_or_default();
    let (whose, what_to_do) = match expected {
        Expected::Pin(_) => (
            "the first download had",
            format!(
                "if its publisher replaced it and you trust that, remove its entry from '{}' and \
                 pull again",
                pins.path().display()
            ),
        ),
        _ => (
            "the registry has",
            "if its publisher replaced it and you trust that, download it yourself and add it with \
             `attn-fiqa model add` under another name"
                .to_owned(),
        ),
    };
    anyhow::anyhow!(
        "the model '{name}' is not the expected one: {whose} the SHA-256 {hash}, but {found} is \
         that of {which}; {what_to_do}"
    )
}

/// The progress of a download, shown on a terminal.
struct Download(crate::progress::Progress);

impl Progress for Download {
    fn init(&mut self, size: usize, _: &str) {
        self.0.set_total(size as u64);
        self.0.set_done(0);
    }

    fn update(&mut self, size: usize) {
        self.0.advance(size as u64);
    }

    fn finish(&mut self) {}
}

fn bar() -> Box<dyn Progress> {
    Box::new(Download(crate::progress::Progress::start(DOWNLOAD)))
}

const DOWNLOAD: &str = "{bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left";
