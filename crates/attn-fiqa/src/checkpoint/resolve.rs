//! Resolves one configuration from shapes, options, metadata and JSON.
//!
//! Shapes determine what they can; the other sources must be consistent with them and with each
//! other. Heads, activation, image size and epsilon come from the source with the highest
//! precedence.

use super::CheckpointOptions;
use super::consistency::{check_metadata, check_positions, check_preset, consistent};
use super::diagnostics::{LayoutMismatch, ShapeMismatch};
use super::error::CheckpointProblem;
use super::infer::{HeadShape, Shapes};
use super::layout::head_input;
use super::limits::MOST_MLP_RATIO;
use super::metadata::DeclaredConfig;
use super::names::KEY_BIAS;
use super::preset::Preset;
use super::provenance::Provenance;
use crate::vit::config::{Activation, EmbeddingHeadConfig, EmbeddingTokens, VitConfig};

/// Input size of every published face ViT, in pixels.
const OFFICIAL_IMAGE_SIZE: usize = 112;

/// Epsilon of LayerNorm in the official layout.
const OFFICIAL_LAYER_NORM_EPS: f32 = 1e-5;

/// Head dimensions that are worth suggesting.
const PLAUSIBLE_HEAD_DIMS: std::ops::RangeInclusive<usize> = 8..=128;

/// The sources of the configuration.
pub(super) struct Sources<'a> {
    pub(super) options: &'a CheckpointOptions,
    pub(super) metadata: &'a DeclaredConfig,
    pub(super) json: Option<&'a (DeclaredConfig, Provenance)>,
    pub(super) shapes: Shapes,
}

/// One value of the configuration and its source.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigValue {
    /// The value's name, as in [`VitConfig`].
    pub name: &'static str,
    /// The value as text.
    pub value: String,
    /// Where it comes from.
    pub from: Provenance,
}

/// A configuration, and the source of each value.
#[derive(Debug)]
pub(super) struct ResolvedConfig {
    pub(super) config: VitConfig,
    pub(super) values: Vec<ConfigValue>,
}

pub(super) fn resolve_config(sources: &Sources<'_>) -> Result<ResolvedConfig, CheckpointProblem> {
    let Sources { options, metadata, json, shapes } = *sources;
    check_metadata(metadata, &shapes)?;
    let declared: Vec<(&DeclaredConfig, Provenance)> =
        std::iter::once((metadata, Provenance::Metadata))
            .chain(json.map(|(declared, from)| (declared, from.clone())))
            .collect();

    let (image_size, image_size_from) = consistent(
        "image_size",
        declared.iter().filter_map(|(one, from)| Some((one.image_size?, from.clone()))),
        ToString::to_string,
    )?
    .unwrap_or((OFFICIAL_IMAGE_SIZE, Provenance::Assumed));
    check_positions(&shapes, image_size, &image_size_from)?;

    let (mlp_dim, mlp_dim_from) = mlp_dim(metadata, &shapes)?;
    if let Some(preset) = options.preset {
        check_preset(preset, &shapes, mlp_dim)?;
    }
    let (num_heads, num_heads_from) = heads(sources, &declared, mlp_dim)?;
    let (activation, activation_from) = consistent(
        "activation",
        std::iter::once((options.activation, Provenance::Option))
            .chain(declared.iter().map(|(one, from)| (one.activation, from.clone())))
            .filter_map(|(value, from)| Some((value?, from))),
        |activation| activation.name().to_owned(),
    )?
    .unwrap_or((Activation::Relu6, Provenance::Assumed));
    let (layer_norm_eps, layer_norm_eps_from) = consistent(
        "layer_norm_eps",
        declared.iter().filter_map(|(one, from)| Some((one.layer_norm_eps?, from.clone()))),
        |eps| format!("{eps:e}"),
    )?
    .unwrap_or((OFFICIAL_LAYER_NORM_EPS, Provenance::Assumed));

    let mut config = VitConfig {
        image_size,
        patch_size: shapes.patch_size,
        embed_dim: shapes.embed_dim,
        depth: shapes.depth,
        num_heads,
        mlp_dim,
        qkv_bias: shapes.qkv_bias,
        activation,
        class_token: shapes.class_token,
        layer_norm_eps,
        embedding_head: None,
    };
    config.embedding_head = shapes.head.map(|head| embedding_head(&config, head)).transpose()?;

    let mut values = Vec::new();
    let mut add = |name, value: String, from| values.push(ConfigValue { name, value, from });
    add("image_size", image_size.to_string(), image_size_from);
    let patch_from = Provenance::Shape("patch_embed.proj.weight");
    add("patch_size", config.patch_size.to_string(), patch_from.clone());
    add("embed_dim", config.embed_dim.to_string(), patch_from);
    add("depth", config.depth.to_string(), Provenance::Shape("blocks.*"));
    add("num_heads", num_heads.to_string(), num_heads_from);
    add("mlp_dim", mlp_dim.to_string(), mlp_dim_from);
    add("qkv_bias", config.qkv_bias.to_string(), Provenance::Shape("blocks.0.attn.*"));
    add("activation", activation.name().to_owned(), activation_from);
    add("class_token", config.class_token.to_string(), Provenance::Shape("pos_embed"));
    add("layer_norm_eps", format!("{layer_norm_eps:e}"), layer_norm_eps_from);
    if let Some(head) = config.embedding_head {
        let tokens = match head.tokens {
            EmbeddingTokens::All => "all",
            EmbeddingTokens::Patches => "patches",
            EmbeddingTokens::Class => "class",
        };
        let first = Provenance::Shape("feature.0.weight");
        add("embedding_tokens", tokens.to_owned(), first.clone());
        add("embedding_hidden_dim", head.hidden_dim.to_string(), first);
        let last = Provenance::Shape("feature.2.weight");
        add("embedding_dim", head.dim.to_string(), last);
    }
    Ok(ResolvedConfig { config, values })
}

