//! `attn-fiqa model pull`, `add` and `remove`: models by name.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use attn_fiqa::checkpoint::{Checkpoint, ContainerFormat};

use crate::args::CheckpointArgs;
use crate::log;
use crate::models::{Accepted, BUILT_IN, Entry, Registry, pull as fetch, registry_folder};
use crate::output::stdout;

pub(super) fn pull(name: &str, accept_licence: bool) -> anyhow::Result<()> {
    if name == BUILT_IN {
        bail!("the built-in model is part of the program; there is nothing to fetch");
    }
    let registry = Registry::open()?;
    let Some(entry) = registry.find(name) else {
        bail!(
            "no model '{name}' is known; `attn-fiqa model list` shows those that are, and \
             `attn-fiqa model add` names a file of your own"
        );
    };
    let accepted = if accept_licence { Accepted::Yes } else { Accepted::Ask };
    let path = fetch(entry, accepted)?;
    writeln!(stdout(), "{}", path.display())?;
    Ok(())
}

/// How a file is given a name.
pub(super) struct Adding {
    pub(super) copy: bool,
    pub(super) replace: bool,
    pub(super) licence: Option<String>,
}

pub(super) fn add(
    file: &Path,
    name: Option<&str>,
    how: Adding,
    options: &CheckpointArgs,
) -> anyhow::Result<()> {
    let name = match (name, file.file_stem()) {
        (Some(name), _) => name.to_owned(),
        (None, stem) => stem.unwrap_or_default().to_string_lossy().into_owned(),
    };
    let mut registry = Registry::open()?;
    if name == BUILT_IN || (registry.find(&name).is_some() && !registry.is_own(&name)) {
        bail!("'{name}' is the name of a known model; choose another with --name");
    }
    if registry.is_own(&name) && !how.replace {
        bail!("a model '{name}' already exists; choose another --name, or --replace it");
    }
    let typed = options.checkpoint_options();
    let found = Checkpoint::open(file, &typed)?.inspect();
    let mut entry = Entry {
        name: name.clone(),
        path: Some(std::path::absolute(file)?),
        preset: typed.preset.map(|preset| preset.name().to_owned()),
        heads: typed.heads,
        activation: typed.activation.map(|activation| activation.name().to_owned()),
        tokens: typed.score_tokens.map(|tokens| tokens.name().to_owned()),
        landmark_bias: typed.landmark_bias.map(|bias| bias.name().to_owned()),
        allow_unused: typed.allow_unused,
        licence: how.licence,
        sha256: Some(found.sha256),
        // For a sharded checkpoint, the index only: opening it checks the shards.
        size: Some(std::fs::metadata(file)?.len()),
        ..Entry::default()
    };
    entry.check().map_err(anyhow::Error::msg)?;
    if how.copy {
        if found.format == ContainerFormat::SafetensorsShards {
            bail!(
                "--copy copies one file, but '{}' is the index of several; add it without --copy, \
                 or convert it to one file with `model convert`",
                file.display()
            );
        }
        entry.path = Some(copy(file, &name)?);
    }
    let path = entry.path.clone().unwrap_or_default();
    registry.put(entry)?;
    log::info(format!(
        "'{}' is now the model '{name}', by '{}'; use it with --model {name}",
        path.display(),
        registry.own_file().display()
    ));
    Ok(())
}

/// Copies a file next to the names, under the name of the model.
fn copy(file: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let mut path = copies()?.join(name);
    if let Some(ending) = file.extension() {
        let mut named = path.into_os_string();
        named.push(".");
        named.push(ending);
        path = named.into();
    }
    let cannot = || format!("cannot copy '{}' to '{}'", file.display(), path.display());
    std::fs::create_dir_all(copies()?).with_context(cannot)?;
    // An earlier copy is replaced only by a complete one.
    let mut new = tempfile::NamedTempFile::new_in(copies()?).with_context(cannot)?;
    io::copy(&mut std::fs::File::open(file).with_context(cannot)?, &mut new)
        .with_context(cannot)?;
    new.persist(&path).with_context(cannot)?;
    Ok(path)
}

fn copies() -> anyhow::Result<PathBuf> {
    Ok(std::path::absolute(registry_folder()?)?.join("models"))
}

pub(super) fn remove(name: &str) -> anyhow::Result<()> {
    let removed = Registry::open()?.remove(name)?;
    if let Some(path) = removed.path.filter(|path| copies().is_ok_and(|own| path.starts_with(own)))
    {
        std::fs::remove_file(&path)
            .or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            })
            .with_context(|| format!("cannot remove the copy '{}'", path.display()))?;
    }
    Ok(())
}
