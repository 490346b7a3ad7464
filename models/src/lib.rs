//! Weights that ship with attn-fiqa, each beside its model card, and a register of
//! other people's: data only.

/// The built-in model: a canonical safetensors file in f16.
///
/// See `attn-fiqa-s.md` for what it was trained on and what it is not for.
pub const ATTN_FIQA_S: &[u8] = include_bytes!("../attn-fiqa-s.safetensors");

/// The built-in face detector: an ONNX file with YuNet's names of inputs and
/// outputs; its input `[1, 3, height, width]` holds RGB of 0 … 255, sides being
/// multiples of 32.
///
/// See `detector.md` for what it was trained on and how well it finds faces.
pub const DETECTOR: &[u8] = include_bytes!("../detector.onnx");

/// Public checkpoints of others by name, as TOML: where they lie, their presets and
/// their licences. Read by the command line (`attn-fiqa model`).
pub const REGISTRY: &str = include_str!("../registry.toml");