/// The width of the MLP. A quality-only file of one block has no MLP and declares the width in its
/// metadata.
fn mlp_dim(
    metadata: &DeclaredConfig,
    shapes: &Shapes,
) -> Result<(usize, Provenance), CheckpointProblem> {
    let declared = metadata.mlp_ratio.map(|ratio| ratio * shapes.embed_dim as f64);
    match (shapes.mlp_dim, declared) {
        // The ratio may have been rounded to a few decimals when written.
        (Some(found), Some(declared)) if (declared - found as f64).abs() >= 0.5 => {
            Err(CheckpointProblem::Contradiction {
                what: "mlp_ratio",
                first: (declared / shapes.embed_dim as f64).to_string(),
                first_from: Provenance::Metadata,
                second: (found as f64 / shapes.embed_dim as f64).to_string(),
                second_from: Provenance::Shape("blocks.0.mlp.fc1.weight"),
            })
        }
        (Some(found), _) => Ok((found, Provenance::Shape("blocks.0.mlp.fc1.weight"))),
        // No tensor backs this width, so it is bounded before anything is computed from it.
        (None, Some(declared))
            if (0.5..=(MOST_MLP_RATIO * shapes.embed_dim) as f64).contains(&declared) =>
        {
            Ok((declared.round() as usize, Provenance::Metadata))
        }
        (None, _) => Err(CheckpointProblem::BadValue {
            key: "mlp_ratio",
            found: metadata
                .mlp_ratio
                .map_or_else(|| "absent".to_owned(), |ratio| ratio.to_string()),
            from: Provenance::Metadata,
            expected: format!(
                "the ratio of the MLP's width to that of a token, at most {MOST_MLP_RATIO}"
            ),
        }),
    }
}

fn heads(
    sources: &Sources<'_>,
    declared: &[(&DeclaredConfig, Provenance)],
    mlp_dim: usize,
) -> Result<(usize, Provenance), CheckpointProblem> {
    let Sources { options, shapes, .. } = *sources;
    let embed_dim = shapes.embed_dim;
    let given = options.heads.map(|heads| (heads, Provenance::Option));
    let named = options.preset.map(|preset| (preset.shape().num_heads, Provenance::Preset(preset)));
    let calibrated = shapes.key_bias_heads.map(|heads| (heads, Provenance::Shape(KEY_BIAS)));
    let written = declared.iter().filter_map(|(one, from)| Some((one.num_heads?, from.clone())));
    let candidates = given.into_iter().chain(named).chain(written).chain(calibrated);
    let Some((heads, from)) = consistent("num_heads", candidates, ToString::to_string)? else {
        let plausible = PLAUSIBLE_HEAD_DIMS
            .rev()
            .filter(|dim| embed_dim.is_multiple_of(*dim))
            .map(|dim| embed_dim / dim);
        return Err(CheckpointProblem::HeadsUnknown {
            embed_dim,
            divisors: plausible.collect(),
            presets: Preset::matching(shapes.patch_size, embed_dim, shapes.depth, mlp_dim)
                .collect(),
        });
    };
    if heads == 0 || !embed_dim.is_multiple_of(heads) {
        return Err(CheckpointProblem::HeadsDoNotDivide { heads, embed_dim, from });
    }
    Ok((heads, from))
}

/// Which tokens the head flattens follows from the length of its input.
fn embedding_head(
    config: &VitConfig,
    head: HeadShape,
) -> Result<EmbeddingHeadConfig, CheckpointProblem> {
    use EmbeddingTokens::{All, Class, Patches};
    let choices: &[EmbeddingTokens] = match config.class_token {
        true => &[All, Patches, Class],
        false => &[All],
    };
    let tokens = choices
        .iter()
        .copied()
        .find(|&tokens| head_input(config, tokens) == head.input)
        .ok_or_else(|| {
        let lengths: Vec<String> =
            choices.iter().map(|&tokens| head_input(config, tokens).to_string()).collect();
        CheckpointProblem::Layout(Box::new(LayoutMismatch {
            shape_mismatches: vec![ShapeMismatch {
                tensor: "feature.0.weight".to_owned(),
                expected: format!("[hidden, {}]", lengths.join(" or ")),
                found: vec![head.hidden, head.input],
            }],
            ..LayoutMismatch::default()
        }))
    })?;
    Ok(EmbeddingHeadConfig { tokens, hidden_dim: head.hidden, dim: head.output })
}
