//! Checkpoints: untrusted files in, verified tensors with canonical names out.
//!
//! [`Checkpoint::open`] takes a `.safetensors` file, the index of a sharded one or a PyTorch zip
//! file, detected by content, and checks every name, shape and data type before a weight is read.
//! Nothing in the file is executed. Canonical names and shapes are those of InsightFace, CVLface
//! and timm; files of other families ([`Family`]) are read under these names.

#[cfg(feature = "builtin-model")]
mod builtin;
mod bytes;
mod calibration;
mod causes;
mod consistency;
mod container;
mod convert;
mod diagnostics;
mod error;
mod family;
mod guess_architecture;
mod infer;
mod inspect;
mod json_config;
mod layout;
mod limits;
mod metadata;
mod names;
mod pickle;
mod preset;
mod provenance;
mod resolve;
mod safetensors;
mod shards;
mod tensor;
mod torch_zip;
mod unsupported_format;
mod verify;
mod zip_entries;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use container::Contents;
use names::ExcludedTensor;
use resolve::{ResolvedConfig, Sources};
use tensor::{JoinedTensor, TensorRef};
use verify::{Found, Verified};

pub use names::KEY_BIAS;

use crate::vit::config::{Activation, LandmarkBias, ScoreTokens, VitConfig};

#[cfg(feature = "builtin-model")]
pub use builtin::{BUILTIN_NAME, builtin};
pub use calibration::Calibration;
pub use container::ContainerFormat;
pub use convert::{ConvertOptions, WeightDtype, write_calibrated, write_canonical};
pub use diagnostics::{LayoutMismatch, ShapeMismatch};
pub use error::{CheckpointError, CheckpointProblem};
pub use family::{Family, ModelWarning};
pub use inspect::Inspection;
pub use layout::Content;
pub use pickle::PickleProblem;
pub use preset::Preset;
pub use provenance::Provenance;
pub use resolve::ConfigValue;

/// What the caller knows about a checkpoint.
#[derive(Debug, Clone, Default)]
pub struct CheckpointOptions {
    /// The published network that the file must be.
    pub preset: Option<Preset>,
    /// The number of attention heads, which shapes do not determine.
    pub heads: Option<usize>,
    /// The activation of the MLP. Defaults to what the file says, or else to that of the family
    /// (ReLU6 in the official layout).
    pub activation: Option<Activation>,
    /// The tokens over whose queries and keys a score is averaged. Defaults to what the file says,
    /// or else to all.
    pub score_tokens: Option<ScoreTokens>,
    /// Whether scores include the bias that landmarks add to the attention. Defaults to what the
    /// file says, or else to no. Refused for a network without such a bias.
    pub landmark_bias: Option<LandmarkBias>,
    /// Whether to accept the classifiers that margin losses train on top of the network.
    pub allow_unused: bool,
    /// Whether a file is mapped or copied into memory.
    pub loading: Loading,
}

/// How a checkpoint's file is loaded into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Loading {
    /// Mapped: only pages that are read use memory, and the file must not change while the
    /// [`Checkpoint`] lives. If it is truncated meanwhile, further reading kills the process with a
    /// bus error, which cannot be reported as an error. An [`Engine`](crate::engine::Engine) holds
    /// copies of its weights: once it is built, the file may change.
    #[default]
    Mapped,
    /// Copied whole when opened: this uses the file's size in memory, and later changes to the file
    /// do not matter. For services, whose model files may be replaced.
    Copied,
}

/// A verified checkpoint: the configuration of a face ViT and its weights, which stay in the file
/// until they are read.
///
/// # Examples
///
/// A file copied into memory, as in a server, with weights that do not determine the number of
/// heads:
///
/// ```no_run
/// use attn_fiqa::checkpoint::{Checkpoint, CheckpointOptions, Loading};
///
/// let options = CheckpointOptions {
///     heads: Some(8),
///     loading: Loading::Copied,
///     ..CheckpointOptions::default()
/// };
/// let checkpoint = Checkpoint::open("vit-s.safetensors".as_ref(), &options)?;
/// println!("{} blocks of width {}", checkpoint.config().depth, checkpoint.config().embed_dim);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Checkpoint {
    file: String,
    /// The files it was read from, if any.
    paths: Vec<PathBuf>,
    bytes: Bytes,
    /// The files that hold the tensors, if `bytes` is an index.
    shards: Vec<Bytes>,
    tensors: BTreeMap<String, JoinedTensor>,
    family: Family,
    family_from: Provenance,
    resolved: ResolvedConfig,
    content: Content,
    calibration: Option<Calibration>,
    origin: Origin,
}

/// What surrounds the network in the file.
#[derive(Debug)]
struct Origin {
    format: ContainerFormat,
    prefix: String,
    wrappers: Vec<String>,
    beside: Vec<String>,
    unused: Vec<String>,
    left_out: Vec<String>,
}

