//! Resolves the value of `--model` to a file.

use std::path::{Path, PathBuf};

use anyhow::bail;
use attn_fiqa::checkpoint::CheckpointOptions;

use super::entry::{Entry, EntryLocation, is_name};
use super::{Hub, Registry};

/// The name of the built-in model, for users who want to name it.
pub(crate) const BUILT_IN: &str = "built-in";

/// The licence of its weights.
pub(crate) const BUILT_IN_LICENCE: &str = "MIT OR Apache-2.0";

/// The requested model.
#[derive(Debug)]
pub(crate) enum Located {
    BuiltIn,
    /// A file, and its registry entry if it was found by name.
    File(PathBuf, Option<Box<Entry>>),
}

impl Located {
    /// The typed options for the file, completed by its entry.
    pub(crate) fn complete(&self, typed: CheckpointOptions) -> CheckpointOptions {
        match self {
            Self::File(_, Some(entry)) => entry.complete(typed),
            _ => typed,
        }
    }
}

/// An existing file is used as such; otherwise the text is the name of a model, if there is one. If
/// it is neither but looks like a file, opening it reports the error.
pub(crate) fn locate(typed: &Path) -> anyhow::Result<Located> {
    let as_file = || Ok(Located::File(typed.to_owned(), None));
    let name = match typed.to_str() {
        Some(name) if !typed.is_file() && is_name(name) => name,
        _ => return as_file(),
    };
    if name == BUILT_IN {
        return Ok(Located::BuiltIn);
    }
    let registry = Registry::open()?;
    let Some(entry) = registry.find(name) else {
        if typed.exists() || typed.extension().is_some() {
            return as_file();
        }
        bail!(
            "'{name}' is neither a file nor the name of a model; `attn-fiqa model list` shows the \
             names"
        );
    };
    let path = match entry.entry_location() {
        EntryLocation::Local(path) if path.is_file() => path.to_owned(),
        EntryLocation::Local(path) => bail!(
            "the model '{name}' was '{}', which no longer exists; restore it, or run `attn-fiqa \
             model remove {name}`",
            path.display()
        ),
        EntryLocation::Hub { repo, file } => match Hub::from_env()?.cached(repo, file) {
            Some(path) => path,
            None => bail!(
                "the model '{name}' is not on this machine yet; fetch it with `attn-fiqa model \
                 pull {name}`"
            ),
        },
    };
    let found = std::fs::metadata(&path).map(|found| found.len()).ok();
    if entry.size.is_some() && found != entry.size {
        let what_to_do = match entry.entry_location() {
            EntryLocation::Local(_) => format!("add it again with --name {name} --replace"),
            EntryLocation::Hub { .. } => format!("see `attn-fiqa model pull {name}`"),
        };
        bail!(
            "the model '{name}' has {} bytes, but had {} when it was named: {what_to_do}: '{}'",
            found.unwrap_or(0),
            entry.size.unwrap_or(0),
            path.display()
        );
    }
    Ok(Located::File(path, Some(Box::new(entry.clone()))))
}
