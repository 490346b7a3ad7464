//! Detects unsupported formats from their first bytes.

use super::error::CheckpointProblem;
use super::shards;

/// The long integer at the start of every PyTorch file before the zip format
/// (`torch.serialization.MAGIC_NUMBER`, 0x1950a86a20f9469cfc6c), as pickled: opcode LONG1, ten
/// bytes.
const OLD_TORCH_MAGIC: &[u8] = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

/// Bytes examined to distinguish text from binary.
const TEXT_PROBE: usize = 512;

const RESAVE: &str = "load it where it was made and save its state dict with \
     safetensors.torch.save_file, or with torch.save of PyTorch 1.6 or later";
const UNPACK: &str = "unpack it and give the .safetensors, .pt or .pth file inside";
const DOWNLOAD: &str = "the download returned a page or a pointer instead of the weights, so fetch \
                        the file itself";
const EXPORT: &str = "it holds a program and not a state dict; give the .safetensors, .pt or .pth \
     checkpoint it was exported from";
const OTHER: &str = "expected a .safetensors file or a PyTorch .pt or .pth file in the zip format";

/// The error for a file that is neither safetensors nor zip.
pub(super) fn identify(file: &[u8]) -> CheckpointProblem {
    let (what, advice) =
        binary(file).or_else(|| text(file)).unwrap_or(("in an unknown format", OTHER));
    CheckpointProblem::UnsupportedFormat { what, advice }
}

fn binary(file: &[u8]) -> Option<(&'static str, &'static str)> {
    if let [0x80, 2..=5, rest @ ..] = file {
        return Some(if rest.starts_with(OLD_TORCH_MAGIC) {
            ("a PyTorch file in the format used before the zip format", RESAVE)
        } else {
            ("a plain pickle", RESAVE)
        });
    }
    const MAGICS: &[(&[u8], &str, &str)] = &[
        (b"\x1f\x8b", "compressed with gzip", UNPACK),
        (b"\x28\xb5\x2f\xfd", "compressed with zstd", UNPACK),
        (b"\xfd7zXZ\0", "compressed with xz", UNPACK),
        (b"BZh", "compressed with bzip2", UNPACK),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
        (b"Rar!", "a RAR archive", UNPACK),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras or MATLAB)", RESAVE),
        (b"\x93NUMPY", "a NumPy array", RESAVE),
        (b"GGUF", "a GGUF file", RESAVE),
        (b"\x89PNG\r\n\x1a\n", "a PNG image", OTHER),
        (b"\xff\xd8\xff", "a JPEG image", OTHER),
        (b"%PDF", "a PDF document", OTHER),
    ];
    for &(magic, what, advice) in MAGICS {
        if file.starts_with(magic) {
            return Some((what, advice));
        }
    }
    if file.get(4..8) == Some(b"TFL3") {
        return Some(("a TensorFlow Lite model", EXPORT));
    }
    if file.get(257..262) == Some(b"ustar") {
        return Some(("a tar archive", UNPACK));
    }
    if is_onnx(file) {
        return Some(("an ONNX model", EXPORT));
    }
    None
}

/// ONNX is a protobuf message without a magic number. It starts with field 1,
/// a small version number, followed by another length-delimited or varint field
/// of `ModelProto` (2 to 8).
fn is_onnx(file: &[u8]) -> bool {
    matches!(file, [0x08, 1..=31, 0x12 | 0x1a | 0x22 | 0x28 | 0x32 | 0x3a | 0x42, ..])
}

fn text(file: &[u8]) -> Option<(&'static str, &'static str)> {
    let probe = file.get(..TEXT_PROBE).unwrap_or(file);
    let text = match std::str::from_utf8(probe) {
        Ok(text) => text,
        // The probe may end inside a character.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(probe.get(..error.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };
    if text.chars().any(|c| c.is_control() && !c.is_whitespace()) {
        return None;
    }
    let start = text.trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    Some(if start.starts_with("version https://git-lfs") {
        ("a Git LFS pointer", "run `git lfs pull`, or download the file itself")
    } else if start.starts_with("<!doctype") || start.starts_with("<html") {
        ("a web page", DOWNLOAD)
    } else if start.starts_with("<?xml") {
        ("an XML document", DOWNLOAD)
    } else if shards::names_shards(file) {
        ("an index of shards", "open it by its path, so that the shards next to it are found")
    } else if start.starts_with('{') {
        ("a JSON document", "give the checkpoint that it describes")
    } else {
        ("a text file", OTHER)
    })
}
