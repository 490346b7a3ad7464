//! Writes the canonical file: safetensors, canonical names, one data type.

use std::collections::BTreeMap;
use std::path::Path;

use half::{bf16, f16};

use super::error::{CheckpointError, CheckpointProblem};
use super::family::Family;
use super::layout::{self, Content, Expected, Extras};
use super::metadata::{COLOR, CONTENT_KEY, FAMILY_KEY, FORMAT, FORMAT_KEY};
use super::names::{CAUSES, KEY_BIAS, qk};
use super::resolve::three;
use super::tensor::StoredType;
use super::{Calibration, Checkpoint};
use crate::atomic_file::{is_same_file, write_atomically};
use crate::vit::config::{EmbeddingHeadConfig, LandmarkBias, ScoreTokens};

/// The header is padded so that the tensors start at a multiple of this.
const ALIGNMENT: usize = 8;

/// The data type of the weights in a written file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WeightDtype {
    /// 32-bit float: exactly the weights read.
    #[default]
    F32,
    /// 16-bit IEEE float, rounded to nearest.
    F16,
    /// bfloat16, rounded to nearest.
    Bf16,
}

impl WeightDtype {
    /// The name used on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::Bf16 => "bfloat16",
        }
    }

    /// Bytes per value.
    fn width(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// Its name in a safetensors header.
    fn tag(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
        }
    }

    /// Appends `value`; `false` if it is finite but overflows to infinity.
    fn append(self, value: f32, bytes: &mut Vec<u8>) -> bool {
        match self {
            Self::F32 => {
                bytes.extend(value.to_le_bytes());
                true
            }
            Self::F16 => {
                let rounded = f16::from_f32(value);
                bytes.extend(rounded.to_le_bytes());
                rounded.is_finite()
            }
            Self::Bf16 => {
                let rounded = bf16::from_f32(value);
                bytes.extend(rounded.to_le_bytes());
                rounded.is_finite()
            }
        }
    }
}

/// Options for writing a checkpoint.
#[derive(Debug, Clone, Copy, Default)]
pub struct ConvertOptions {
    /// Data type of the weights. `calibration.key_bias` is always float32 and
    /// `calibration.causes` always float16.
    pub dtype: WeightDtype,
    /// Leave out what a score does not need: the embedding head, `norm`, and everything in the last
    /// block except `norm1` and the query and key rows, which become `blocks.{L-1}.attn.qk.weight`
    /// `[2D, D]` and `.bias` `[2D]`.
    pub quality_only: bool,
}

/// Writes `checkpoint` to `path` as a canonical safetensors file.
///
/// The same checkpoint and options give the same bytes. The write is atomic: the file is written
/// next to `path` and then renamed, replacing any file of that name. BatchNorm's
/// `num_batches_tracked` and unused tensors are left out.
///
/// # Errors
///
/// If `path` is a file of the checkpoint itself or cannot be written, a weight is not finite or
/// does not fit the data type, or a full file is requested from a quality-only `checkpoint`.
pub fn write_canonical(
    checkpoint: &Checkpoint,
    path: &Path,
    options: ConvertOptions,
) -> Result<(), CheckpointError> {
    if checkpoint.is_quality_only() && !options.quality_only {
        return Err(CheckpointError::new(&checkpoint.file, CheckpointProblem::NotFull));
    }
    let content = match options.quality_only {
        true => Content::QualityOnly,
        false => Content::Full,
    };
    let key_bias =
        checkpoint.contains(KEY_BIAS).then(|| checkpoint.read_f32(KEY_BIAS)).transpose()?;
    let plan =
        Plan::new(checkpoint, content, |_| options.dtype, checkpoint.calibration(), key_bias);
    write(checkpoint, path, &plan)
}

