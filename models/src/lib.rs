//! Weights that ship with attn-fiqa, each next to its model card, and a registry of third-party
//! checkpoints: data only. They are statics, so that a program contains each once, however many
//! crates use it.

/// The built-in model: a canonical safetensors file in f16 that holds what a score needs.
///
/// The rest, for embeddings, is in `attn_fiqa_models_embedding`. See `attn-fiqa-t.md` for what it
/// was trained on and what it is not for.
pub static ATTN_FIQA_T: &[u8] = include_bytes!("../attn-fiqa-t.safetensors");

/// The built-in face detector's weights: a safetensors file in f32, named as in
/// `training/detector/network.py`, with batch norms and the input scale folded in.
///
/// See `detector.md` for what it was trained on and how well it finds faces.
pub static DETECTOR: &[u8] = include_bytes!("../detector.safetensors");

/// Length of `detector.onnx`, which holds the same weights for other programs.
pub const DETECTOR_ONNX_BYTES: usize = 593_478;

/// SHA-256 of `detector.onnx`: its input is red first, unlike that of other files with the same
/// outputs.
pub const DETECTOR_ONNX_SHA256: [u8; 32] = [
    0xb9, 0x33, 0xb6, 0xef, 0xa3, 0x09, 0x41, 0xfb, 0x7a, 0x46, 0x33, 0x8d, 0x94, 0x0c, 0x46, 0xe3,
    0xd2, 0xd4, 0xe1, 0x8d, 0x0d, 0xd5, 0x8f, 0x0f, 0x7a, 0xaa, 0x85, 0x90, 0x51, 0x43, 0xc1, 0x34,
];

/// The weights of the network that finds five points in an upright view of a face: a safetensors
/// file in f32, named as in `training/landmarks/net.py`, with batch norms and the input scale
/// folded in. `landmarks.onnx` holds the same for other programs.
///
/// See `landmarks.md` for what it was trained on and how accurate it is.
pub static LANDMARKS: &[u8] = include_bytes!("../landmarks.safetensors");

/// Public third-party checkpoints by name, as TOML: their locations, presets and licences. Read by
/// the command line (`attn-fiqa model`).
pub static REGISTRY: &str = include_str!("../registry.toml");
