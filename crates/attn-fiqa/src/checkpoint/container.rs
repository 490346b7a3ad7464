//! Detects a file's format from its first bytes and lists its tensors.

use std::collections::BTreeMap;

use super::error::CheckpointProblem;
use super::tensor::TensorRef;
use super::{safetensors, torch_zip, unsupported_format};

/// The supported formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContainerFormat {
    /// A `.safetensors` file.
    Safetensors,
    /// Several `.safetensors` files and a JSON index that says which tensor is in which file.
    SafetensorsShards,
    /// The zip format that `torch.save` has written since PyTorch 1.6.
    TorchZip,
}

impl ContainerFormat {
    /// The format's name for reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
            Self::SafetensorsShards => "safetensors in shards",
            Self::TorchZip => "PyTorch zip",
        }
    }
}

/// What a file holds, before any name is interpreted.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) format: ContainerFormat,
    /// Every tensor by its name in the file; names are unique.
    pub(super) tensors: Vec<(String, TensorRef)>,
    /// The text metadata of a safetensors file.
    pub(super) metadata: BTreeMap<String, String>,
    /// Keys of the dictionaries around the state dict, outermost first.
    pub(super) wrappers: Vec<String>,
    /// Keys next to the state dict in those dictionaries.
    pub(super) beside: Vec<String>,
}

/// Lists the tensors of `file`, whatever its name.
pub(super) fn read(file: &[u8]) -> Result<Contents, CheckpointProblem> {
    if file.is_empty() {
        return Err(CheckpointProblem::Empty);
    }
    if safetensors::is_safetensors(file) {
        return safetensors::read(file);
    }
    if torch_zip::is_zip(file) {
        return torch_zip::read(file);
    }
    Err(unsupported_format::identify(file))
}
