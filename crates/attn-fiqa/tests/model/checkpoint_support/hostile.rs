//! Reads malicious files and checks how they are refused.

use attn_fiqa::checkpoint::{Checkpoint, CheckpointError, CheckpointOptions};

use super::pickle::View;
use super::zip::torch_zip;

pub(crate) fn read(bytes: Vec<u8>) -> Result<Checkpoint, CheckpointError> {
    let options =
        CheckpointOptions { heads: Some(2), allow_unused: true, ..CheckpointOptions::default() };
    Checkpoint::from_bytes(bytes, "stranger.pt", &options)
}

#[track_caller]
pub(crate) fn refused(bytes: Vec<u8>, parts: &[&str]) {
    let text = read(bytes).expect_err("it must be refused").to_string();
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    assert!(text.starts_with("stranger.pt: "), "{text}");
    assert!(text.len() < 2000, "{text}");
    assert!(!text.contains(char::is_control), "{text:?}");
}

/// A PyTorch file with one storage of `bytes` bytes and this pickle.
pub(crate) fn torch(pickle: &[u8], bytes: usize) -> Vec<u8> {
    torch_zip(pickle, &[vec![0; bytes]])
}

pub(crate) const VIEW: View<'static> = View {
    class: "FloatStorage",
    key: "0",
    elements: 4,
    offset: 0,
    shape: &[2, 2],
    strides: &[2, 1],
};
