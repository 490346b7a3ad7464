//! Compares the tensors found with those that the configuration requires.

use std::collections::BTreeMap;

use super::diagnostics::{LayoutMismatch, ShapeMismatch};
use super::error::CheckpointProblem;
use super::layout::Expected;
use super::names::{BOOKKEEPING, MASK_TOKEN, is_classifier};
use super::tensor::TensorRef;
use crate::sanitize::sanitized_name;

/// The tensors of a file, split by whether they belong to the network.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Tensors under the prefix, by name without it.
    pub(super) inside: BTreeMap<String, TensorRef>,
    /// Full names of all other tensors.
    pub(super) outside: Vec<String>,
}

/// The tensors of the network and the names of those left unused.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) tensors: BTreeMap<String, TensorRef>,
    pub(super) unused: Vec<String>,
}

/// Strict: requires every expected tensor, with its shape and a weight's data type, and no others
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
        if name == MASK_TOKEN && tensor.shape == [1, 1, embed_dim] {
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
        if !tensor.dtype.is_weight() {
            return Err(CheckpointProblem::Dtype {
                tensor: name.clone(),
                found: tensor.dtype.name(),
            });
        }
    }
    Ok(Verified { tensors, unused })
}
