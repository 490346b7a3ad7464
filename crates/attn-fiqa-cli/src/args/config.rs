//! Defaults from a file: `--config FILE.toml`.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Command;
use toml::Value;

/// The keys, which are the names of their flags.
pub(super) const KEYS: [&str; 33] = [
    "model",
    "precision",
    "jobs",
    "batch",
    "cache",
    "color",
    "log-format",
    "preset",
    "heads",
    "activation",
    "tokens",
    "landmark-bias",
    // For `serve`.
    "listen",
    "detector",
    "refine",
    "turned",
    "min-detection-score",
    "min-inter-eye-distance",
    "max-faces",
    "max-pixels",
    "max-bytes",
    "max-memory",
    "max-queue",
    "max-images",
    "max-body",
    "max-connections",
    "header-timeout",
    "body-timeout",
    "write-timeout",
    "shutdown-timeout",
    "api-key-file",
    "cors-origin",
    "policy",
];

/// Keys whose value may be a list.
const LISTS: [&str; 1] = ["cors-origin"];

/// Keys whose value may be a path, relative to the folder of the configuration.
const PATHS: [&str; 4] = ["model", "cache", "detector", "api-key-file"];

/// Values of flags where neither the command line nor the environment gives one.
#[derive(Debug)]
pub(super) struct Defaults(Vec<(&'static str, String)>);

/// Reads a configuration file.
///
/// # Errors
///
/// If the file cannot be read, is not TOML, or has an unknown key.
pub(super) fn read(file: &Path) -> anyhow::Result<Defaults> {
    let name = file.display();
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("{name}: the configuration cannot be read"))?;
    let table: toml::Table =
        text.parse().with_context(|| format!("{name}: this is not a TOML file"))?;
    let mut defaults = Vec::new();
    for (key, value) in table {
        let Some(known) = KEYS.into_iter().find(|known| *known == key.replace('_', "-")) else {
            bail!("{name}: unknown key '{key}'; expected {}", KEYS.join(", "));
        };
        let text = match &value {
            Value::Array(values) if LISTS.contains(&known) => {
                values.iter().map(scalar).collect::<Option<Vec<_>>>().map(|texts| texts.join(","))
            }
            value => scalar(value),
        };
        let value = text.with_context(|| {
            let list = if LISTS.contains(&known) { ", or a list of them" } else { "" };
            let found = value.type_str();
            format!("{name}: expected text or a number{list} for '{key}', found type {found}")
        })?;
        let value = if PATHS.contains(&known) { beside(file, known, value) } else { value };
        defaults.push((known, value));
    }
    Ok(Defaults(defaults))
}

/// A number or text as it would be typed.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A relative path starts at the folder of the configuration. A model may also be a name.
fn beside(file: &Path, key: &str, value: String) -> String {
    let path: PathBuf = file.parent().unwrap_or(Path::new("")).join(&value);
    if key == "model" && !path.exists() { value } else { path.display().to_string() }
}

impl Defaults {
    /// The command line with these defaults, wherever a command has such a flag.
    pub(super) fn apply(&self, mut command: Command) -> Command {
        for (flag, value) in &self.0 {
            let has =
                |command: &Command| command.get_arguments().any(|arg| arg.get_long() == Some(flag));
            let id = flag.replace('-', "_");
            if has(&command) {
                command = command.mut_arg(&id, |arg| arg.default_value(value.clone()));
            }
            command = command.mut_subcommands(|inner| {
                if has(&inner) {
                    inner.mut_arg(&id, |arg| arg.default_value(value.clone()))
                } else {
                    inner
                }
            });
        }
        command
    }
}

/// The configuration that a command would run with, in the format of the configuration file.
/// Options without a value are left out.
#[cfg(feature = "serve")]
pub(super) fn describe(matches: &clap::ArgMatches) -> String {
    let mut table = toml::Table::new();
    for key in KEYS {
        let Ok(Some(values)) = matches.try_get_raw(&key.replace('-', "_")) else { continue };
        let values: Vec<_> = values.map(|value| value.to_string_lossy()).collect();
        let text = values.join(",");
        let value = match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(number), _) => Value::Integer(number),
            (_, Ok(number)) => Value::Float(number),
            _ => Value::String(text),
        };
        table.insert(key.to_owned(), value);
    }
    table.to_string()
}