/// Writes `checkpoint` to `path` with another calibration and with `key_bias` `[head, head_dim]`,
/// or none, in place of its key bias; every other weight keeps its data type and its bits.
///
/// The file is canonical in the sense of [`write_canonical`], and the write is atomic.
///
/// # Errors
///
/// If `path` is a file of the checkpoint itself or cannot be written, or a weight is not finite.
///
/// # Panics
///
/// If the key bias or the calibration's readout of causes does not have the model's shape.
pub fn write_calibrated(
    checkpoint: &Checkpoint,
    path: &Path,
    key_bias: Option<Vec<f32>>,
    calibration: &Calibration,
) -> Result<(), CheckpointError> {
    assert!(
        key_bias.as_ref().is_none_or(|bias| bias.len() == checkpoint.config().embed_dim),
        "a key bias of another model: this is a bug"
    );
    assert!(
        calibration.causes.as_ref().is_none_or(|m| m.dim() == checkpoint.config().embed_dim),
        "a readout of causes of another model: this is a bug"
    );
    let stored = |name: &str| match checkpoint.tensors.get(name).and_then(|one| one.dtype()) {
        Some(StoredType::F16) => WeightDtype::F16,
        Some(StoredType::Bf16) => WeightDtype::Bf16,
        _ => WeightDtype::F32,
    };
    let plan = Plan::new(checkpoint, checkpoint.content, stored, Some(calibration), key_bias);
    write(checkpoint, path, &plan)
}

fn write(checkpoint: &Checkpoint, path: &Path, plan: &Plan) -> Result<(), CheckpointError> {
    let input = |problem| CheckpointError::new(&checkpoint.file, problem);
    if checkpoint.paths.iter().any(|input| is_same_file(input, path)) {
        return Err(input(CheckpointProblem::OutputIsInput));
    }
    let output =
        |error| CheckpointError::new(&path.display().to_string(), CheckpointProblem::Write(error));

    write_atomically(path, output, |writer| {
        writer.write_all(&plan.header).map_err(output)?;
        for tensor in &plan.tensors {
            let values = match &plan.key_bias {
                Some(bias) if tensor.expected.name == KEY_BIAS => bias.clone(),
                _ if tensor.expected.name == CAUSES => plan.causes.clone(),
                _ => values(checkpoint, &tensor.expected)?,
            };
            let bytes = encode(&values, tensor).map_err(input)?;
            writer.write_all(&bytes).map_err(output)?;
        }
        Ok(())
    })
}

/// A tensor to write and its data type.
struct Planned {
    expected: Expected,
    dtype: WeightDtype,
}

/// The header, and the tensors in the order in which they follow it.
struct Plan {
    header: Vec<u8>,
    tensors: Vec<Planned>,
    key_bias: Option<Vec<f32>>,
    /// Weights of the readout of causes, if there is one.
    causes: Vec<f32>,
}

impl Plan {
    fn new(
        checkpoint: &Checkpoint,
        content: Content,
        dtype: impl Fn(&str) -> WeightDtype,
        calibration: Option<&Calibration>,
        key_bias: Option<Vec<f32>>,
    ) -> Self {
        let config = checkpoint.config();
        let causes = calibration.and_then(|calibration| calibration.causes.as_ref());
        let extras = Extras {
            key_bias: key_bias.is_some(),
            cause_rows: causes.map(|model| model.causes().len() + 1),
        };
        let mut tensors: Vec<Planned> = layout::tensors(config, content, extras)
            .into_iter()
            .map(|expected| Planned {
                dtype: match expected.name.as_str() {
                    KEY_BIAS => WeightDtype::F32,
                    CAUSES => WeightDtype::F16,
                    name => dtype(name),
                },
                expected,
            })
            .collect();
        // Wider types first, so that each tensor starts at a multiple of its value size; otherwise
        // the network's order.
        tensors.sort_by_key(|tensor| std::cmp::Reverse(tensor.dtype.width()));

        let mut entries =
            vec![format!("\"__metadata__\":{}", metadata(checkpoint, content, calibration))];
        let mut start = 0;
        for tensor in &tensors {
            let Expected { name, shape, .. } = &tensor.expected;
            let end = start + shape.iter().product::<usize>() * tensor.dtype.width();
            entries.push(format!(
                "{}:{{\"dtype\":\"{}\",\"shape\":{},\"data_offsets\":[{start},{end}]}}",
                serde_json::Value::from(name.as_str()),
                tensor.dtype.tag(),
                serde_json::Value::from(shape.as_slice()),
            ));
            start = end;
        }
        let mut json = format!("{{{}}}", entries.join(",")).into_bytes();
        json.resize(json.len().next_multiple_of(ALIGNMENT), b' ');
        let mut header = (json.len() as u64).to_le_bytes().to_vec();
        header.append(&mut json);
        let causes = causes.map(|model| model.weights().to_vec()).unwrap_or_default();
        Self { header, tensors, key_bias, causes }
    }
}

