//! Reads the zip format of `torch.save`: `<folder>/data.pkl` lists the tensors,
//! `<folder>/data/<key>` holds the bytes of each storage.
//!
//! PyTorch stores entries without compression, so tensors are read in place. Only the central
//! directory is trusted for names and sizes, and only after its ranges have been checked against
//! the file and against each other.

use std::collections::{BTreeMap, HashMap};

use super::container::{ContainerFormat, Contents};
use super::error::CheckpointProblem;
use super::is_plain_name;
use super::pickle::{MAX_PICKLE_BYTES, PickleProblem, PickledTensor, StateDict, find_state_dict};
use super::tensor::{StoredType, TensorRef, element_count};
use super::zip_entries::{Entry, entries, entry_problem, usable};
use crate::sanitize::sanitized_name;

/// Local file header, or the end record of an empty archive.
const ZIP_MAGICS: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];

/// Maximum length of a storage key; PyTorch numbers storages.
const MAX_KEY_BYTES: usize = 64;

pub(super) fn is_zip(file: &[u8]) -> bool {
    ZIP_MAGICS.iter().any(|magic| file.starts_with(magic))
}

pub(super) fn read(file: &[u8]) -> Result<Contents, CheckpointProblem> {
    let entries = entries(file)?;
    let folder = folder(&entries)?;
    check_byte_order(file, &entries, &folder)?;
    let pickle = pickle_bytes(file, &entries, &folder)?;
    let StateDict { tensors: pickled, wrappers, beside } = find_state_dict(pickle)?;
    let mut tensors = Vec::new();
    for (name, tensor) in &pickled {
        let placed = place(&entries, &folder, tensor).map_err(|reason| match reason {
            Refusal::Tensor(reason) => {
                CheckpointProblem::Storage { tensor: sanitized_name(name), reason }
            }
            Refusal::Entry(entry, reason) => entry_problem(&entry, reason),
        })?;
        tensors.push(((*name).to_owned(), placed));
    }
    Ok(Contents {
        format: ContainerFormat::TorchZip,
        tensors,
        metadata: BTreeMap::new(),
        wrappers,
        beside,
    })
}

/// The only top-level folder that holds `data.pkl`.
fn folder(entries: &HashMap<String, Entry>) -> Result<String, CheckpointProblem> {
    let mut folders: Vec<&str> = entries
        .keys()
        .filter_map(|name| name.strip_suffix("/data.pkl"))
        .filter(|top| is_plain_name(top))
        .collect();
    folders.sort_unstable();
    match folders.as_slice() {
        &[top] => {
            if entries.contains_key(&format!("{top}/constants.pkl")) {
                return Err(CheckpointProblem::UnsupportedFormat {
                    what: "a TorchScript archive",
                    advice: "load it with torch.jit.load and save its state_dict() with \
                             torch.save or safetensors.torch.save_file",
                });
            }
            Ok(top.to_owned())
        }
        [] => Err(CheckpointProblem::UnsupportedFormat {
            what: "a zip file without `<folder>/data.pkl`",
            advice: "torch.save writes one; if the checkpoint is inside, unpack the zip file and \
                     give the .safetensors, .pt or .pth file",
        }),
        several => Err(CheckpointProblem::SeveralNetworks {
            under: several.iter().map(|top| sanitized_name(top)).collect(),
        }),
    }
}

fn check_byte_order(
    file: &[u8],
    entries: &HashMap<String, Entry>,
    folder: &str,
) -> Result<(), CheckpointProblem> {
    let name = format!("{folder}/byteorder");
    // Files written before PyTorch 2.1 have none; they are little-endian.
    let Some(entry) = entries.get(&name) else {
        return Ok(());
    };
    match usable(file, &name, entry)? {
        b"little" => Ok(()),
        b"big" => Err(entry_problem(
            &name,
            "says big-endian; load the file and save it again on a little-endian machine",
        )),
        _ => Err(entry_problem(&name, "is neither `little` nor `big`")),
    }
}

