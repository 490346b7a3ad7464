//! Embeddings: from an aligned face to the numbers by which faces are compared.
//!
//! A [`Recogniser`] is any ONNX network that takes one face and gives one embedding.
//! How it wants its pixels stands in an [`InputSpec`]; published networks have a
//! [`RecogniserPreset`]. Our own networks embed through
//! [`Engine`](crate::engine::Engine).

mod embedding;
mod input;
#[cfg(feature = "onnx")]
mod network;

pub use embedding::{joined_with_mirror, mirrored, norm, normalised};
pub use input::{InputSpec, InputSpecError, RecogniserPreset};
#[cfg(feature = "onnx")]
pub use network::{Recogniser, RecogniserError};