impl Checkpoint {
    /// Opens and verifies the file at `path`, mapped or copied according to [`Loading`]; by default
    /// it is mapped and must not change while the checkpoint lives.
    ///
    /// For a sharded checkpoint, `path` is its `model.safetensors.index.json`; the shards must be
    /// next to it and hold exactly what the index says. They are mapped or copied as well.
    ///
    /// A JSON file next to it (`<stem>.json`, else `config.json`) may give `num_heads` (or
    /// `heads`), `activation`, `image_size` and `layer_norm_eps`, or be a `config.json` as timm and
    /// Hugging Face's transformers write it; the mean and deviation of pixels are also read from
    /// `preprocessor_config.json`.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, has another format, is damaged or malicious, is not a face ViT
    /// of the layout, or lacks required information.
    pub fn open(path: &Path, options: &CheckpointOptions) -> Result<Self, CheckpointError> {
        let file = path.display().to_string();
        Self::open_files(path, &file, options)
            .map_err(|problem| CheckpointError::new(&file, problem))
    }

    /// Verifies a checkpoint embedded in the program; `name` identifies it in errors.
    ///
    /// # Errors
    ///
    /// As [`Checkpoint::open`].
    pub fn from_static(
        bytes: &'static [u8],
        name: &str,
        options: &CheckpointOptions,
    ) -> Result<Self, CheckpointError> {
        Self::load_one(Bytes::Static(bytes), name, options)
            .map_err(|problem| CheckpointError::new(name, problem))
    }

    /// Verifies a checkpoint in memory; `name` identifies it in errors.
    ///
    /// # Errors
    ///
    /// As [`Checkpoint::open`].
    pub fn from_bytes(
        bytes: Vec<u8>,
        name: &str,
        options: &CheckpointOptions,
    ) -> Result<Self, CheckpointError> {
        Self::load_one(Bytes::Owned(bytes), name, options)
            .map_err(|problem| CheckpointError::new(name, problem))
    }

    /// The family of the network.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Signs that the network is not a face recogniser.
    pub fn warnings(&self) -> Vec<ModelWarning> {
        family::warnings(self.family, self.config())
    }

    /// The network's configuration.
    pub fn config(&self) -> &VitConfig {
        &self.resolved.config
    }

    /// Every value of the configuration and where it comes from.
    pub fn config_values(&self) -> &[ConfigValue] {
        &self.resolved.values
    }

    /// Whether the file holds only what a score needs.
    pub fn is_quality_only(&self) -> bool {
        self.content == Content::QualityOnly
    }

    /// The calibration stored with the model.
    pub fn calibration(&self) -> Option<&Calibration> {
        self.calibration.as_ref()
    }

