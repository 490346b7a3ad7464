//! Face image quality from the attention scores that a face-recognition Vision
//! Transformer computes anyway (ATTN-FIQA, arXiv 2604.22841).
//!
//! # The crate on one page
//!
//! ```text
//!  a file's bytes, or pixels          a folder, list, archive, video
//!   ImageData                          source::Sources
//!      │                                  │ SourceItem …
//!      ▼                                  ▼
//! ┌─ pipeline::FacePipeline ────────────────────────────────────────────┐
//! │ decode ─ detect::Detector ─ align ─► crop::Crop                     │
//! │ (limits)  (or known landmarks)          │                           │
//! │                                         ▼                           │
//! │          engine::Engine: backend::Backend (blocks 1…L−1),           │
//! │          then score, map, embedding from the last block             │
//! │          weights: checkpoint::Checkpoint · threads::Threads         │
//! └──────┬─────────────────────────────────────┬────────────────────────┘
//!        ▼                                     ▼
//!   ScoredImage { faces: ScoredFace … }     Row, one per face, in order
//!        each: engine::Assessment, or status::Failure with its Status
//! ```
//!
//! | you have | you call |
//! |---|---|
//! | one photo, as bytes or pixels | [`FacePipeline::score`](pipeline::FacePipeline::score) |
//! | one photo and its landmarks | [`FacePipeline::score_with_landmarks`](pipeline::FacePipeline::score_with_landmarks) |
//! | aligned crops | [`Engine::assess`](engine::Engine::assess) |
//! | any number of images | [`FacePipeline::run`](pipeline::FacePipeline::run) over [`Sources`](source::Sources) |
//! | a need for maps or embeddings | a [`Request`](engine::Request) that asks for them |
//! | only the faces, or only crops | [`find_faces`](pipeline::find_faces), [`crop_faces`](pipeline::crop_faces) |
//!
//! The folder `examples` has programs for most of these: `score_photo`,
//! `score_crops`, `stream_folder`, `maps`, `embeddings`.
//!
//! # What holds
//!
//! - A score depends only on the image: neither the batch nor the number of threads changes a bit.
//!   Everything can be shared between threads.
//! - A problem with an image is a [`Failure`](status::Failure) in its result; only problems with
//!   the request, the model or the machine are errors.
//! - Nothing is resized, reordered or dropped without a [`Note`](decode::Note).
//! - Untrusted bytes are parsed within limits that are checked before anything is allocated,
//!   and nothing in a model file is executed.
//!
//! # Features
//!
//! All but `heic` are on by default. A program that has its images in memory and its faces aligned
//! or detected needs only `builtin-model`; it then includes no archive readers, no ONNX runtime and
//! no fonts, and embeds 7 MB of weights instead of 17.
//!
//! | feature | what it adds |
//! |---|---|
//! | `builtin-model` | the built-in model and detector, embedded in the program |
//! | `builtin-embedding` | embeddings by the built-in model |
//! | `onnx` | detectors, recognisers and quality networks from ONNX files ([`onnx`]) |
//! | `export` | networks as ONNX files for other runtimes ([`export`]) |
//! | `source` | images from folders, patterns, lists and archives ([`source`]) |
//! | `video` | animations and videos, frame by frame |
//! | `visualize` | maps, overlays and contact sheets ([`visualize`]) |
//! | `gate` | TOML policies that decide which face images are accepted ([`gate`]) |
//! | `heic` | HEIC images |
//!
//! The modules are in the order in which an image passes through them. The scores are defined
//! in [`score`].

pub mod input;
#[cfg(feature = "source")]
pub mod source;

pub mod decode;
pub mod pixels;
pub mod resize;

pub mod align;
#[cfg(feature = "builtin-model")]
mod convolution;
#[cfg_attr(
    not(feature = "onnx"),
    allow(dead_code, reason = "much of it serves only detectors from ONNX files")
)]
pub mod detect;
pub mod face;

pub mod crop;

pub mod backend;
pub mod checkpoint;
#[doc(hidden)]
pub mod pickle;
pub mod vit;

pub mod components;
pub mod measure;
#[cfg(feature = "onnx")]
pub mod onnx;
pub mod random;
pub mod recognise;

pub mod causes;
pub mod map;
pub mod score;

pub mod engine;
pub mod pipeline;

#[cfg(feature = "export")]
pub mod export;

#[cfg(feature = "gate")]
pub mod gate;

mod atomic_file;
pub mod best;
mod buffer_pool;
pub mod panics;
mod regular_file;
mod sanitize;
pub mod status;
pub mod threads;
#[cfg(feature = "visualize")]
pub mod visualize;
