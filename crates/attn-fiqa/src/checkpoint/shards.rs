//! A sharded checkpoint: several safetensors files, as Hugging Face's libraries write large models.
//! `model.safetensors.index.json` says which file holds each tensor.
//!
//! The index is untrusted. It may only name files in its own folder, and what it says about them
//! must hold for every tensor.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use super::Loading;
use super::bytes::Bytes;
use super::container::{ContainerFormat, Contents};
use super::error::CheckpointProblem;
use super::{is_plain_name, safetensors};
use crate::sanitize::sanitized_name;

/// Maximum size of an index that is parsed, in bytes: 250 per name.
const MAX_INDEX_BYTES: usize = 16 << 20;

/// Maximum number of names, as for a single file.
const MAX_NAMES: usize = 1 << 16;

/// Maximum number of files; each stays open.
const MAX_SHARDS: usize = 512;

/// The shards' bytes, paths and combined contents.
pub(super) struct Sharded {
    pub(super) files: Vec<Bytes>,
    pub(super) paths: Vec<PathBuf>,
    pub(super) contents: Contents,
}

/// Whether a file is JSON and not a safetensors file.
pub(super) fn is_index(file: &[u8]) -> bool {
    let text = file.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(file).trim_ascii_start();
    text.starts_with(b"{") && !safetensors::is_safetensors(file)
}

/// Whether a JSON file has the key that makes it a shard index.
pub(super) fn names_shards(file: &[u8]) -> bool {
    const KEY: &[u8] = b"\"weight_map\"";
    is_index(file) && file.windows(KEY.len()).any(|part| part == KEY)
}

/// Opens the files that an index names, in its folder.
pub(super) fn open(
    index: &[u8],
    path: &Path,
    loading: Loading,
) -> Result<Sharded, CheckpointProblem> {
    let WeightMap(places) = parse(index)?;
    let names: BTreeSet<&str> = places.values().map(String::as_str).collect();
    if names.len() > MAX_SHARDS {
        return Err(CheckpointProblem::Oversized {
            what: "number of shards",
            found: names.len() as u64,
            unit: "files",
            limit: MAX_SHARDS as u64,
        });
    }
    if let Some(name) = names.iter().find(|name| !is_plain_name(name)) {
        return Err(unusable(format!(
            "it names the file `{}`, but shards must be in the same folder",
            sanitized_name(name)
        )));
    }
    let mut sharded = Sharded {
        files: Vec::new(),
        paths: Vec::new(),
        contents: Contents {
            format: ContainerFormat::SafetensorsShards,
            tensors: Vec::new(),
            metadata: BTreeMap::new(),
            wrappers: Vec::new(),
            beside: Vec::new(),
        },
    };
    for name in names {
        let shard = path.with_file_name(name);
        let (bytes, contents) = open_shard(&shard, loading).map_err(|problem| match problem {
            CheckpointProblem::Io(error) if error.kind() == ErrorKind::NotFound => {
                CheckpointProblem::ShardMissing { shard: sanitized_name(name) }
            }
            problem => {
                CheckpointProblem::Shard { shard: sanitized_name(name), problem: Box::new(problem) }
            }
        })?;
        add(&mut sharded, name, contents, &places)?;
        sharded.files.push(bytes);
        sharded.paths.push(shard);
    }
    check_complete(&sharded, &places)?;
    sharded.contents.tensors.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(sharded)
}

fn open_shard(path: &Path, loading: Loading) -> Result<(Bytes, Contents), CheckpointProblem> {
    let bytes = Bytes::open(path, loading)?;
    if !safetensors::is_safetensors(&bytes) {
        return Err(CheckpointProblem::UnsupportedFormat {
            what: "not a safetensors file",
            advice: "every shard of an index must be one, so fetch it again",
        });
    }
    let contents = safetensors::read(&bytes)?;
    Ok((bytes, contents))
}

/// Adds a shard's contents; the index must place each of its tensors in this shard.
fn add(
    sharded: &mut Sharded,
    name: &str,
    shard: Contents,
    places: &BTreeMap<String, String>,
) -> Result<(), CheckpointProblem> {
    for (tensor, mut place) in shard.tensors {
        let expected = places.get(&tensor);
        if expected.is_none_or(|expected| expected != name) {
            return Err(CheckpointProblem::ShardTensor {
                tensor: sanitized_name(&tensor),
                found: format!("is in shard `{}`", sanitized_name(name)),
                expected: match expected {
                    Some(other) => format!("in `{}`", sanitized_name(other)),
                    None => "nowhere".to_owned(),
                },
            });
        }
        place.file = sharded.files.len();
        sharded.contents.tensors.push((tensor, place));
    }
    for (key, value) in shard.metadata {
        let before = sharded.contents.metadata.insert(key.clone(), value.clone());
        if let Some(before) = before.filter(|before| *before != value) {
            return Err(CheckpointProblem::Shard {
                shard: sanitized_name(name),
                problem: Box::new(CheckpointProblem::SafetensorsHeader {
                    detail: format!(
                        "its metadata `{}` are `{}`, but those of another shard are `{}`",
                        sanitized_name(&key),
                        sanitized_name(&value),
                        sanitized_name(&before)
                    ),
                }),
            });
        }
    }
    Ok(())
}

/// Checks that every tensor of the index was found.
fn check_complete(
    sharded: &Sharded,
    places: &BTreeMap<String, String>,
) -> Result<(), CheckpointProblem> {
    let found: BTreeSet<&str> =
        sharded.contents.tensors.iter().map(|(name, _)| name.as_str()).collect();
    match places.iter().find(|(tensor, _)| !found.contains(tensor.as_str())) {
        Some((tensor, shard)) => Err(CheckpointProblem::ShardTensor {
            tensor: sanitized_name(tensor),
            found: "is missing".to_owned(),
            expected: format!("in `{}`", sanitized_name(shard)),
        }),
        None => Ok(()),
    }
}

fn unusable(detail: String) -> CheckpointProblem {
    CheckpointProblem::ShardIndex { detail }
}

#[derive(Deserialize)]
struct Index {
    weight_map: WeightMap,
}

/// The file that holds each tensor. A plain serde map would silently keep one of two equal names.
struct WeightMap(BTreeMap<String, String>);

fn parse(index: &[u8]) -> Result<WeightMap, CheckpointProblem> {
    if index.len() > MAX_INDEX_BYTES {
        return Err(CheckpointProblem::Oversized {
            what: "index of shards",
            found: index.len() as u64,
            unit: "bytes",
            limit: MAX_INDEX_BYTES as u64,
        });
    }
    let text = index.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(index);
    let Index { weight_map } = serde_json::from_slice(text)
        .map_err(|error| unusable(sanitized_name(&error.to_string())))?;
    if weight_map.0.is_empty() {
        return Err(unusable("its `weight_map` names no tensor".to_owned()));
    }
    Ok(weight_map)
}

impl<'de> Deserialize<'de> for WeightMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Places;

        impl<'de> Visitor<'de> for Places {
            type Value = BTreeMap<String, String>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors and file names")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut places = BTreeMap::new();
                while let Some((tensor, shard)) = map.next_entry::<String, String>()? {
                    if places.len() == MAX_NAMES {
                        return Err(A::Error::custom("it names too many tensors"));
                    }
                    if places.contains_key(&tensor) {
                        return Err(A::Error::custom(format!(
                            "it names tensor `{}` twice",
                            sanitized_name(&tensor)
                        )));
                    }
                    places.insert(tensor, shard);
                }
                Ok(places)
            }
        }

        deserializer.deserialize_map(Places).map(WeightMap)
    }
}
