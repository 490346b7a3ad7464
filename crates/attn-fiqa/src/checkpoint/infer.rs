//! Infers a network's dimensions from the shapes of its tensors.

use std::collections::BTreeMap;

use super::diagnostics::{LayoutMismatch, ShapeMismatch};
use super::family::Family;
use super::layout::{Content, Extras};
use super::names::{CAUSES, KEY_BIAS, block_index, qk};
use super::tensor::JoinedTensor;

/// The part of the configuration that shapes determine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shapes {
    pub(super) patch_size: usize,
    pub(super) embed_dim: usize,
    pub(super) depth: usize,
    /// `None` for a quality-only file of one block, which has no MLP.
    pub(super) mlp_dim: Option<usize>,
    pub(super) qkv_bias: bool,
    pub(super) class_token: bool,
    pub(super) register_tokens: usize,
    /// Number of tokens in `pos_embed`.
    pub(super) positions: usize,
    pub(super) patch_bias: bool,
    pub(super) norm_pre: bool,
    pub(super) layer_scale: bool,
    /// Width of a head, if queries and keys are normalised.
    pub(super) qk_norm: Option<usize>,
    /// Whether landmarks add a bias to the attention.
    pub(super) landmark_bias: bool,
    /// Whether the first linear layer of the MLP also computes the gate.
    pub(super) gated_mlp: bool,
    /// Whether the last tokens (`norm`) or the pooled vector (`fc_norm`) are normalised.
    pub(super) norm: bool,
    pub(super) pooled_norm: bool,
    pub(super) head: Option<HeadShape>,
    pub(super) content: Content,
    /// Heads of the key bias, if there is one.
    pub(super) key_bias_heads: Option<usize>,
    /// Rows of the readout of causes, if there is one.
    pub(super) cause_rows: Option<usize>,
}

impl Shapes {
    /// The tensor that determines the length of the embedding.
    pub(super) fn head_tensor(&self) -> &'static str {
        match self.head {
            Some(HeadShape::Pooled { projection: true, .. }) => "head.weight",
            Some(HeadShape::Pooled { projection: false, .. }) => "patch_embed.proj.weight",
            Some(HeadShape::Flattened { .. }) | None => "feature.2.weight",
        }
    }

    /// Number of tokens before the patches.
    pub(super) fn prefix_tokens(&self) -> usize {
        self.register_tokens.saturating_add(usize::from(self.class_token))
    }

    /// What calibration added to the network.
    pub(super) fn extras(&self) -> Extras {
        Extras { key_bias: self.key_bias_heads.is_some(), cause_rows: self.cause_rows }
    }
}

/// Dimensions of the embedding head.
#[derive(Debug, Clone, Copy)]
pub(super) enum HeadShape {
    /// The two linear layers of the official layout.
    Flattened { input: usize, hidden: usize, output: usize, gated: bool },
    /// One linear layer, or none, after pooling.
    Pooled { output: usize, projection: bool, bias: bool },
}

impl HeadShape {
    /// Length of the embedding.
    pub(super) fn output(&self) -> usize {
        match *self {
            Self::Flattened { output, .. } | Self::Pooled { output, .. } => output,
        }
    }
}

type Tensors = BTreeMap<String, JoinedTensor>;

