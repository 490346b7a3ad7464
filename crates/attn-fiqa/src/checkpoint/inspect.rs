//! A description of a checkpoint as plain data, for a report.

use sha2::{Digest, Sha256};

use super::Checkpoint;
use super::calibration::Calibration;
use super::container::ContainerFormat;
use super::family::{Family, ModelWarning};
use super::layout::{self, Content};
use super::names::KEY_BIAS;
use super::preset::Preset;
use super::provenance::Provenance;
use super::resolve::ConfigValue;

/// A report on a checkpoint.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Inspection {
    /// The file as given.
    pub file: String,
    /// Size of the file in bytes; for a sharded checkpoint, of all its files.
    pub file_size: u64,
    /// SHA-256 of the file, as 64 lower-case hexadecimal digits; for a sharded checkpoint, of its
    /// index followed by the shards in the order of their names.
    pub sha256: String,
    /// Format of the file.
    pub format: ContainerFormat,
    /// Keys of the dictionaries around the state dict, outermost first.
    pub wrappers: Vec<String>,
    /// Keys next to the state dict in those dictionaries, such as `epoch`.
    pub beside: Vec<String>,
    /// The prefix removed from every name; may be empty.
    pub prefix: String,
    /// The family of the network.
    pub family: Family,
    /// What the family was recognised by.
    pub family_from: Provenance,
    /// Signs that the network is not a face recogniser.
    pub warnings: Vec<ModelWarning>,
    /// What else the file holds that a score does not use: copies of the network, the state of an
    /// optimizer.
    pub left_out: Vec<String>,
    /// Data types of the weights, and how many tensors have each.
    pub dtypes: Vec<(&'static str, usize)>,
    /// Every value of the configuration and where it comes from.
    pub config: Vec<ConfigValue>,
    /// The published network that has this configuration.
    pub preset: Option<Preset>,
    /// Whether the file holds the whole network.
    pub content: Content,
    /// Number of learned parameters in the file. BatchNorm's running statistics are not counted.
    pub parameters: u64,
    /// Number of parameters that a score needs.
    pub parameters_for_quality: u64,
    /// Accepted tensors that are not used.
    pub unused: Vec<String>,
    /// Whether a key bias fitted to utility is stored with the network.
    pub has_key_bias: bool,
    /// The stored map to 0–100 and its record.
    pub calibration: Option<Calibration>,
}

impl Inspection {
    /// The fraction of parameters that a score does not need, from 0 to 1.
    pub fn fraction_not_needed(&self) -> f64 {
        match self.parameters {
            0 => 0.0,
            total => 1.0 - self.parameters_for_quality as f64 / total as f64,
        }
    }
}

pub(super) fn inspect(checkpoint: &Checkpoint) -> Inspection {
    let config = checkpoint.config();
    let parameters = layout::count(&checkpoint.layout());
    let mut dtypes: Vec<(&'static str, usize)> = Vec::new();
    let stored = checkpoint.tensors.values().flat_map(|tensor| tensor.parts());
    for tensor in stored {
        let name = tensor.dtype.name();
        match dtypes.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => dtypes.push((name, 1)),
        }
    }
    let preset =
        Preset::matching(config.patch_size, config.embed_dim, config.depth, config.mlp_dim)
            .find(|preset| preset.shape().num_heads == config.num_heads)
            .filter(|_| checkpoint.family.is_official());
    let origin = &checkpoint.origin;
    let mut hash = Sha256::new();
    for bytes in checkpoint.files() {
        hash.update(bytes);
    }
    Inspection {
        file: checkpoint.file.clone(),
        file_size: checkpoint.files().map(|bytes| bytes.len() as u64).sum(),
        sha256: hex(&hash.finalize()),
        format: origin.format,
        wrappers: origin.wrappers.clone(),
        beside: origin.beside.clone(),
        prefix: origin.prefix.clone(),
        family: checkpoint.family,
        family_from: checkpoint.family_from.clone(),
        warnings: checkpoint.warnings(),
        left_out: origin.left_out.clone(),
        dtypes,
        config: checkpoint.resolved.values.clone(),
        preset,
        content: checkpoint.content,
        parameters: parameters.total,
        parameters_for_quality: parameters.needed_for_quality,
        unused: origin.unused.clone(),
        has_key_bias: checkpoint.contains(KEY_BIAS),
        calibration: checkpoint.calibration().cloned(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
