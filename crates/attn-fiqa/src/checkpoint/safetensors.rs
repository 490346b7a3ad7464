//! Parses the header of a `.safetensors` file; the tensors stay in place.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use safetensors::Dtype;
use safetensors::tensor::Metadata;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::container::{ContainerFormat, Contents};
use super::error::CheckpointProblem;
use super::tensor::{StoredType, TensorRef};
use crate::sanitize::sanitized_name;

/// Size of the little-endian header length at the start of the file, in bytes.
const LENGTH_BYTES: usize = 8;

/// Maximum header size allowed by the format, in bytes.
const MAX_HEADER: usize = 100_000_000;

/// Maximum header size that is parsed, in bytes: 250 per name. Parsing copies it several times.
const MAX_PARSED_HEADER: usize = 16 << 20;

/// Maximum number of names: a ViT of a thousand blocks, with two optimizer states per weight, has
/// 36,000.
const MAX_NAMES: usize = 1 << 16;

/// Key of the text metadata in the header.
const METADATA_KEY: &str = "__metadata__";

/// Whether `file` starts like a safetensors file: a length, then JSON.
pub(super) fn is_safetensors(file: &[u8]) -> bool {
    header_len(file).is_some_and(|len| len <= MAX_HEADER) && file.get(LENGTH_BYTES) == Some(&b'{')
}

fn header_len(file: &[u8]) -> Option<usize> {
    let (length, _) = file.split_first_chunk::<LENGTH_BYTES>()?;
    usize::try_from(u64::from_le_bytes(*length)).ok()
}

pub(super) fn read(file: &[u8]) -> Result<Contents, CheckpointProblem> {
    let cut_short = || invalid("it is longer than the file".to_owned());
    let header_len = header_len(file).ok_or_else(cut_short)?;
    let data_start = LENGTH_BYTES.checked_add(header_len).ok_or_else(cut_short)?;
    let header = file.get(LENGTH_BYTES..data_start).ok_or_else(cut_short)?;
    if header_len > MAX_PARSED_HEADER {
        return Err(CheckpointProblem::Oversized {
            what: "safetensors header",
            found: header_len as u64,
            unit: "bytes",
            limit: MAX_PARSED_HEADER as u64,
        });
    }
    check_names(header)?;
    // The parser checks that the tensors are contiguous without gap or overlap and that each has as
    // many bytes as its shape and data type need.
    let metadata: Metadata =
        serde_json::from_slice(header).map_err(|error| invalid(error.to_string()))?;
    let found = file.len() - data_start;
    let declared = metadata.data_len();
    if declared != found {
        return Err(invalid(format!(
            "it describes {declared} bytes of tensors, but the file has {found}"
        )));
    }

    let mut tensors = Vec::new();
    for (name, info) in metadata.tensors() {
        let (start, end) = info.data_offsets;
        tensors.push((
            name,
            TensorRef {
                dtype: stored_type(info.dtype),
                shape: info.shape.clone(),
                file: 0,
                start: data_start + start,
                len: end - start,
                strides: None,
            },
        ));
    }
    tensors.sort_by(|(one, _), (other, _)| one.cmp(other));
    let texts: BTreeMap<String, String> = metadata
        .metadata()
        .iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    Ok(Contents {
        format: ContainerFormat::Safetensors,
        tensors,
        metadata: texts,
        wrappers: Vec::new(),
        beside: Vec::new(),
    })
}

fn invalid(detail: String) -> CheckpointProblem {
    CheckpointProblem::SafetensorsHeader { detail: sanitized_name(&detail) }
}

fn stored_type(dtype: Dtype) -> StoredType {
    match dtype {
        Dtype::F32 => StoredType::F32,
        Dtype::F16 => StoredType::F16,
        Dtype::BF16 => StoredType::Bf16,
        Dtype::I64 => StoredType::I64,
        Dtype::F64 => StoredType::F64,
        Dtype::I32 => StoredType::Other("int32"),
        Dtype::I16 => StoredType::Other("int16"),
        Dtype::I8 => StoredType::Other("int8"),
        Dtype::U64 => StoredType::Other("uint64"),
        Dtype::U32 => StoredType::Other("uint32"),
        Dtype::U16 => StoredType::Other("uint16"),
        Dtype::U8 => StoredType::Other("uint8"),
        Dtype::BOOL => StoredType::Other("bool"),
        Dtype::C64 => StoredType::Other("complex64"),
        _ => StoredType::Other("float8 or smaller"),
    }
}

/// A map would silently keep the last of two equal names. The names are also counted here, before
/// anything is built from them.
fn check_names(header: &[u8]) -> Result<(), CheckpointProblem> {
    let mut refusal = None;
    let mut json = serde_json::Deserializer::from_slice(header);
    let outcome = UniqueKeys { refusal: &mut refusal, nested: true }.deserialize(&mut json);
    match (refusal, outcome) {
        (Some(problem), _) => Err(problem),
        (None, Err(error)) => Err(invalid(error.to_string())),
        (None, Ok(())) => Ok(()),
    }
}

struct UniqueKeys<'a> {
    refusal: &'a mut Option<CheckpointProblem>,
    /// Whether to check the names inside the metadata as well.
    nested: bool,
}

impl<'de> DeserializeSeed<'de> for UniqueKeys<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for UniqueKeys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if self.nested && key == METADATA_KEY {
                map.next_value_seed(UniqueKeys { refusal: self.refusal, nested: false })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
            if let Some(key) = seen.replace(key) {
                *self.refusal =
                    Some(CheckpointProblem::DuplicateName { name: sanitized_name(&key) });
                return Err(A::Error::custom("duplicate name"));
            }
            if seen.len() > MAX_NAMES {
                *self.refusal = Some(CheckpointProblem::Oversized {
                    what: "safetensors header",
                    found: seen.len() as u64,
                    unit: "names or more",
                    limit: MAX_NAMES as u64,
                });
                return Err(A::Error::custom("too many names"));
            }
        }
        Ok(())
    }
}
