//! Resolves one configuration from shapes, options, metadata and JSON.
//!
//! Shapes determine what they can; the other sources must be consistent with them and with each
//! other. Heads, activation, image size and epsilon come from the source with the highest
//! precedence.

use super::CheckpointOptions;
use super::consistency::{check_metadata, check_positions, check_preset, consistent};
use super::diagnostics::{LayoutMismatch, ShapeMismatch};
use super::error::CheckpointProblem;
use super::family::{Family, OFFICIAL_IMAGE_SIZE};
use super::infer::{HeadShape, Shapes};
use super::layout::head_input;
use super::limits::MAX_MLP_RATIO;
use super::metadata::DeclaredConfig;
use super::names::KEY_BIAS;
use super::preset::Preset;
use super::provenance::Provenance;
use crate::vit::config::{
    Activation, EmbeddingHeadConfig, EmbeddingTokens, FlattenedHead, LandmarkBias, PooledHead,
    Pooling, ScoreTokens, VitConfig,
};

/// Head dimensions worth suggesting.
const PLAUSIBLE_HEAD_DIMS: std::ops::RangeInclusive<usize> = 8..=128;

/// The sources of the configuration.
pub(super) struct Sources<'a> {
    pub(super) options: &'a CheckpointOptions,
    pub(super) family: Family,
    pub(super) family_from: &'a Provenance,
    pub(super) metadata: &'a DeclaredConfig,
    /// The values from JSON files, with their paths.
    pub(super) json: &'a [(DeclaredConfig, Provenance)],
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
    let Sources { options, family, metadata, json, shapes, .. } = *sources;
    check_metadata(metadata, &shapes)?;
    let declared: Vec<(&DeclaredConfig, Provenance)> =
        std::iter::once((metadata, Provenance::Metadata))
            .chain(json.iter().map(|(declared, from)| (declared, from.clone())))
            .collect();
    let assumed = match family {
        Family::InsightFace => Provenance::Assumed,
        family => Provenance::Family(family),
    };

    let declared_size = consistent(
        "image_size",
        declared.iter().filter_map(|(one, from)| Some((one.image_size?, from.clone()))),
        ToString::to_string,
    )?;
    let (image_size, image_size_from) = match declared_size {
        Some(declared) => declared,
        None if family.is_official() => (OFFICIAL_IMAGE_SIZE, assumed.clone()),
        None => match family.image_size(&shapes) {
            Some(size) => (size, Provenance::Shape("pos_embed")),
            None => return Err(not_square(&shapes)),
        },
    };
    check_positions(&shapes, image_size, &image_size_from, !family.is_official())?;

    let (mlp_dim, mlp_dim_from) = mlp_dim(metadata, &shapes)?;
    if let Some(preset) = options.preset {
        check_family(preset, sources)?;
        check_preset(preset, &shapes, mlp_dim)?;
    }
    let (num_heads, num_heads_from) = heads(sources, &declared, mlp_dim)?;
    let (activation, activation_from) = activation(sources, &declared, &assumed)?;
    let (layer_norm_eps, layer_norm_eps_from) = consistent(
        "layer_norm_eps",
        declared.iter().filter_map(|(one, from)| Some((one.layer_norm_eps?, from.clone()))),
        |eps| format!("{eps:e}"),
    )?
    .unwrap_or((family.layer_norm_eps(), assumed.clone()));
    let [usual_mean, usual_std] = family.pixel_mean_and_std();
    let per_channel = |what, of: fn(&DeclaredConfig) -> Option<[f32; 3]>| {
        let declared = declared.iter().filter_map(|(one, from)| Some((of(one)?, from.clone())));
        consistent(what, declared, three)
    };
    let (pixel_mean, pixel_mean_from) =
        per_channel("pixel_mean", |one| one.pixel_mean)?.unwrap_or((usual_mean, assumed.clone()));
    let (pixel_std, pixel_std_from) =
        per_channel("pixel_std", |one| one.pixel_std)?.unwrap_or((usual_std, assumed.clone()));
    let (score_tokens, score_tokens_from) = consistent(
        "score_tokens",
        std::iter::once((options.score_tokens, Provenance::Option))
            .chain(declared.iter().map(|(one, from)| (one.score_tokens, from.clone())))
            .filter_map(|(value, from)| Some((value?, from))),
        |tokens| tokens.name().to_owned(),
    )?
    .unwrap_or((ScoreTokens::default(), Provenance::Assumed));
    let landmark_bias = landmark_bias(sources, &declared)?;

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
        register_tokens: shapes.register_tokens,
        positions: shapes.positions,
        patch_bias: shapes.patch_bias,
        norm_pre: shapes.norm_pre,
        layer_scale: shapes.layer_scale,
        qk_norm: shapes.qk_norm.is_some(),
        landmark_bias: landmark_bias.as_ref().map(|(bias, _)| *bias),
        pixel_mean,
        pixel_std,
        layer_norm_eps,
        score_tokens,
        embedding_head: None,
    };
    let (pooling, pooling_from) = pooling(sources, &declared, &assumed)?;
    config.embedding_head =
        shapes.head.map(|head| embedding_head(&config, &shapes, head, pooling)).transpose()?;

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
    if !family.is_official() {
        for (name, value, tensor) in [
            ("register_tokens", config.register_tokens.to_string(), "reg_token"),
            ("positions", config.positions.to_string(), "pos_embed"),
            ("norm_pre", config.norm_pre.to_string(), "norm_pre.weight"),
            ("layer_scale", config.layer_scale.to_string(), "blocks.0.ls1.gamma"),
            ("qk_norm", config.qk_norm.to_string(), "blocks.0.attn.q_norm.weight"),
        ] {
            add(name, value, Provenance::Shape(tensor));
        }
        add("pixel_mean", three(&pixel_mean), pixel_mean_from);
        add("pixel_std", three(&pixel_std), pixel_std_from);
    }
    add("layer_norm_eps", format!("{layer_norm_eps:e}"), layer_norm_eps_from);
    if config.prefix_tokens() > 0 {
        add("score_tokens", score_tokens.name().to_owned(), score_tokens_from);
    }
    if let Some((bias, from)) = landmark_bias {
        add("landmark_bias", bias.name().to_owned(), from);
    }
    match config.embedding_head {
        Some(EmbeddingHeadConfig::Flattened(head)) => {
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
        Some(EmbeddingHeadConfig::Pooled(head)) => {
            add("pooling", head.pooling.name().to_owned(), pooling_from);
            add("embedding_dim", head.dim.to_string(), Provenance::Shape(shapes.head_tensor()));
        }
        None => {}
    }
    Ok(ResolvedConfig { config, values })
}

