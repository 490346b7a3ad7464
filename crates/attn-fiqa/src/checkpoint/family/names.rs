//! The tensor names of each family, and the corresponding canonical names.

use super::Family;

/// How a file spells its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::checkpoint) enum Naming {
    /// Canonical names: InsightFace, timm, and DINOv2's repository, which has a few names of its
    /// own.
    Canonical,
    /// Hugging Face's transformers, all versions.
    HuggingFace,
    /// OpenAI's CLIP.
    OpenAi,
}

/// The role of a stored tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Role {
    /// The tensor with this canonical name.
    Whole(String),
    /// The transpose of the tensor with this canonical name.
    Transposed(String),
    /// Part `index` of the tensor `of`: its rows follow those of the parts before it. `group` lists
    /// the spellings of all parts in order.
    Part { of: String, index: usize, group: &'static [&'static str] },
    /// A known tensor that neither scores nor embeddings need.
    Unused,
}

/// Names of layers outside the blocks: stored and canonical, without `.weight` and `.bias`.
const HUGGING_FACE: [(&str, &str); 5] = [
    ("embeddings.patch_embeddings.projection", "patch_embed.proj"),
    ("embeddings.patch_embedding", "patch_embed.proj"),
    ("pre_layrnorm", "norm_pre"),
    ("layernorm", "norm"),
    ("post_layernorm", "norm"),
];

/// Names of whole tensors outside the blocks.
const HUGGING_FACE_TENSORS: [(&str, &str); 5] = [
    ("embeddings.cls_token", "cls_token"),
    ("embeddings.class_embedding", "cls_token"),
    ("embeddings.register_tokens", "reg_token"),
    ("embeddings.position_embeddings", "pos_embed"),
    ("embeddings.position_embedding.weight", "pos_embed"),
];

/// Each of these is followed by a block index.
const HUGGING_FACE_BLOCKS: [&str; 3] = ["encoder.layer.", "encoder.layers.", "layers."];

/// Names of layers within a block.
const HUGGING_FACE_LAYERS: [(&str, &str); 16] = [
    ("layernorm_before", "norm1"),
    ("layer_norm1", "norm1"),
    ("norm1", "norm1"),
    ("attention.output.dense", "attn.proj"),
    ("attention.o_proj", "attn.proj"),
    ("self_attn.out_proj", "attn.proj"),
    ("layernorm_after", "norm2"),
    ("layer_norm2", "norm2"),
    ("norm2", "norm2"),
    ("intermediate.dense", "mlp.fc1"),
    ("mlp.fc1", "mlp.fc1"),
    ("mlp.weights_in", "mlp.fc1"),
    ("output.dense", "mlp.fc2"),
    ("mlp.fc2", "mlp.fc2"),
    ("mlp.weights_out", "mlp.fc2"),
    ("mlp.down_proj", "mlp.fc2"),
];

/// Layers of a block that are stored in parts, in row order.
const HUGGING_FACE_PARTS: [(&[&str], &str); 4] = [
    (
        &["attention.attention.query", "attention.attention.key", "attention.attention.value"],
        "attn.qkv",
    ),
    (&["attention.q_proj", "attention.k_proj", "attention.v_proj"], "attn.qkv"),
    (&["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"], "attn.qkv"),
    (&["mlp.gate_proj", "mlp.up_proj"], "mlp.fc1"),
];

const OPENAI: [(&str, &str); 3] =
    [("conv1", "patch_embed.proj"), ("ln_pre", "norm_pre"), ("ln_post", "norm")];

const OPENAI_TENSORS: [(&str, &str); 2] =
    [("class_embedding", "cls_token"), ("positional_embedding", "pos_embed")];

const OPENAI_BLOCKS: &str = "transformer.resblocks.";

const OPENAI_LAYERS: [(&str, &str); 5] = [
    ("ln_1", "norm1"),
    ("attn.out_proj", "attn.proj"),
    ("ln_2", "norm2"),
    ("mlp.c_fc", "mlp.fc1"),
    ("mlp.c_proj", "mlp.fc2"),
];

