//! Face image quality from the attention scores that a face-recognition Vision
//! Transformer computes anyway (ATTN-FIQA, arXiv 2604.22841).
//!
//! The modules stand in the order of an image's way: found, decoded, its faces detected and
//! aligned, cropped,
//! sent through the network, scored, drawn. [`engine::Engine`] is the door for
//! programs that have crops; [`checkpoint::Checkpoint`] is where its weights
//! come from.

pub mod source;

pub mod decode;
pub mod picture;
pub mod resize;

pub mod align;
#[cfg(feature = "builtin-model")]
mod convolution;
pub mod detect;
pub mod face;

pub mod crop;

pub mod checkpoint;
pub mod vit;

pub mod measure;
pub mod onnx;
mod random;
pub mod recognise;

pub mod map;
pub mod score;

pub mod engine;
pub mod pipeline;

pub mod best;
mod lent;
pub mod paint;
mod regular_file;
pub mod status;
pub mod threads;
