//! Reads well-formed files and checks how they are refused.

use attn_fiqa::checkpoint::{Checkpoint, CheckpointError, CheckpointOptions};

pub(crate) fn heads(heads: usize) -> CheckpointOptions {
    CheckpointOptions { heads: Some(heads), ..CheckpointOptions::default() }
}

pub(crate) fn read(
    bytes: Vec<u8>,
    options: &CheckpointOptions,
) -> Result<Checkpoint, CheckpointError> {
    Checkpoint::from_bytes(bytes, "model.bin", options)
}

/// The error's text, which must name the file and contain every part.
#[track_caller]
pub(crate) fn refused(
    result: Result<Checkpoint, CheckpointError>,
    parts: &[&str],
) -> CheckpointError {
    let error = result.expect_err("it must be refused");
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    assert!(text.contains(error.file()), "{text}");
    error
}