impl Naming {
    /// Names that every network with this naming has, most distinctive first.
    pub(in crate::checkpoint) fn anchors(self) -> &'static [&'static str] {
        match self {
            Self::Canonical => &[
                "patch_embed.proj.weight",
                "pos_embed",
                "blocks.0.norm1.weight",
                "blocks.0.attn.qkv.weight",
            ],
            Self::HuggingFace => &[
                "embeddings.patch_embeddings.projection.weight",
                "embeddings.patch_embedding.weight",
            ],
            Self::OpenAi => &["class_embedding"],
        }
    }

    /// Attributes under which a larger model keeps the image encoder; its other parts are next to
    /// it.
    pub(in crate::checkpoint) fn towers(self) -> &'static [&'static str] {
        match self {
            Self::Canonical => &[],
            Self::HuggingFace => &["vision_model.", "vit.", "dinov2.", "dinov2_with_registers."],
            Self::OpenAi => &["visual."],
        }
    }

    /// The role of a tensor of the image encoder; `None` for an unknown name.
    pub(super) fn role(self, name: &str) -> Option<Role> {
        match self {
            Self::Canonical => Some(Role::Whole(canonical_spelling(name))),
            Self::HuggingFace => hugging_face(name),
            Self::OpenAi => openai(name),
        }
    }

    /// The role of a tensor next to the image encoder, which has no canonical name.
    pub(super) fn role_beside(self, name: &str) -> Option<Role> {
        let first = name.split('.').next().unwrap_or_default();
        match self {
            Self::Canonical => None,
            Self::HuggingFace if name == "visual_projection.weight" => {
                Some(Role::Whole("head.weight".to_owned()))
            }
            Self::HuggingFace => ["text_model", "text_projection", "logit_scale", "classifier"]
                .contains(&first)
                .then_some(Role::Unused),
            Self::OpenAi => [
                "transformer",
                "token_embedding",
                "positional_embedding",
                "ln_final",
                "text_projection",
                "logit_scale",
                "logit_bias",
                "input_resolution",
                "context_length",
                "vocab_size",
            ]
            .contains(&first)
            .then_some(Role::Unused),
        }
    }

    /// The same name in another block; `None` if it belongs to no block.
    pub(super) fn in_block(self, name: &str, block: usize) -> Option<String> {
        let blocks: &[&str] = match self {
            Self::Canonical => &["blocks."],
            Self::HuggingFace => &HUGGING_FACE_BLOCKS,
            Self::OpenAi => &[OPENAI_BLOCKS],
        };
        blocks.iter().find_map(|prefix| {
            let (_, rest) = name.strip_prefix(prefix)?.split_once('.')?;
            Some(format!("{prefix}{block}.{rest}"))
        })
    }
}

/// The family of a network, from its names without prefix, and the name that identifies it.
pub(super) fn family<'a>(
    naming: Naming,
    names: impl Iterator<Item = &'a str> + Clone,
) -> (Family, &'static str) {
    let has = |part: &str| names.clone().any(|name| name.contains(part));
    // Ordered: the first match decides.
    let evidence: &[(Family, &'static str)] = match naming {
        Naming::Canonical => &[
            (Family::KpRpe, "keypoint_linear.weight"),
            (Family::KpRpe, "keypoint_linear.bias"),
            (Family::TransFace, "senet.0.weight"),
            (Family::InsightFace, "feature.0.weight"),
            (Family::InsightFace, "feature."),
            (Family::InsightFace, ".attn.qk."),
            (Family::Dinov2, "register_tokens"),
            (Family::Dinov2, "mlp.w12.weight"),
            (Family::Timm, "head.weight"),
            (Family::Timm, "fc_norm.weight"),
            (Family::Timm, "reg_token"),
            (Family::Timm, "norm_pre.weight"),
            (Family::Timm, "attn.q_norm.weight"),
        ],
        Naming::HuggingFace => &[
            (Family::HuggingFaceClip, "pre_layrnorm.weight"),
            (Family::HuggingFaceClip, "embeddings.patch_embedding.weight"),
            (Family::HuggingFaceDinov2, "layer_scale1.lambda1"),
            (Family::HuggingFaceDinov2, "embeddings.register_tokens"),
        ],
        Naming::OpenAi => &[],
    };
    if let Some(&found) = evidence.iter().find(|(_, name)| has(name)) {
        return found;
    }
    match naming {
        Naming::Canonical if has("ls1.gamma") => match has("mask_token") {
            true => (Family::Dinov2, "blocks.*.ls1.gamma"),
            false => (Family::Timm, "blocks.*.ls1.gamma"),
        },
        Naming::Canonical if has("cls_token") => (Family::Timm, "cls_token"),
        Naming::Canonical => (Family::InsightFace, "patch_embed.proj.weight"),
        Naming::HuggingFace => {
            (Family::HuggingFaceVit, "embeddings.patch_embeddings.projection.weight")
        }
        Naming::OpenAi => (Family::OpenAiClip, "class_embedding"),
    }
}

/// DINOv2's repository uses the canonical names, except for registers and the gated MLP.
fn canonical_spelling(name: &str) -> String {
    if name == "register_tokens" {
        return "reg_token".to_owned();
    }
    match name.starts_with("blocks.") {
        true => name.replace(".mlp.w12.", ".mlp.fc1.").replace(".mlp.w3.", ".mlp.fc2."),
        false => name.to_owned(),
    }
}

fn hugging_face(name: &str) -> Option<Role> {
    if let Some(rest) = HUGGING_FACE_BLOCKS.iter().find_map(|prefix| name.strip_prefix(prefix)) {
        let (block, rest) = indexed(rest)?;
        if let Some(scale) =
            ["1", "2"].into_iter().find(|index| rest == format!("layer_scale{index}.lambda1"))
        {
            return Some(Role::Whole(format!("blocks.{block}.ls{scale}.gamma")));
        }
        let (layer, part) = rest.rsplit_once('.')?;
        if !["weight", "bias"].contains(&part) {
            return None;
        }
        for (group, joint) in HUGGING_FACE_PARTS {
            if let Some(index) = group.iter().position(|stored| *stored == layer) {
                let of = format!("blocks.{block}.{joint}.{part}");
                return Some(Role::Part { of, index, group });
            }
        }
        let layer = in_table(&HUGGING_FACE_LAYERS, layer)?;
        return Some(Role::Whole(format!("blocks.{block}.{layer}.{part}")));
    }
    let unused = ["embeddings.position_ids", "embeddings.mask_token"].contains(&name);
    if unused || name.starts_with("pooler.") {
        return Some(Role::Unused);
    }
    outside_blocks(&HUGGING_FACE_TENSORS, &HUGGING_FACE, name)
}

fn openai(name: &str) -> Option<Role> {
    if let Some(rest) = name.strip_prefix(OPENAI_BLOCKS) {
        let (block, rest) = indexed(rest)?;
        if let Some(part) = rest.strip_prefix("attn.in_proj_") {
            return Some(Role::Whole(format!("blocks.{block}.attn.qkv.{part}")));
        }
        let (layer, part) = rest.rsplit_once('.')?;
        let layer = in_table(&OPENAI_LAYERS, layer)?;
        return Some(Role::Whole(format!("blocks.{block}.{layer}.{part}")));
    }
    if name == "proj" {
        return Some(Role::Transposed("head.weight".to_owned()));
    }
    outside_blocks(&OPENAI_TENSORS, &OPENAI, name)
}

fn outside_blocks(tensors: &[(&str, &str)], layers: &[(&str, &str)], name: &str) -> Option<Role> {
    if let Some(canonical) = in_table(tensors, name) {
        return Some(Role::Whole(canonical.to_owned()));
    }
    let (layer, part) = name.rsplit_once('.')?;
    let layer = in_table(layers, layer)?;
    Some(Role::Whole(format!("{layer}.{part}")))
}

fn in_table<'a>(table: &[(&str, &'a str)], stored: &str) -> Option<&'a str> {
    table.iter().find(|(name, _)| *name == stored).map(|(_, canonical)| *canonical)
}