/// Three channel values, formatted as in metadata.
pub(super) fn three(values: &[f32; 3]) -> String {
    values.map(|value| value.to_string()).join(",")
}

fn not_square(shapes: &Shapes) -> CheckpointProblem {
    CheckpointProblem::Layout(Box::new(LayoutMismatch {
        shape_mismatches: vec![ShapeMismatch {
            tensor: "pos_embed".to_owned(),
            expected: format!(
                "[1, n·n, {}] for a square of n·n patches, after up to {} more rows for the tokens \
                 before them",
                shapes.embed_dim,
                shapes.prefix_tokens()
            ),
            found: vec![1, shapes.positions, shapes.embed_dim],
        }],
        ..LayoutMismatch::default()
    }))
}

/// Presets are networks of the official layout.
fn check_family(preset: Preset, sources: &Sources<'_>) -> Result<(), CheckpointProblem> {
    let Sources { family, family_from, .. } = *sources;
    if family.is_official() {
        return Ok(());
    }
    Err(CheckpointProblem::Contradiction {
        what: "the family",
        first: Family::InsightFace.title().to_owned(),
        first_from: Provenance::Preset(preset),
        second: family.title().to_owned(),
        second_from: family_from.clone(),
    })
}

/// Where the landmark bias is used, if the network has one; `None` if it has none.
fn landmark_bias(
    sources: &Sources<'_>,
    declared: &[(&DeclaredConfig, Provenance)],
) -> Result<Option<(LandmarkBias, Provenance)>, CheckpointProblem> {
    let Sources { options, shapes, .. } = *sources;
    let candidates = std::iter::once((options.landmark_bias, Provenance::Option))
        .chain(declared.iter().map(|(one, from)| (one.landmark_bias, from.clone())))
        .filter_map(|(value, from)| Some((value?, from)));
    let name = |bias: &LandmarkBias| bias.name().to_owned();
    let found = consistent("landmark_bias", candidates, name)?;
    match found {
        Some((bias, from)) if !shapes.landmark_bias => Err(CheckpointProblem::BadValue {
            key: "landmark_bias",
            found: format!("`{}`", bias.name()),
            from,
            expected: "none, since landmarks add no bias to the attention of this network (it has \
                       no tensor `keypoint_linear.weight`)"
                .to_owned(),
        }),
        None if shapes.landmark_bias => Ok(Some((LandmarkBias::default(), Provenance::Default))),
        found => Ok(found),
    }
}