/// Infers the dimensions; the error is about the first tensor that should determine one and does
/// not.
///
/// A network of the official layout has all of its parts. In other families, the tensors present
/// determine which parts a network has.
pub(super) fn shapes(found: &Tensors, family: Family) -> Result<Shapes, LayoutMismatch> {
    let open = !family.is_official();
    let has = |name: &str| found.contains_key(name);
    let what = "[D, 3, P, P]";
    let kernel = "patch_embed.proj.weight";
    let [embed_dim, channels, patch_size, width] = dims(found, kernel, what)?;
    if channels != 3 || patch_size != width {
        return Err(shape_mismatch(found, kernel, what));
    }
    let [batch, positions, dim] = dims(found, "pos_embed", "[1, N, D]")?;
    if batch != 1 || dim != embed_dim {
        let expected = format!("[1, N, {embed_dim}]");
        return Err(shape_mismatch(found, "pos_embed", &expected));
    }

    let last_block = found.keys().filter_map(|name| block_index(name)).max();
    let Some(last_block) = last_block else {
        return Err(missing("blocks.0.norm1.weight"));
    };
    // A block index beyond the number of tensors cannot be a depth; the layout check will list the
    // missing blocks.
    let depth = last_block.saturating_add(1).min(found.len());
    let content = match found.contains_key(&qk(depth - 1, "weight")) {
        true => Content::QualityOnly,
        false => Content::Full,
    };
    let has_first_block = content == Content::Full || depth > 1;
    let mut gated_mlp = false;
    let (mlp_dim, qkv_bias) = if has_first_block {
        let [outputs, _] = dims(found, "blocks.0.mlp.fc1.weight", "[M, D]")?;
        let mut mlp_dim = outputs;
        if open {
            let [_, inputs] = dims(found, "blocks.0.mlp.fc2.weight", "[D, M]")?;
            gated_mlp = inputs.checked_mul(2) == Some(outputs);
            if gated_mlp {
                mlp_dim = inputs;
            }
        }
        (Some(mlp_dim), has("blocks.0.attn.qkv.bias"))
    } else {
        (None, has(&qk(0, "bias")))
    };
    let register_tokens = match open && has("reg_token") {
        true => {
            let [_, registers, _] = dims(found, "reg_token", "[1, R, D]")?;
            registers
        }
        false => 0,
    };
    let qk_norm = match open && has("blocks.0.attn.q_norm.weight") {
        true => {
            let [head_dim] = dims(found, "blocks.0.attn.q_norm.weight", "[D/H]")?;
            Some(head_dim)
        }
        false => None,
    };
    let head = match content {
        Content::QualityOnly => None,
        Content::Full if open => {
            let output = match has("head.weight") {
                true => {
                    let [output, _] = dims(found, "head.weight", "[embedding, D]")?;
                    output
                }
                false => embed_dim,
            };
            let projection = has("head.weight");
            let bias = projection && has("head.bias");
            Some(HeadShape::Pooled { output, projection, bias })
        }
        Content::Full => {
            let [hidden, input] = dims(found, "feature.0.weight", "[hidden, N·D]")?;
            let [output, _] = dims(found, "feature.2.weight", "[embedding, hidden]")?;
            let gated = family == Family::TransFace;
            Some(HeadShape::Flattened { input, hidden, output, gated })
        }
    };
    let key_bias_heads = match found.contains_key(KEY_BIAS) {
        true => {
            let [heads, _] = dims(found, KEY_BIAS, "[H, D/H]")?;
            Some(heads)
        }
        false => None,
    };
    let cause_rows = match found.contains_key(CAUSES) {
        true => {
            let [rows, _] = dims(found, CAUSES, "[causes + 1, D + 1]")?;
            Some(rows)
        }
        false => None,
    };
    Ok(Shapes {
        patch_size,
        embed_dim,
        depth,
        mlp_dim,
        qkv_bias,
        // The bias is defined only between patches, so a class token is unexpected with it.
        class_token: has("cls_token") && family != Family::KpRpe,
        register_tokens,
        positions,
        patch_bias: !open || has("patch_embed.proj.bias"),
        norm_pre: open && has("norm_pre.weight"),
        layer_scale: open && has("blocks.0.ls1.gamma"),
        qk_norm,
        landmark_bias: family == Family::KpRpe,
        gated_mlp,
        norm: open && has("norm.weight"),
        pooled_norm: open && has("fc_norm.weight"),
        head,
        content,
        key_bias_heads,
        cause_rows,
    })
}

fn dims<const RANK: usize>(
    found: &Tensors,
    name: &str,
    expected: &str,
) -> Result<[usize; RANK], LayoutMismatch> {
    let tensor = found.get(name).ok_or_else(|| missing(name))?;
    match <[usize; RANK]>::try_from(tensor.shape.as_slice()) {
        Ok(dims) if !dims.contains(&0) => Ok(dims),
        _ => Err(shape_mismatch(found, name, expected)),
    }
}

fn missing(name: &str) -> LayoutMismatch {
    LayoutMismatch { missing: vec![name.to_owned()], ..LayoutMismatch::default() }
}

/// The error for one tensor of the wrong shape.
pub(super) fn shape_mismatch(found: &Tensors, name: &str, expected: &str) -> LayoutMismatch {
    LayoutMismatch {
        shape_mismatches: vec![ShapeMismatch {
            tensor: name.to_owned(),
            expected: expected.to_owned(),
            found: found.get(name).map(|tensor| tensor.shape.clone()).unwrap_or_default(),
        }],
        ..LayoutMismatch::default()
    }
}
