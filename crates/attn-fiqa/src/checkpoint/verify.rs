//! Compares the tensors found with those that the configuration requires.

use std::collections::BTreeMap;

use super::diagnostics::{LayoutMismatch, ShapeMismatch};
use super::error::CheckpointProblem;
use super::layout::Expected;
use super::names::{BOOKKEEPING, MASK_TOKEN, is_classifier};
use super::tensor::JoinedTensor;
use crate::sanitize::sanitized_name;

/// The tensors of a file, split by whether they belong to the network.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Tensors under the prefix, by canonical name or, if they have none, by their own name.
    pub(super) inside: BTreeMap<String, JoinedTensor>,
    /// Full names of all other tensors.
    pub(super) outside: Vec<String>,
}

/// The tensors of the network and the names of those left unused.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) tensors: BTreeMap<String, JoinedTensor>,
    pub(super) unused: Vec<String>,
}

/// Requires every expected tensor, with its shape and a weight data type, and accepts no others
/// except BatchNorm's counters, the mask token and, with `allow_unused`, training classifiers.
pub(super) fn verify(
    found: Found,
    expected: &[Expected],
    embed_dim: usize,
    allow_unused: bool,
) -> Result<Verified, CheckpointProblem> {
    let Found { mut inside, outside } = found;
    let mut mismatch = LayoutMismatch::default();
    let mut tensors = BTreeMap::new();
    for Expected { name, shape, .. } in expected {
        match inside.remove_entry(name) {
            None => mismatch.missing.push(name.clone()),
            Some((_, tensor)) if tensor.shape != *shape => {
                mismatch.shape_mismatches.push(ShapeMismatch {
                    tensor: name.clone(),
                    expected: format!("{shape:?}"),
                    found: tensor.shape,
                })
            }
            Some((name, tensor)) => {
                tensors.insert(name, tensor);
            }
        }
    }
    let mut unused = Vec::new();
    let mut harmless = Vec::new();
    for (name, tensor) in &inside {
        if BOOKKEEPING.contains(&name.as_str()) {
            continue;
        }
        let is_token = tensor.shape == [1, 1, embed_dim] || tensor.shape == [1, embed_dim];
        if name == MASK_TOKEN && is_token {
            unused.push(sanitized_name(name));
        } else if is_classifier(name) {
            harmless.push(sanitized_name(name));
        } else {
            mismatch.unexpected.push(sanitized_name(name));
        }
    }
    for name in &outside {
        match is_classifier(name) {
            true => harmless.push(sanitized_name(name)),
            false => mismatch.unexpected.push(sanitized_name(name)),
        }
    }
    match allow_unused {
        true => unused.append(&mut harmless),
        false => mismatch.harmless = harmless,
    }
    if mismatch != LayoutMismatch::default() {
        return Err(CheckpointProblem::Layout(Box::new(mismatch)));
    }
    for (name, tensor) in &tensors {
        let mut dtypes = tensor.parts().iter().map(|part| part.dtype);
        if let Some(dtype) = dtypes.find(|dtype| !dtype.is_weight()) {
            return Err(CheckpointProblem::Dtype { tensor: name.clone(), found: dtype.name() });
        }
    }
    Ok(Verified { tensors, unused })
}