/// A gated MLP has one possible activation, and its shapes show that it is gated.
fn activation(
    sources: &Sources<'_>,
    declared: &[(&DeclaredConfig, Provenance)],
    assumed: &Provenance,
) -> Result<(Activation, Provenance), CheckpointProblem> {
    let Sources { options, family, shapes, .. } = *sources;
    let fc1 = Provenance::Shape("blocks.0.mlp.fc1.weight");
    let by_shape = shapes.gated_mlp.then_some((Activation::SwiGlu, fc1.clone()));
    let candidates = std::iter::once((options.activation, Provenance::Option))
        .chain(declared.iter().map(|(one, from)| (one.activation, from.clone())))
        .filter_map(|(value, from)| Some((value?, from)))
        .chain(by_shape);
    let name = |activation: &Activation| activation.name().to_owned();
    let (activation, from) = consistent("activation", candidates, name)?
        .unwrap_or_else(|| (family.activation(shapes.gated_mlp), assumed.clone()));
    if activation.is_gated() && !shapes.gated_mlp && shapes.mlp_dim.is_some() {
        return Err(CheckpointProblem::Contradiction {
            what: "activation",
            first: name(&activation),
            first_from: from,
            second: "one without a gate".to_owned(),
            second_from: fc1,
        });
    }
    Ok((activation, from))
}

fn pooling(
    sources: &Sources<'_>,
    declared: &[(&DeclaredConfig, Provenance)],
    assumed: &Provenance,
) -> Result<(Pooling, Provenance), CheckpointProblem> {
    let Sources { family, shapes, .. } = *sources;
    let candidates = declared.iter().filter_map(|(one, from)| Some((one.pooling?, from.clone())));
    let (pooling, from) =
        consistent("pooling", candidates, |pooling: &Pooling| pooling.name().to_owned())?
            .unwrap_or_else(|| (family.pooling(&shapes), assumed.clone()));
    if pooling == Pooling::Class && !shapes.class_token && !family.is_official() {
        return Err(CheckpointProblem::BadValue {
            key: "pooling",
            found: "`token`".to_owned(),
            from,
            expected: "`avg`, since the network has no class token".to_owned(),
        });
    }
    Ok((pooling, from))
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
            if (0.5..=(MAX_MLP_RATIO * shapes.embed_dim) as f64).contains(&declared) =>
        {
            Ok((declared.round() as usize, Provenance::Metadata))
        }
        (None, _) => Err(CheckpointProblem::BadValue {
            key: "mlp_ratio",
            found: metadata
                .mlp_ratio
                .map_or_else(|| "absent".to_owned(), |ratio| ratio.to_string()),
            from: Provenance::Metadata,
            expected: format!("the ratio of MLP width to token width, at most {MAX_MLP_RATIO}"),
        }),
    }
}

