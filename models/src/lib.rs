//! Weights that ship with attn-fiqa: data only, each beside its model card.

/// The interim built-in model: a canonical safetensors file in f16.
///
/// See `interim-vit.md` for what it was trained on and what it is not for.
pub const INTERIM_VIT: &[u8] = include_bytes!("../interim-vit.safetensors");
