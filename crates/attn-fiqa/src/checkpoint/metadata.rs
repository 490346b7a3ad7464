//! The configuration declared by a file's metadata.

use std::collections::BTreeMap;

use super::error::CheckpointProblem;
use super::family::Family;
use super::layout::Content;
use super::provenance::Provenance;
use crate::sanitize::sanitized_name;
use crate::vit::config::{Activation, LandmarkBias, Pooling, ScoreTokens};

/// Supported version of the canonical file.
pub(super) const FORMAT: &str = "1";

/// Metadata key of [`FORMAT`].
pub(super) const FORMAT_KEY: &str = "attn_fiqa.format";

/// Metadata key of [`Content`].
pub(super) const CONTENT_KEY: &str = "attn_fiqa.content";

/// Metadata key of [`Family`].
pub(super) const FAMILY_KEY: &str = "attn_fiqa.family";

/// Channel order of the input, the only supported one.
pub(super) const COLOR: &str = "RGB";

/// Values declared by one source; any may be absent.
#[derive(Debug, Clone, Default)]
pub(super) struct DeclaredConfig {
    pub(super) num_heads: Option<usize>,
    /// The width of a network identified by name, and its number of heads.
    pub(super) heads_of_width: Option<(usize, usize)>,
    pub(super) activation: Option<Activation>,
    pub(super) image_size: Option<usize>,
    pub(super) layer_norm_eps: Option<f32>,
    pub(super) depth: Option<usize>,
    pub(super) patch_size: Option<usize>,
    pub(super) embed_dim: Option<usize>,
    pub(super) mlp_ratio: Option<f64>,
    pub(super) embedding_dim: Option<usize>,
    pub(super) content: Option<Content>,
    pub(super) family: Option<Family>,
    pub(super) pixel_mean: Option<[f32; 3]>,
    pub(super) pixel_std: Option<[f32; 3]>,
    pub(super) pooling: Option<Pooling>,
    pub(super) score_tokens: Option<ScoreTokens>,
    pub(super) landmark_bias: Option<LandmarkBias>,
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
        heads_of_width: None,
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
        family: text(FAMILY_KEY)
            .map(|(key, value)| {
                Family::from_name(value)
                    .ok_or_else(|| bad(key, value, &from, "the name of a family, such as `timm`"))
            })
            .transpose()?,
        pixel_mean: text("pixel_mean").map(|(key, value)| three(key, value, &from)).transpose()?,
        pixel_std: text("pixel_std")
            .map(|(key, value)| deviations(key, three(key, value, &from)?, value, &from))
            .transpose()?,
        pooling: text("pooling").map(|(key, value)| pooling(key, value, &from)).transpose()?,
        score_tokens: text("score_tokens")
            .map(|(key, value)| {
                ScoreTokens::from_name(value)
                    .ok_or_else(|| bad(key, value, &from, "`all` or `patches`"))
            })
            .transpose()?,
        landmark_bias: text("landmark_bias")
            .map(|(key, value)| {
                LandmarkBias::from_name(value)
                    .ok_or_else(|| bad(key, value, &from, "`softmax` or `score`"))
            })
            .transpose()?,
    })
}

/// Three numbers separated by commas, one per channel.
pub(super) fn three(
    key: &'static str,
    text: &str,
    from: &Provenance,
) -> Result<[f32; 3], CheckpointProblem> {
    let numbers: Option<Vec<f32>> = text
        .split(',')
        .map(|one| one.trim().parse().ok().filter(|one: &f32| one.is_finite()))
        .collect();
    numbers
        .and_then(|numbers| <[f32; 3]>::try_from(numbers).ok())
        .ok_or_else(|| bad(key, text, from, "three numbers, one per channel"))
}

/// Standard deviations of pixels, which are used as divisors.
pub(super) fn deviations(
    key: &'static str,
    values: [f32; 3],
    text: &str,
    from: &Provenance,
) -> Result<[f32; 3], CheckpointProblem> {
    match values.iter().all(|&value| value > 0.0) {
        true => Ok(values),
        false => Err(bad(key, text, from, "three numbers above zero, one per channel")),
    }
}

pub(super) fn pooling(
    key: &'static str,
    text: &str,
    from: &Provenance,
) -> Result<Pooling, CheckpointProblem> {
    Pooling::from_name(text)
        .ok_or_else(|| bad(key, text, from, "`token` or `avg`; no other pooling is supported"))
}

pub(super) fn bad(
    key: &'static str,
    found: &str,
    from: &Provenance,
    expected: &str,
) -> CheckpointProblem {
    CheckpointProblem::BadValue {
        key,
        found: format!("`{}`", sanitized_name(found)),
        from: from.clone(),
        expected: expected.to_owned(),
    }
}

pub(super) fn whole(
    key: &'static str,
    text: &str,
    from: &Provenance,
) -> Result<usize, CheckpointProblem> {
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

pub(super) fn epsilon(
    key: &'static str,
    text: &str,
    from: &Provenance,
) -> Result<f32, CheckpointProblem> {
    match text.parse::<f32>() {
        Ok(value) if value.is_finite() && value > 0.0 => Ok(value),
        _ => Err(bad(key, text, from, "a small number above zero, such as 1e-5")),
    }
}

pub(super) fn activation(
    key: &'static str,
    text: &str,
    from: &Provenance,
) -> Result<Activation, CheckpointProblem> {
    let names: Vec<String> =
        Activation::ALL.iter().map(|known| format!("`{}`", known.name())).collect();
    let expected = format!("one of {}", names.join(", "));
    Activation::from_name(text).ok_or_else(|| bad(key, text, from, &expected))
}
