//! Any bytes through the whole reading path: format, names, shapes, weights, and an engine
//! that scores and embeds a crop with them.
#![no_main]

use std::num::NonZeroUsize;

use attn_fiqa::checkpoint::{Checkpoint, CheckpointOptions};
use attn_fiqa::crop::Crop;
use attn_fiqa::engine::{Engine, EngineOptions, Request};
use libfuzzer_sys::fuzz_target;

const PARTS: [&str; 4] =
    ["pos_embed", "norm.weight", "feature.0.weight", "blocks.0.attn.qkv.weight"];

fuzz_target!(|bytes: &[u8]| {
    // Heads that divide the width of each seed.
    for heads in [None, Some(1), Some(4), Some(5), Some(6)] {
        let options =
            CheckpointOptions { heads, allow_unused: true, ..CheckpointOptions::default() };
        match Checkpoint::from_bytes(bytes.to_vec(), "fuzz", &options) {
            Ok(checkpoint) => {
                for name in PARTS {
                    if let Ok(values) = checkpoint.read_f32(name) {
                        assert!(values.len() * 2 <= bytes.len());
                    }
                }
                assert_eq!(checkpoint.inspect().file_size, bytes.len() as u64);
                assess(&checkpoint);
            }
            Err(error) => {
                let text = error.to_string();
                assert!(!text.contains(char::is_control), "{text:?}");
                assert!(text.chars().count() < 1000, "{text:?}");
            }
        }
    }
});

/// A crop is scored and embedded, or refused.
fn assess(checkpoint: &Checkpoint) {
    let options = EngineOptions {
        threads: NonZeroUsize::new(1),
        embedding: true,
        ..EngineOptions::default()
    };
    let Ok(engine) = Engine::new(checkpoint, &options) else {
        return;
    };
    let side = engine.config().image_size;
    let crop = Crop::from_rgb(side, vec![90; side * side * 3]).expect("a crop");
    let request = Request {
        received: true,
        embedding: engine.config().embedding_head.is_some(),
        mean_query: true,
        ..Request::new(engine.default_method())
    };
    let outcomes = engine.assess(&[crop], &request).expect("a request that fits");
    if let Ok(assessment) = &outcomes[0] {
        assert!(assessment.scores[0].is_finite());
    }
}