/// Splits `i.…` into `i` and what follows the dot.
fn indexed(rest: &str) -> Option<(usize, &str)> {
    let (digits, rest) = rest.split_once('.')?;
    let index: usize = digits.parse().ok()?;
    // A number has only one valid spelling: not `+1`, not `01`.
    (index.to_string() == digits).then_some((index, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(naming: Naming, name: &str) -> String {
        match naming.role(name) {
            Some(Role::Whole(canonical)) => canonical,
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn both_spellings_of_hugging_face_are_read() {
        for (old, new, canonical) in [
            (
                "encoder.layer.3.attention.output.dense.bias",
                "layers.3.attention.o_proj.bias",
                "blocks.3.attn.proj.bias",
            ),
            (
                "encoder.layer.11.intermediate.dense.weight",
                "layers.11.mlp.fc1.weight",
                "blocks.11.mlp.fc1.weight",
            ),
            ("layernorm.weight", "post_layernorm.weight", "norm.weight"),
        ] {
            assert_eq!(whole(Naming::HuggingFace, old), canonical);
            assert_eq!(whole(Naming::HuggingFace, new), canonical);
        }
        for (name, index) in [
            ("encoder.layer.0.attention.attention.value.bias", 2),
            ("layers.0.attention.k_proj.bias", 1),
            ("encoder.layers.0.self_attn.q_proj.bias", 0),
        ] {
            let role = Naming::HuggingFace.role(name);
            let expected = |of: &str| of == "blocks.0.attn.qkv.bias";
            assert!(
                matches!(&role, Some(Role::Part { of, index: i, .. }) if expected(of) && *i == index),
                "{name}: {role:?}"
            );
        }
        for unknown in ["encoder.layer.01.norm1.weight", "layers.0.norm3.weight", "head.weight"] {
            assert_eq!(Naming::HuggingFace.role(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn openai_and_dinov2_names_are_read() {
        let block = "transformer.resblocks.2.";
        for (name, canonical) in [
            ("attn.in_proj_weight", "blocks.2.attn.qkv.weight"),
            ("mlp.c_proj.bias", "blocks.2.mlp.fc2.bias"),
            ("ln_1.bias", "blocks.2.norm1.bias"),
        ] {
            assert_eq!(whole(Naming::OpenAi, &format!("{block}{name}")), canonical);
        }
        assert_eq!(Naming::OpenAi.role("proj"), Some(Role::Transposed("head.weight".to_owned())));
        assert_eq!(whole(Naming::Canonical, "blocks.0.mlp.w12.weight"), "blocks.0.mlp.fc1.weight");
        assert_eq!(whole(Naming::Canonical, "register_tokens"), "reg_token");
    }

    #[test]
    fn in_block_replaces_the_block_index() {
        let moved = |naming: Naming, name| naming.in_block(name, 7);
        assert_eq!(
            moved(Naming::HuggingFace, "encoder.layer.0.norm1.bias").as_deref(),
            Some("encoder.layer.7.norm1.bias")
        );
        assert_eq!(moved(Naming::Canonical, "norm.bias"), None);
    }
}