    /// Whether the file holds the tensor with this canonical name.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The shape of the tensor with this canonical name.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|tensor| tensor.shape.as_slice())
    }

    /// The weights of the tensor with this canonical name, in row-major order.
    ///
    /// # Errors
    ///
    /// If there is no such tensor, or one of its weights is infinite or NaN.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>, CheckpointError> {
        let fail = |problem| CheckpointError::new(&self.file, problem);
        let absent = || {
            fail(CheckpointProblem::Absent {
                tensor: name.to_owned(),
                quality_only: self.is_quality_only(),
            })
        };
        let tensor = self.tensors.get(name).ok_or_else(absent)?;
        let file = |part: &TensorRef| file_of(part, &self.bytes, &self.shards);
        let values = tensor.to_f32(|part| Some(file(part)?)).ok_or_else(absent)?;
        for part in tensor.parts() {
            if let Some(file) = file(part) {
                file.release(part.start..part.start + part.len);
            }
        }
        match tensor::first_not_finite(&values) {
            None => Ok(values),
            Some(index) => Err(fail(CheckpointProblem::NotFinite {
                tensor: name.to_owned(),
                index,
                value: values.get(index).copied().unwrap_or(f32::NAN),
            })),
        }
    }

    /// Describes the file: format, configuration and its sources, sizes, hash. Reads the whole file
    /// once, for the hash.
    pub fn inspect(&self) -> Inspection {
        inspect::inspect(self)
    }

    /// The file as given: a path, or the name of an embedded file.
    #[cfg(feature = "export")]
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// The files it was read from, if any.
    #[cfg(feature = "export")]
    pub(crate) fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// All its files: the index first, then the shards in the order of their names.
    fn files(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(&*self.bytes).chain(self.shards.iter().map(|shard| &**shard))
    }

    fn open_files(
        path: &Path,
        file: &str,
        options: &CheckpointOptions,
    ) -> Result<Self, CheckpointProblem> {
        let bytes = Bytes::open(path, options.loading)?;
        let mut paths = vec![path.to_owned()];
        let (shards, contents) = if shards::is_index(&bytes) {
            let sharded = shards::open(&bytes, path, options.loading)?;
            paths.extend(sharded.paths);
            (sharded.files, sharded.contents)
        } else {
            (Vec::new(), container::read(&bytes)?)
        };
        Self::load(bytes, shards, contents, file, paths, options)
    }

    fn load_one(
        bytes: Bytes,
        name: &str,
        options: &CheckpointOptions,
    ) -> Result<Self, CheckpointProblem> {
        let contents = container::read(&bytes)?;
        Self::load(bytes, Vec::new(), contents, name, Vec::new(), options)
    }

    fn load(
        bytes: Bytes,
        shards: Vec<Bytes>,
        contents: Contents,
        file: &str,
        paths: Vec<PathBuf>,
        options: &CheckpointOptions,
    ) -> Result<Self, CheckpointProblem> {
        let Contents { format, tensors, metadata, wrappers, beside } = contents;
        let names = || tensors.iter().map(|(name, _)| name.as_str());
        let looks_like = guess_architecture::guess(names());
        let Some(network) = names::find_network(names())? else {
            return Err(CheckpointProblem::NoNetwork {
                count: tensors.len(),
                examples: names().take(3).map(crate::sanitize::sanitized_name).collect(),
                looks_like,
            });
        };

        let mut inside = BTreeMap::new();
        let mut outside = Vec::new();
        let mut excluded: BTreeMap<ExcludedTensor, usize> = BTreeMap::new();
        for (name, tensor) in tensors {
            if let Some(exclusion) = network.exclusion(&name) {
                *excluded.entry(exclusion).or_default() += 1;
                continue;
            }
            match name.strip_prefix(&network.prefix) {
                Some(within) => {
                    inside.insert(within.to_owned(), tensor);
                }
                None => outside.push(name),
            }
        }
        let declared = metadata::from_metadata(&metadata)?;
        let mut canonical =
            family::canonical(network.naming, &network.tower, declared.family, inside)?;
        let (family, family_from) = match declared.family {
            Some(family) => (family, Provenance::Metadata),
            None => (canonical.family, Provenance::Shape(canonical.evidence)),
        };
        let inside = std::mem::take(&mut canonical.tensors);
        let found = Found { inside, outside };
        let describe = |problem| match problem {
            CheckpointProblem::Layout(mismatch) => {
                let mut mismatch = canonical.in_stored_names(*mismatch);
                // If the family was recognised, there is no need to guess.
                mismatch.looks_like = looks_like
                    .filter(|&guess| family.is_official() || guess == guess_architecture::SWIN);
                CheckpointProblem::Layout(Box::new(mismatch))
            }
            other => other,
        };
        let shapes = infer::shapes(&found.inside, family)
            .map_err(|mismatch| describe(CheckpointProblem::Layout(Box::new(mismatch))))?;
        let json = match paths.first() {
            Some(path) => json_config::beside(path)?,
            None => Vec::new(),
        };
        let resolved = resolve::resolve_config(&Sources {
            options,
            family,
            family_from: &family_from,
            metadata: &declared,
            json: &json,
            shapes,
        })
        .map_err(describe)?;
        let config = &resolved.config;
        limits::check(config)?;
        let expected = layout::tensors(config, shapes.content, shapes.extras());
        let Verified { tensors, mut unused } =
            verify::verify(found, &expected, config.embed_dim, options.allow_unused)
                .map_err(describe)?;
        let read = |name: &str| {
            let tensor = tensors.get(name)?;
            tensor.to_f32(|part| Some(file_of(part, &bytes, &shards)?))
        };
        let (bias, causes) = (read(names::KEY_BIAS), read(names::CAUSES));
        let calibration =
            Calibration::from_metadata(&metadata, bias.as_deref(), causes.as_deref())?;
        unused.extend(canonical.unused);
        Ok(Self {
            file: file.to_owned(),
            paths,
            bytes,
            shards,
            tensors,
            family,
            family_from,
            resolved,
            content: shapes.content,
            calibration,
            origin: Origin {
                format,
                prefix: format!("{}{}", network.prefix, network.tower),
                wrappers,
                beside,
                unused,
                left_out: excluded.into_iter().map(describe_excluded).collect(),
            },
        })
    }

    /// The tensors in the network's order.
    fn layout(&self) -> Vec<layout::Expected> {
        let model = self.calibration().and_then(|found| found.causes.as_ref());
        let extras = layout::Extras {
            key_bias: self.contains(names::KEY_BIAS),
            cause_rows: model.map(|model| model.causes().len() + 1),
        };
        layout::tensors(self.config(), self.content, extras)
    }
}

/// What was left out, and how many tensors it has.
fn describe_excluded((exclusion, count): (ExcludedTensor, usize)) -> String {
    match exclusion {
        ExcludedTensor::Copy(prefix) => {
            let prefix = crate::sanitize::sanitized_name(&prefix);
            format!("moving average (EMA) of the weights under `{prefix}` ({count} tensors)")
        }
        ExcludedTensor::Optimizer => format!("state of an optimizer ({count} tensors)"),
    }
}

/// The file that holds a tensor: the checkpoint's only file or one of its shards.
fn file_of<'a>(tensor: &TensorRef, bytes: &'a Bytes, shards: &'a [Bytes]) -> Option<&'a Bytes> {
    if shards.is_empty() { Some(bytes) } else { shards.get(tensor.file) }
}

/// Whether `name` is a single normal path component.
fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\', ':', '\0'])
}
