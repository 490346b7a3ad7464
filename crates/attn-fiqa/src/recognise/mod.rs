//! Embeddings: from an aligned face to the vector used to compare faces.
//!
//! A [`Recogniser`] is any ONNX network that takes one face and returns one embedding. An
//! [`InputSpec`] describes the pixels it expects; published networks have a [`RecogniserPreset`].
//! Our own networks compute embeddings through [`Engine`](crate::engine::Engine).

mod embedding;
mod input;
#[cfg(feature = "onnx")]
mod network;

pub use embedding::{joined_with_mirror, mirrored, norm, normalised};
pub use input::{InputSpec, InputSpecError, RecogniserPreset};
#[cfg(feature = "onnx")]
pub use network::{Recogniser, RecogniserError};