fn pickle_bytes<'a>(
    file: &'a [u8],
    entries: &HashMap<String, Entry>,
    folder: &str,
) -> Result<&'a [u8], CheckpointProblem> {
    let name = format!("{folder}/data.pkl");
    let entry = entries.get(&name).ok_or_else(|| entry_problem(&name, "is missing"))?;
    if entry.len > MAX_PICKLE_BYTES {
        return Err(CheckpointProblem::Pickle(PickleProblem::TooLarge {
            limit: MAX_PICKLE_BYTES,
            unit: "bytes",
        }));
    }
    usable(file, &name, entry)
}

/// Why a tensor cannot be located: a problem with the tensor itself or with its zip entry.
enum Refusal {
    Tensor(String),
    Entry(String, &'static str),
}

/// The location of a tensor in the file, if its storage really contains it.
fn place(
    entries: &HashMap<String, Entry>,
    folder: &str,
    tensor: &PickledTensor<'_>,
) -> Result<TensorRef, Refusal> {
    let key = tensor.storage.key;
    if !is_plain_name(key) || key.len() > MAX_KEY_BYTES {
        return Err(Refusal::Tensor(format!(
            "has storage key `{}`, which is not a plain name",
            sanitized_name(key)
        )));
    }
    let name = format!("{folder}/data/{key}");
    let Some(entry) = entries.get(&name) else {
        return Err(Refusal::Tensor(format!(
            "needs zip entry `{}`, which is missing",
            sanitized_name(&name)
        )));
    };
    if let Some(reason) = entry.unusable {
        return Err(Refusal::Entry(name, reason));
    }

    let element = tensor.storage.element;
    let stored = entry.len / element.width;
    if entry.len % element.width != 0 || u64::try_from(stored) != Ok(tensor.storage.elements) {
        return Err(Refusal::Tensor(format!(
            "has a storage of {} {} elements, but zip entry `{}` has {} bytes",
            tensor.storage.elements,
            element.name,
            sanitized_name(&name),
            entry.len
        )));
    }
    let too_large = || {
        Refusal::Tensor(format!(
            "has shape {:?}, more elements than the {stored} stored for it",
            tensor.shape
        ))
    };
    let outside = || {
        Refusal::Tensor(format!(
            "has offset {}, shape {:?} and strides {:?}, which leave its storage of {stored} \
             elements",
            tensor.offset, tensor.shape, tensor.strides
        ))
    };
    let shape = to_usize(&tensor.shape).ok_or_else(too_large)?;
    let strides = to_usize(&tensor.strides).ok_or_else(outside)?;
    let count = element_count(&shape).filter(|&count| count <= stored).ok_or_else(too_large)?;
    let offset = usize::try_from(tensor.offset)
        .ok()
        .filter(|&offset| offset <= stored)
        .ok_or_else(outside)?;
    let span = match count {
        0 => 0,
        _ => span(&shape, &strides).ok_or_else(outside)?,
    };
    if offset.checked_add(span).is_none_or(|end| end > stored) {
        return Err(outside());
    }
    let contiguous = count == 0 || is_contiguous(&shape, &strides);
    Ok(TensorRef {
        dtype: stored_type(element.name),
        start: entry.start + offset * element.width,
        len: span * element.width,
        strides: (!contiguous).then_some(strides),
        file: 0,
        shape,
    })
}

fn to_usize(values: &[u64]) -> Option<Vec<usize>> {
    values.iter().map(|&value| usize::try_from(value).ok()).collect()
}

/// Number of elements from the first to the last of a non-empty tensor.
fn span(shape: &[usize], strides: &[usize]) -> Option<usize> {
    shape.iter().zip(strides).try_fold(1_usize, |span, (&size, &stride)| {
        span.checked_add(size.checked_sub(1)?.checked_mul(stride)?)
    })
}

fn is_contiguous(shape: &[usize], strides: &[usize]) -> bool {
    let mut step = 1_usize;
    shape.iter().zip(strides).rev().all(|(&size, &stride)| {
        let fits = size == 1 || stride == step;
        // The element count was checked, so this product cannot overflow either.
        step = step.saturating_mul(size);
        fits
    })
}

fn stored_type(name: &'static str) -> StoredType {
    match name {
        "float32" => StoredType::F32,
        "float64" => StoredType::F64,
        "float16" => StoredType::F16,
        "bfloat16" => StoredType::Bf16,
        "int64" => StoredType::I64,
        _ => StoredType::Other(name),
    }
}
