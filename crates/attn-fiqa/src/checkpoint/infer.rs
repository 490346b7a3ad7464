//! Infers a network's dimensions from the shapes of its tensors.

use std::collections::BTreeMap;

use super::diagnostics::{LayoutMismatch, ShapeMismatch};
use super::layout::{Content, Extras};
use super::names::{CAUSES, KEY_BIAS, block_index, qk};
use super::tensor::TensorRef;

/// The part of the configuration that shapes determine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shapes {
    pub(super) patch_size: usize,
    pub(super) embed_dim: usize,
    pub(super) depth: usize,
    /// `None` in a quality-only file of one block, which has no MLP.
    pub(super) mlp_dim: Option<usize>,
    pub(super) qkv_bias: bool,
    pub(super) class_token: bool,
    /// Number of tokens in `pos_embed`.
    pub(super) positions: usize,
    pub(super) head: Option<HeadShape>,
    pub(super) content: Content,
    /// Heads of the key bias, if there is one.
    pub(super) key_bias_heads: Option<usize>,
    /// Rows of the readout of causes, where there is one.
    pub(super) cause_rows: Option<usize>,
}

impl Shapes {
    /// What calibration added to the network.
    pub(super) fn extras(&self) -> Extras {
        Extras { key_bias: self.key_bias_heads.is_some(), cause_rows: self.cause_rows }
    }
}

/// Dimensions of the embedding head.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadShape {
    pub(super) input: usize,
    pub(super) hidden: usize,
    pub(super) output: usize,
}

type Tensors = BTreeMap<String, TensorRef>;

/// The dimensions, or an error about the first tensor that should determine one and does not.
pub(super) fn shapes(found: &Tensors) -> Result<Shapes, LayoutMismatch> {
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
    let (mlp_dim, qkv_bias) = if has_first_block {
        let [mlp_dim, _] = dims(found, "blocks.0.mlp.fc1.weight", "[M, D]")?;
        (Some(mlp_dim), found.contains_key("blocks.0.attn.qkv.bias"))
    } else {
        (None, found.contains_key(&qk(0, "bias")))
    };
    let head = match content {
        Content::QualityOnly => None,
        Content::Full => {
            let [hidden, input] = dims(found, "feature.0.weight", "[hidden, N·D]")?;
            let [output, _] = dims(found, "feature.2.weight", "[embedding, hidden]")?;
            Some(HeadShape { input, hidden, output })
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
        class_token: found.contains_key("cls_token"),
        positions,
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