/// The text metadata, as JSON with sorted keys.
fn metadata(
    checkpoint: &Checkpoint,
    content: Content,
    calibration: Option<&Calibration>,
) -> String {
    let config = checkpoint.config();
    let ratio = config.mlp_dim as f64 / config.embed_dim as f64;
    let mut entries = BTreeMap::from([
        ("format", "pt".to_owned()),
        ("num_heads", config.num_heads.to_string()),
        ("depth", config.depth.to_string()),
        ("patch_size", config.patch_size.to_string()),
        ("embed_dim", config.embed_dim.to_string()),
        ("mlp_ratio", ratio.to_string()),
        ("activation", config.activation.name().to_owned()),
        ("image_size", config.image_size.to_string()),
        ("layer_norm_eps", format!("{:e}", config.layer_norm_eps)),
        ("color", COLOR.to_owned()),
        (FORMAT_KEY, FORMAT.to_owned()),
        (CONTENT_KEY, content.name().to_owned()),
    ]);
    if let (Content::Full, Some(head)) = (content, config.embedding_head) {
        entries.insert("embedding_dim", head.dim().to_string());
    }
    // Files of the official layout have the same metadata keys as in earlier versions.
    if checkpoint.family() != Family::InsightFace {
        entries.insert(FAMILY_KEY, checkpoint.family().name().to_owned());
        entries.insert("pixel_mean", three(&config.pixel_mean));
        entries.insert("pixel_std", three(&config.pixel_std));
    }
    if let (Content::Full, Some(EmbeddingHeadConfig::Pooled(head))) =
        (content, config.embedding_head)
    {
        entries.insert("pooling", head.pooling.name().to_owned());
    }
    // A calibration is valid for the tokens and the landmark bias that it was fitted with.
    let calibrated = calibration.is_some() && config.prefix_tokens() > 0;
    if calibrated || config.score_tokens != ScoreTokens::default() {
        entries.insert("score_tokens", config.score_tokens.name().to_owned());
    }
    if let Some(bias) = config.landmark_bias
        && (calibration.is_some() || bias != LandmarkBias::default())
    {
        entries.insert("landmark_bias", bias.name().to_owned());
    }
    let mut entries: BTreeMap<String, String> =
        entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    entries.extend(calibration.into_iter().flat_map(Calibration::to_metadata));
    let text = serde_json::Value::from;
    let texts: Vec<String> =
        entries.into_iter().map(|(key, value)| format!("{}:{}", text(key), text(value))).collect();
    format!("{{{}}}", texts.join(","))
}

/// The values of a tensor to write, sliced from a larger one if necessary.
fn values(checkpoint: &Checkpoint, expected: &Expected) -> Result<Vec<f32>, CheckpointError> {
    let last = checkpoint.config().depth.saturating_sub(1);
    for part in ["weight", "bias"] {
        if expected.name == qk(last, part) && !checkpoint.is_quality_only() {
            let mut qkv = checkpoint.read_f32(&format!("blocks.{last}.attn.qkv.{part}"))?;
            // Rows are ordered query, key, value.
            qkv.truncate(expected.shape.iter().product());
            return Ok(qkv);
        }
    }
    checkpoint.read_f32(&expected.name)
}

fn encode(values: &[f32], tensor: &Planned) -> Result<Vec<u8>, CheckpointProblem> {
    let mut bytes = Vec::with_capacity(values.len() * tensor.dtype.width());
    for (index, &value) in values.iter().enumerate() {
        if !tensor.dtype.append(value, &mut bytes) {
            return Err(CheckpointProblem::Overflow {
                tensor: tensor.expected.name.clone(),
                index,
                value,
                dtype: tensor.dtype.name(),
            });
        }
    }
    Ok(bytes)
}
