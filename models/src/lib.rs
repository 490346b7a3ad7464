//! Weights that ship with attn-fiqa, each beside its model card, and a register of
//! other people's: data only.

/// The built-in model: a canonical safetensors file in f16.
///
/// See `attn-fiqa-t.md` for what it was trained on and what it is not for.
pub const ATTN_FIQA_T: &[u8] = include_bytes!("../attn-fiqa-t.safetensors");

/// The built-in face detector's weights: a safetensors file in f32, named as in
/// `training/detector/network.py`, batch norms and the factor on the input folded in.
///
/// See `detector.md` for what it was trained on and how well it finds faces.
pub const DETECTOR: &[u8] = include_bytes!("../detector.safetensors");

/// Length of `detector.onnx`, which holds the same weights for other programs.
pub const DETECTOR_ONNX_BYTES: usize = 496_624;

/// SHA-256 of `detector.onnx`: its pixels are red first, unlike those of other files with
/// the same outputs.
pub const DETECTOR_ONNX_SHA256: [u8; 32] = [
    0xbc, 0x2b, 0x9d, 0x42, 0xa9, 0xe1, 0x10, 0x8e, 0xa0, 0x69, 0x84, 0x03, 0x74, 0xe6, 0xc9, 0x2e,
    0xa0, 0x43, 0x90, 0xa3, 0x77, 0x93, 0xe6, 0x74, 0x17, 0x65, 0xb7, 0x6f, 0xee, 0xc2, 0xc3, 0xec,
];

/// The weights of the network that finds five points in an upright view of a face: a
/// safetensors file in f32, named as in `training/landmarks/net.py`, batch norms and the
/// factor on the input folded in. `landmarks.onnx` holds the same for other programs.
///
/// See `landmarks.md` for what it was trained on and how exact it is.
pub const LANDMARKS: &[u8] = include_bytes!("../landmarks.safetensors");

/// Public checkpoints of others by name, as TOML: where they lie, their presets and
/// their licences. Read by the command line (`attn-fiqa model`).
pub const REGISTRY: &str = include_str!("../registry.toml");
