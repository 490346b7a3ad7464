//! The built-in registry and the user's own.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use super::entry::Entry;
use crate::output::NewFile;

/// Far more than any list of models.
const MAX_FILE: u64 = 1 << 20;

const HEADER: &str = "# Models that `attn-fiqa model add` gave names to. Entries with repo and \
                      file instead of\n# path are fetched from the Hugging Face hub by \
                      `attn-fiqa model pull`.\n\n";

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Models {
    #[serde(default)]
    model: Vec<Entry>,
}

/// All named models except the built-in one.
#[derive(Debug)]
pub(crate) struct Registry {
    known: Vec<Entry>,
    own: Vec<Entry>,
    own_file: PathBuf,
}

impl Registry {
    pub(crate) fn open() -> anyhow::Result<Self> {
        let own_file = folder()?.join("models.toml");
        let known = parse(attn_fiqa_models::REGISTRY).expect("the registry inside: this is a bug");
        let own = match read_limited(&own_file)? {
            Some(text) => parse(&text)
                .map_err(|error| anyhow::anyhow!("'{}': {error}", own_file.display()))?,
            None => Vec::new(),
        };
        Ok(Self { known, own, own_file })
    }

    /// The model with this name; the user's own take precedence.
    pub(crate) fn find(&self, name: &str) -> Option<&Entry> {
        self.own.iter().chain(&self.known).find(|entry| entry.name == name)
    }

    /// The user's own models, then the known ones that they do not replace.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&Entry, bool)> {
        let hidden = |entry: &&Entry| self.own.iter().any(|own| own.name == entry.name);
        let known = self.known.iter().filter(move |entry| !hidden(entry));
        self.own.iter().map(|entry| (entry, true)).chain(known.map(|entry| (entry, false)))
    }

    pub(crate) fn is_own(&self, name: &str) -> bool {
        self.own.iter().any(|entry| entry.name == name)
    }

    /// The file that holds the user's own models.
    pub(crate) fn own_file(&self) -> &Path {
        &self.own_file
    }

    /// Adds or replaces one of the user's own models, and writes the file.
    pub(crate) fn put(&mut self, entry: Entry) -> anyhow::Result<()> {
        entry.check().map_err(anyhow::Error::msg)?;
        self.own.retain(|own| own.name != entry.name);
        self.own.push(entry);
        self.write()
    }

    /// Removes one of the user's own models, and writes the file.
    pub(crate) fn remove(&mut self, name: &str) -> anyhow::Result<Entry> {
        let Some(index) = self.own.iter().position(|entry| entry.name == name) else {
            bail!("no model '{name}' was added; `attn-fiqa model list` shows those that were");
        };
        let entry = self.own.remove(index);
        self.write()?;
        Ok(entry)
    }

    fn write(&self) -> anyhow::Result<()> {
        let models = Models { model: self.own.clone() };
        let text = toml::to_string(&models).context("the names of models")?;
        write_atomic(&self.own_file, &format!("{HEADER}{text}"))
    }
}

/// Where the user's model names and copies are kept: `ATTN_FIQA_HOME`, or the system's data folder.
pub(crate) fn folder() -> anyhow::Result<PathBuf> {
    if let Some(folder) = std::env::var_os("ATTN_FIQA_HOME").filter(|folder| !folder.is_empty()) {
        return Ok(folder.into());
    }
    let folder = dirs::data_dir().context(
        "there is no home folder to keep names of models in; set ATTN_FIQA_HOME to a folder",
    )?;
    Ok(folder.join("attn-fiqa"))
}

fn parse(text: &str) -> Result<Vec<Entry>, String> {
    let models: Models = toml::from_str(text).map_err(|error| error.to_string())?;
    for (index, entry) in models.model.iter().enumerate() {
        entry.check()?;
        if models.model[..index].iter().any(|earlier| earlier.name == entry.name) {
            return Err(format!("two models are called '{}'; rename or remove one", entry.name));
        }
    }
    Ok(models.model)
}

/// Reads a small text file; `None` if there is none.
pub(super) fn read_limited(path: &Path) -> anyhow::Result<Option<String>> {
    let size = match std::fs::metadata(path) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).context(format!("cannot read '{}'", path.display())),
    };
    if size > MAX_FILE {
        bail!("'{}' has {size} bytes, but at most {MAX_FILE} are read", path.display());
    }
    let text = std::fs::read_to_string(path);
    Ok(Some(text.with_context(|| format!("cannot read '{}'", path.display()))?))
}

/// Writes a file, creating its folder; nobody ever reads a half-written file.
pub(super) fn write_atomic(path: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder '{}'", folder.display()))?;
    }
    let mut file = NewFile::create(path)?;
    file.write_all(text.as_bytes())
        .with_context(|| format!("cannot write '{}'", path.display()))?;
    file.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builtin_registry_is_valid() {
        let known = parse(attn_fiqa_models::REGISTRY).expect("sound");
        assert!(known.iter().any(|entry| entry.name == "cvlface-vit-b"));
        for entry in &known {
            assert!(entry.licence.is_some(), "{}: no licence", entry.name);
            // The configuration of timm files describes their layout.
            let described = entry.preset.is_some() || entry.name.starts_with("timm-");
            assert!(entry.repo.is_some() && described, "{}", entry.name);
        }
    }

    #[test]
    fn invalid_entries_are_rejected_with_reason() {
        let entry = |rest: &str| parse(&format!("[[model]]\nname = \"m\"\n{rest}"));
        assert!(entry("path = \"x.pt\"").is_ok());
        assert!(entry("repo = \"a/b\"\nfile = \"d/x.pt\"").is_ok());
        for (rest, part) in [
            ("", "either repo and file, or path"),
            ("repo = \"a/b\"", "either repo and file, or path"),
            ("repo = \"a\"\nfile = \"x.pt\"", "owner/name"),
            ("repo = \"../b\"\nfile = \"x.pt\"", "owner/name"),
            ("repo = \"a/b\"\nfile = \"../x.pt\"", "inside the repository"),
            ("repo = \"a/b\"\nfile = \"/x.pt\"", "inside the repository"),
            ("path = \"x.pt\"\npreset = \"vit-xxl\"", "preset"),
            ("path = \"x.pt\"\nsha256 = \"12\"", "64 lower-case"),
            ("path = \"x.pt\"\nhash = \"12\"", "unknown field"),
            ("path = \"x.pt\"\n[[model]]\nname = \"m\"\npath = \"y.pt\"", "two models"),
        ] {
            let error = entry(rest).expect_err(rest);
            assert!(error.contains(part), "{rest}: {error}");
        }
        assert!(parse("[[model]]\nname = \"-m\"\npath = \"x\"").is_err());
    }
}
