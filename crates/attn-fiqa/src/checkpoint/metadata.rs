//! The configuration declared by a file's metadata or by a JSON file next to it.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use serde_json::Value;

use super::error::CheckpointProblem;
use super::layout::Content;
use super::provenance::Provenance;
use crate::regular_file::{OpenError, ReadError, read_regular_file};
use crate::sanitize::sanitized_name;
use crate::vit::config::Activation;

/// Largest JSON file that is parsed, in bytes.
const MAX_JSON_BYTES: u64 = 1 << 20;

/// Supported version of the canonical file.
pub(super) const FORMAT: &str = "1";

/// Metadata key of [`FORMAT`].
pub(super) const FORMAT_KEY: &str = "attn_fiqa.format";

/// Metadata key of [`Content`].
pub(super) const CONTENT_KEY: &str = "attn_fiqa.content";

/// Channel order of the input, the only supported one.
pub(super) const COLOR: &str = "RGB";

/// Values declared by one source; any may be absent.
#[derive(Debug, Clone, Default)]
pub(super) struct DeclaredConfig {
    pub(super) num_heads: Option<usize>,
    pub(super) activation: Option<Activation>,
    pub(super) image_size: Option<usize>,
    pub(super) layer_norm_eps: Option<f32>,
    pub(super) depth: Option<usize>,
    pub(super) patch_size: Option<usize>,
    pub(super) embed_dim: Option<usize>,
    pub(super) mlp_ratio: Option<f64>,
    pub(super) embedding_dim: Option<usize>,
    pub(super) content: Option<Content>,
}

/// The values in the text metadata of a safetensors file. Unknown keys are ignored.
pub(super) fn from_metadata(
    metadata: &BTreeMap<String, String>,
) -> Result<DeclaredConfig, CheckpointProblem> {
    let from = Provenance::Metadata;
    let text = |key: &'static str| metadata.get(key).map(|value| (key, value.as_str()));
    if let Some((key, value)) = text(FORMAT_KEY)
        && value != FORMAT
    {
        return Err(bad(key, value, &from, "1; the file needs a newer version of this program"));
    }
    if let Some((key, value)) = text("color")
        && value != COLOR
    {
        return Err(bad(key, value, &from, COLOR));
    }
    let whole = |key| text(key).map(|(key, value)| whole(key, value, &from)).transpose();
    Ok(DeclaredConfig {
        num_heads: whole("num_heads")?,
        activation: text("activation")
            .map(|(key, value)| activation(key, value, &from))
            .transpose()?,
        image_size: whole("image_size")?,
        layer_norm_eps: text("layer_norm_eps")
            .map(|(key, value)| epsilon(key, value, &from))
            .transpose()?,
        depth: whole("depth")?,
        patch_size: whole("patch_size")?,
        embed_dim: whole("embed_dim")?,
        mlp_ratio: text("mlp_ratio").map(|(key, value)| positive(key, value, &from)).transpose()?,
        embedding_dim: whole("embedding_dim")?,
        content: text(CONTENT_KEY)
            .map(|(key, value)| {
                Content::from_name(value)
                    .ok_or_else(|| bad(key, value, &from, "`full` or `quality-only`"))
            })
            .transpose()?,
    })
}

/// The values in `<stem>.json`, or else `config.json`, next to the checkpoint, and that file's
/// path.
pub(super) fn from_json_beside(
    checkpoint: &Path,
) -> Result<Option<(DeclaredConfig, Provenance)>, CheckpointProblem> {
    let candidates = [checkpoint.with_extension("json"), checkpoint.with_file_name("config.json")];
    for path in candidates {
        if path == checkpoint {
            continue;
        }
        let display_path = path.display().to_string();
        if let Some(declared) = read_json(&path, &display_path)? {
            return Ok(Some((declared, Provenance::Json(display_path))));
        }
    }
    Ok(None)
}

/// `None` if there is no such file.
fn read_json(path: &Path, display_path: &str) -> Result<Option<DeclaredConfig>, CheckpointProblem> {
    let unusable =
        |detail: String| CheckpointProblem::JsonConfig { path: display_path.to_owned(), detail };
    let bytes = match read_regular_file(path, MAX_JSON_BYTES) {
        Ok(bytes) => bytes,
        Err(ReadError::Open(OpenError::Folder | OpenError::Special)) => return Ok(None),
        Err(ReadError::Open(OpenError::Io(error)))
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
        {
            return Ok(None);
        }
        Err(ReadError::Open(OpenError::Io(error))) => {
            return Err(unusable(format!("cannot be read: {error}")));
        }
        Err(ReadError::TooLong(size) | ReadError::NoMemory(size)) => {
            return Err(unusable(format!(
                "has {size} bytes, more than the {MAX_JSON_BYTES} of any configuration"
            )));
        }
    };
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|error| unusable(format!("is not valid JSON: {error}")))?;
    let Value::Object(object) = value else {
        return Err(unusable("is not a JSON object of keys and values".to_owned()));
    };

    let from = Provenance::Json(display_path.to_owned());
    let text = |key: &'static str| match object.get(key) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some((key, text.clone())),
        Some(other) => Some((key, other.to_string())),
    };
    let whole = |key| text(key).map(|(key, value)| whole(key, &value, &from)).transpose();
    let (num_heads, heads) = (whole("num_heads")?, whole("heads")?);
    if let (Some(one), Some(other)) = (num_heads, heads)
        && one != other
    {
        return Err(unusable(format!("says both `num_heads` {one} and `heads` {other}")));
    }
    Ok(Some(DeclaredConfig {
        num_heads: num_heads.or(heads),
        activation: text("activation")
            .map(|(key, value)| activation(key, &value, &from))
            .transpose()?,
        image_size: whole("image_size")?,
        layer_norm_eps: text("layer_norm_eps")
            .map(|(key, value)| epsilon(key, &value, &from))
            .transpose()?,
        ..DeclaredConfig::default()
    }))
}

fn bad(key: &'static str, found: &str, from: &Provenance, expected: &str) -> CheckpointProblem {
    CheckpointProblem::BadValue {
        key,
        found: format!("`{}`", sanitized_name(found)),
        from: from.clone(),
        expected: expected.to_owned(),
    }
}

fn whole(key: &'static str, text: &str, from: &Provenance) -> Result<usize, CheckpointProblem> {
    match text.parse() {
        Ok(value) if value > 0 => Ok(value),
        _ => Err(bad(key, text, from, "a whole number above zero")),
    }
}

fn positive(key: &'static str, text: &str, from: &Provenance) -> Result<f64, CheckpointProblem> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value > 0.0 => Ok(value),
        _ => Err(bad(key, text, from, "a number above zero")),
    }
}

fn epsilon(key: &'static str, text: &str, from: &Provenance) -> Result<f32, CheckpointProblem> {
    match text.parse::<f32>() {
        Ok(value) if value.is_finite() && value > 0.0 => Ok(value),
        _ => Err(bad(key, text, from, "a small number above zero, such as 1e-5")),
    }
}

fn activation(
    key: &'static str,
    text: &str,
    from: &Provenance,
) -> Result<Activation, CheckpointProblem> {
    Activation::from_name(text).ok_or_else(|| bad(key, text, from, "`relu6` or `gelu`"))
}
