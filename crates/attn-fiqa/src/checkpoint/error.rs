//! Errors about checkpoints, worded so that a person can act on them.

use crate::sanitize::sanitized_line;

use super::diagnostics::{Examples, LayoutMismatch, LooksLike, Numbers, PresetChoices, Quoted};
use super::pickle::PickleProblem;
use super::preset::Preset;
use super::provenance::Provenance;

/// Maximum length of a message, in characters, excluding the file's name.
const LONGEST_REASON: usize = 800;

/// A checkpoint that was refused, and why.
///
/// Its message is one line: the file, what was expected, what was found and what to do. Names taken
/// from the file are escaped and shortened.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}", sanitized_line(.file, usize::MAX), sanitized_line(&.problem.to_string(), LONGEST_REASON))]
pub struct CheckpointError {
    file: String,
    problem: Box<CheckpointProblem>,
}

impl CheckpointError {
    pub(super) fn new(file: &str, problem: CheckpointProblem) -> Self {
        Self { file: file.to_owned(), problem: Box::new(problem) }
    }

    /// The file as given: a path, or the name of an embedded file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// What is wrong with it.
    pub fn problem(&self) -> &CheckpointProblem {
        &self.problem
    }
}

/// Why a checkpoint is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointProblem {
    /// The operating system could not open, read or map the file.
    #[error("cannot be read: {0}")]
    Io(std::io::Error),

    /// The path is a folder, a pipe or a device.
    #[error("is not a regular file; expected a .safetensors file or a PyTorch .pt or .pth file")]
    NotAFile,

    /// The file is empty.
    #[error("is empty; the download or copy may have failed")]
    Empty,

    /// A count or size far beyond any face ViT, refused before memory is allocated.
    #[error("has a {what} of {found} {unit}, more than the {limit} that a face ViT can need")]
    Oversized {
        /// What is too large.
        what: &'static str,
        /// The declared value.
        found: u64,
        /// Its unit.
        unit: &'static str,
        /// Maximum accepted value.
        limit: u64,
    },

    /// The file does not fit in memory.
    #[error("has {bytes} bytes, which do not fit in memory; map the file instead of copying it")]
    NoMemory {
        /// Size of the file.
        bytes: u64,
    },

    /// The file has an unsupported format.
    #[error("is {what}; {advice}")]
    UnsupportedFormat {
        /// The detected format, or that it is unknown.
        what: &'static str,
        /// How to obtain a supported file.
        advice: &'static str,
    },

    /// The safetensors header does not match the file's bytes.
    #[error(
        "has an invalid safetensors header: {detail}; the file may be truncated or damaged, so \
         fetch it again"
    )]
    SafetensorsHeader {
        /// What is wrong with the header.
        detail: String,
    },

    /// The zip directory cannot be read.
    #[error(
        "has an unreadable zip directory: {detail}; the file may be truncated or damaged, so \
         fetch it again"
    )]
    Zip {
        /// What is wrong with the directory.
        detail: String,
    },

    /// The index of a sharded checkpoint cannot be used.
    #[error(
        "is not a usable shard index: {detail}; expected a safetensors file, a PyTorch file or the \
         `model.safetensors.index.json` next to its shards"
    )]
    ShardIndex {
        /// What is wrong with it.
        detail: String,
    },

    /// A file named by the index does not exist.
    #[error("names the shard `{shard}`, which is not in the same folder: put all shards there")]
    ShardMissing {
        /// Name of the file.
        shard: String,
    },

    /// A file named by the index cannot be used.
    #[error("names the shard `{shard}`, which {problem}")]
    Shard {
        /// Name of the file.
        shard: String,
        /// What is wrong with it.
        problem: Box<CheckpointProblem>,
    },

    /// A tensor is not in the file that the index names.
    #[error(
        "places tensor `{tensor}` {expected}, but it {found}: the files do not belong together, \
         so fetch them all again"
    )]
    ShardTensor {
        /// Name of the tensor.
        tensor: String,
        /// Where it was found.
        found: String,
        /// Where it is, according to the index.
        expected: String,
    },

    /// An entry of the zip file cannot be used.
    #[error("zip entry `{entry}` {reason}")]
    ZipEntry {
        /// Name of the entry.
        entry: String,
        /// What is wrong with it and what to do.
        reason: String,
    },

    /// `data.pkl` uses something that a state dict does not need.
    #[error("data.pkl {0}")]
    Pickle(PickleProblem),

    /// A tensor of a PyTorch file does not fit its storage.
    #[error("tensor `{tensor}` {reason}")]
    Storage {
        /// Name of the tensor in the file.
        tensor: String,
        /// The mismatch.
        reason: String,
    },

    /// A name occurs twice.
    #[error("holds two entries named `{name}`; it is ambiguous which one is meant")]
    DuplicateName {
        /// The name.
        name: String,
    },

    /// A tensor has an unsupported data type.
    #[error(
        "tensor `{tensor}` holds {found} numbers; expected float32, float64, float16 or bfloat16, so save \
         the network after .float()"
    )]
    Dtype {
        /// Name of the tensor in the file.
        tensor: String,
        /// Its data type.
        found: &'static str,
    },

    /// No tensor name belongs to a known family.
    #[error(
        "holds no Vision Transformer of a known family: none of its {count} tensors is named \
         `patch_embed.proj.weight`, `embeddings.patch_embeddings.projection.weight` or \
         `class_embedding`{}{}", Examples(.examples), LooksLike(.looks_like)
    )]
    NoNetwork {
        /// Number of tensors in the file.
        count: usize,
        /// Some of their names.
        examples: Vec<String>,
        /// The architecture that the names suggest instead.
        looks_like: Option<&'static str>,
    },

    /// The names have an unknown prefix.
    #[error(
        "has an unknown key prefix `{prefix}` (tensor `{tensor}`); known prefixes are `module.`, \
         `backbone.`, `model.`, `net.`, `_orig_mod.` and their concatenations, so rename the keys"
    )]
    UnknownPrefix {
        /// The part before the canonical name.
        prefix: String,
        /// The tensor that has this prefix.
        tensor: String,
    },

    /// The file holds more than one network.
    #[error(
        "holds several networks, under {}; it is ambiguous which one is meant, so save only one of \
         them", Quoted(.under)
    )]
    SeveralNetworks {
        /// Prefixes or wrapper entries that each contain a network.
        under: Vec<String>,
    },

    /// Tensors are missing, unexpected or of the wrong shape.
    #[error("{0}")]
    Layout(Box<LayoutMismatch>),

    /// An unusable value in metadata, in a JSON file or in an option.
    #[error("`{key}` is {found} ({from}); expected {expected}")]
    BadValue {
        /// The key.
        key: &'static str,
        /// The value.
        found: String,
        /// Its source.
        from: Provenance,
        /// Which values are valid.
        expected: String,
    },

    /// Two sources disagree.
    #[error(
        "{what} is {first} by {first_from}, but {second} by {second_from}; remove or correct \
         one of them"
    )]
    Contradiction {
        /// The configuration value in question.
        what: &'static str,
        /// The value from the source with higher precedence.
        first: String,
        /// That source.
        first_from: Provenance,
        /// The value from the other source.
        second: String,
        /// The other source.
        second_from: Provenance,
    },

    /// The number of attention heads is unknown.
    #[error(
        "does not say how many attention heads it has, and tensor shapes do not determine it: give the \
         number of heads (plausible for width {embed_dim}: {}){}",
        Numbers(.divisors), PresetChoices(.presets)
    )]
    HeadsUnknown {
        /// Width `D`.
        embed_dim: usize,
        /// Divisors of `D` that give a usual head dimension.
        divisors: Vec<usize>,
        /// Presets with the same shapes.
        presets: Vec<Preset>,
    },

    /// The width is not divisible by the number of heads.
    #[error("{heads} heads ({from}) do not divide the width {embed_dim}")]
    HeadsDoNotDivide {
        /// Number of heads `H`.
        heads: usize,
        /// Width `D`.
        embed_dim: usize,
        /// Where the number of heads comes from.
        from: Provenance,
    },

    /// The preset is a different network.
    #[error(
        "is not a {}: its {what} is {found}, but the preset has {expected}", .preset.name()
    )]
    PresetMismatch {
        /// The requested preset.
        preset: Preset,
        /// The first value that differs.
        what: &'static str,
        /// Its value in the preset.
        expected: usize,
        /// Its value in the file.
        found: usize,
    },

    /// The JSON file next to the checkpoint cannot be used.
    #[error("the configuration file next to it, {path}, {detail}")]
    JsonConfig {
        /// Path of the JSON file.
        path: String,
        /// What is wrong with it.
        detail: String,
    },

    /// A weight is infinite or not a number.
    #[error("tensor `{tensor}` holds {value} at position {index}; the file is damaged")]
    NotFinite {
        /// Canonical name of the tensor.
        tensor: String,
        /// Row-major position of the first such weight.
        index: usize,
        /// The weight.
        value: f32,
    },

    /// A requested tensor is not in the file.
    #[error("has no tensor `{tensor}`{}", if *.quality_only {
        "; it holds only what a score needs, so use the full checkpoint"
    } else { "" })]
    Absent {
        /// Canonical name of the tensor.
        tensor: String,
        /// Whether the file holds only what a score needs.
        quality_only: bool,
    },

    /// The output of a conversion would replace its input.
    #[error("is both input and output of the conversion; choose another output path")]
    OutputIsInput,

    /// The output of a conversion could not be written.
    #[error("cannot be written: {0}")]
    Write(std::io::Error),

    /// A weight does not fit the requested data type.
    #[error(
        "tensor `{tensor}` holds {value} at position {index}, which is too large for {dtype}; \
         convert to float32 or bfloat16"
    )]
    Overflow {
        /// Canonical name of the tensor.
        tensor: String,
        /// Row-major position of the first such weight.
        index: usize,
        /// The weight.
        value: f32,
        /// The requested data type.
        dtype: &'static str,
    },

    /// A full file cannot be made from one that holds only what a score needs.
    #[error(
        "holds only what a score needs, so a full file cannot be made from it; convert the \
         original checkpoint or ask for a quality-only file"
    )]
    NotFull,
}
