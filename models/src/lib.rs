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
pub const DETECTOR_ONNX_BYTES: usize = 593_478;

/// SHA-256 of `detector.onnx`: its pixels are red first, unlike those of other files with
/// the same outputs.
pub const DETECTOR_ONNX_SHA256: [u8; 32] = [
    0x4d, 0xd9, 0x49, 0x27, 0x78, 0x13, 0x74, 0xe6, 0xeb, 0x94, 0xd9, 0x30, 0x2a, 0x15, 0xa0, 0x6a,
    0xb8, 0xb5, 0xd2, 0x19, 0xc9, 0x2a, 0x45, 0xf1, 0x07, 0x8b, 0xb0, 0x0f, 0x71, 0xc2, 0x24, 0x0c,
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