fn heads(
    sources: &Sources<'_>,
    declared: &[(&DeclaredConfig, Provenance)],
    mlp_dim: usize,
) -> Result<(usize, Provenance), CheckpointProblem> {
    let Sources { options, family, shapes, .. } = *sources;
    let embed_dim = shapes.embed_dim;
    let given = options.heads.map(|heads| (heads, Provenance::Option));
    let named = options.preset.map(|preset| (preset.shape().num_heads, Provenance::Preset(preset)));
    let calibrated = shapes.key_bias_heads.map(|heads| (heads, Provenance::Shape(KEY_BIAS)));
    let written = declared.iter().filter_map(|(one, from)| {
        let by_name = one.heads_of_width.filter(|(width, _)| *width == embed_dim);
        Some((one.num_heads.or(by_name.map(|(_, heads)| heads))?, from.clone()))
    });
    let normed = shapes
        .qk_norm
        .filter(|&width| embed_dim.is_multiple_of(width))
        .map(|width| (embed_dim / width, Provenance::Shape("blocks.0.attn.q_norm.weight")));
    let candidates = given.into_iter().chain(named).chain(written).chain(calibrated).chain(normed);
    let found = consistent("num_heads", candidates, ToString::to_string)?;
    let usual = || Some((family.heads(embed_dim)?, Provenance::Family(family)));
    let Some((heads, from)) = found.or_else(usual) else {
        let plausible = PLAUSIBLE_HEAD_DIMS
            .rev()
            .filter(|dim| embed_dim.is_multiple_of(*dim))
            .map(|dim| embed_dim / dim);
        return Err(CheckpointProblem::HeadsUnknown {
            embed_dim,
            divisors: plausible.collect(),
            presets: Preset::matching(shapes.patch_size, embed_dim, shapes.depth, mlp_dim)
                .filter(|_| family.is_official())
                .collect(),
        });
    };
    if heads == 0 || !embed_dim.is_multiple_of(heads) {
        return Err(CheckpointProblem::HeadsDoNotDivide { heads, embed_dim, from });
    }
    Ok((heads, from))
}

fn embedding_head(
    config: &VitConfig,
    shapes: &Shapes,
    head: HeadShape,
    pooling: Pooling,
) -> Result<EmbeddingHeadConfig, CheckpointProblem> {
    match head {
        HeadShape::Flattened { input, hidden, output, gated } => {
            let tokens = flattened_tokens(config, hidden, input)?;
            let head = FlattenedHead { tokens, gated, hidden_dim: hidden, dim: output };
            Ok(EmbeddingHeadConfig::Flattened(head))
        }
        HeadShape::Pooled { output, projection, bias } => {
            Ok(EmbeddingHeadConfig::Pooled(PooledHead {
                pooling,
                norm: shapes.norm,
                pooled_norm: shapes.pooled_norm,
                projection,
                projection_bias: bias,
                dim: output,
            }))
        }
    }
}

/// Which tokens the head flattens follows from the length of its input.
fn flattened_tokens(
    config: &VitConfig,
    hidden: usize,
    input: usize,
) -> Result<EmbeddingTokens, CheckpointProblem> {
    use EmbeddingTokens::{All, Class, Patches};
    let choices: &[EmbeddingTokens] = match config.class_token {
        true => &[All, Patches, Class],
        false => &[All],
    };
    let found = choices.iter().copied().find(|&tokens| head_input(config, tokens) == input);
    found.ok_or_else(|| {
        let lengths: Vec<String> =
            choices.iter().map(|&tokens| head_input(config, tokens).to_string()).collect();
        CheckpointProblem::Layout(Box::new(LayoutMismatch {
            shape_mismatches: vec![ShapeMismatch {
                tensor: "feature.0.weight".to_owned(),
                expected: format!("[hidden, {}]", lengths.join(" or ")),
                found: vec![hidden, input],
            }],
            ..LayoutMismatch::default()
        }))
    })
}
