//! Any bytes through the whole reading path: format, names, shapes, weights.
#![no_main]

use attn_fiqa::checkpoint::{Checkpoint, CheckpointOptions};
use libfuzzer_sys::fuzz_target;

const PARTS: [&str; 4] = [
    "pos_embed",
    "norm.weight",
    "feature.0.weight",
    "blocks.0.attn.qkv.weight",
];

fuzz_target!(|bytes: &[u8]| {
    // Heads that divide the width of each seed.
    for heads in [None, Some(1), Some(4), Some(5), Some(6)] {
        let options = CheckpointOptions {
            heads,
            allow_unused: true,
            ..CheckpointOptions::default()
        };
        match Checkpoint::from_bytes(bytes.to_vec(), "fuzz", &options) {
            Ok(checkpoint) => {
                for name in PARTS {
                    if let Ok(values) = checkpoint.read_f32(name) {
                        assert!(values.len() * 2 <= bytes.len());
                    }
                }
                assert_eq!(checkpoint.inspect().file_size, bytes.len() as u64);
            }
            Err(error) => {
                let text = error.to_string();
                assert!(!text.contains(char::is_control), "{text:?}");
            }
        }
    }
});
