//! The settings and inputs that the rows of a run depend on.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Shard;
use crate::args::Typed;

/// Two runs with equal fingerprints write the same rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    /// How rows are computed: version, command, model, arithmetic and options.
    pub(crate) settings: BTreeMap<String, String>,
    /// The inputs as typed.
    pub(crate) inputs: BTreeMap<String, String>,
    /// The part of the inputs, such as `2/8`.
    pub(crate) shard: Option<String>,
}

impl Fingerprint {
    /// Fingerprints the typed arguments, with `about` describing the computation. Files named by
    /// options are identified by content.
    pub(crate) fn new(
        typed: &Typed,
        shard: Option<Shard>,
        about: &[(&'static str, String)],
    ) -> Self {
        let mut settings: BTreeMap<String, String> =
            about.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        settings.insert("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        settings.insert("command".to_owned(), typed.command.clone());
        for (flag, values) in &typed.settings {
            let files: Vec<String> = values.iter().filter_map(|value| digest_of(value)).collect();
            settings.insert(flag.clone(), values.join(" "));
            if !files.is_empty() {
                settings.insert(format!("content of {flag}"), files.join(" "));
            }
        }
        let inputs =
            typed.inputs.iter().map(|(flag, values)| (flag.clone(), values.join(" "))).collect();
        Self { settings, inputs, shard: shard.map(|shard| shard.to_string()) }
    }

    /// What differs in another run, one phrase per difference.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = differences(&self.settings, &other.settings);
        found.extend(differences(&self.inputs, &other.inputs));
        if self.shard != other.shard {
            let shown = |shard: &Option<String>| shard.clone().unwrap_or("all images".to_owned());
            found.push(changed("--shard", &shown(&self.shard), &shown(&other.shard)));
        }
        found
    }

    /// What differs in how another run computes its rows, whatever its inputs.
    pub(crate) fn settings_differences(&self, other: &Self) -> Vec<String> {
        differences(&self.settings, &other.settings)
    }
}

fn differences(a: &BTreeMap<String, String>, b: &BTreeMap<String, String>) -> Vec<String> {
    let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let value = |of: &BTreeMap<String, String>, name: &String| of.get(name).cloned();
    let differ = names.into_iter().filter(|name| value(a, name) != value(b, name));
    differ
        .map(|name| {
            changed(name, &value(a, name).unwrap_or_default(), &value(b, name).unwrap_or_default())
        })
        .collect()
}

fn changed(name: &str, before: &str, now: &str) -> String {
    let shown = |value: &str| match value.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => format!("'{}…'", &value[..end]),
        None => format!("'{value}'"),
    };
    format!("{name} was {} and is {}", shown(before), shown(now))
}

/// Maximum number of characters of a value shown in a message.
const MOST_SHOWN: usize = 60;

/// The digest of the file that a value names, such as a model; `None` if it names no file.
fn digest_of(value: &str) -> Option<String> {
    let named = value.strip_prefix("onnx:").unwrap_or(value);
    let whole = sha256(Path::new(named));
    whole.or_else(|| sha256(Path::new(named.rsplit_once('@')?.0)))
}

/// The first digits of the SHA-256 of a regular file.
fn sha256(path: &Path) -> Option<String> {
    if !path.is_file() {
        return None;
    }
    let mut hasher = Sha256::new();
    let mut file = BufReader::with_capacity(1 << 20, File::open(path).ok()?);
    let mut bytes = vec![0; 1 << 20];
    loop {
        match file.read(&mut bytes) {
            Ok(0) => break,
            Ok(read) => hasher.update(&bytes[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    let digest = hasher.finalize();
    Some(digest[..8].iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_name_every_changed_field() {
        let make = |score: &str, input: &str, shard: Option<&str>| Fingerprint {
            settings: BTreeMap::from([("--method".to_owned(), score.to_owned())]),
            inputs: BTreeMap::from([("INPUT".to_owned(), input.to_owned())]),
            shard: shard.map(str::to_owned),
        };
        let one = make("attn", "a/", None);
        assert!(one.differences(&one).is_empty());
        let other = make("norm", "b/", Some("1/2"));
        assert_eq!(
            one.differences(&other),
            [
                "--method was 'attn' and is 'norm'",
                "INPUT was 'a/' and is 'b/'",
                "--shard was 'all images' and is '1/2'",
            ]
        );
        assert_eq!(one.settings_differences(&other).len(), 1);
    }

    #[test]
    fn file_content_is_part_of_fingerprint() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("network@1.onnx");
        let typed = || Typed {
            command: "score".to_owned(),
            settings: vec![(
                "--method".to_owned(),
                vec![format!("onnx:{}@preprocess=arcface", file.display())],
            )],
            inputs: Vec::new(),
        };
        let make = |content: &str| {
            std::fs::write(&file, content).expect("a file");
            Fingerprint::new(&typed(), None, &[])
        };
        let (one, same, other) = (make("one"), make("one"), make("other"));
        assert_eq!(one, same);
        let differences = one.differences(&other);
        assert_eq!(differences.len(), 1, "{differences:?}");
        assert!(differences[0].starts_with("content of --method was '"), "{differences:?}");
    }
}
