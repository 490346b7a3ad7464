//! The part of attn-fiqa's built-in model that only embeddings need: data only.
//!
//! A crate of its own, because a package of crates.io may have 10 MB, and because a program that
//! needs no embeddings is so much smaller without.

/// The rest of `attn_fiqa_models::ATTN_FIQA_T`: a safetensors file in f16 with the last block's
/// projection, MLP and query, key and value rows, the final norm and the embedding head.
///
/// `models/attn-fiqa-t.md` is the model's card.
pub static ATTN_FIQA_T: &[u8] = include_bytes!("../attn-fiqa-t-embedding.safetensors");
