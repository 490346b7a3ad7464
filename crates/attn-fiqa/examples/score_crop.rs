//! Scores one aligned face crop and draws its map in characters.
//!
//! `cargo run --release -p attn-fiqa --example score_crop -- examples/faces/astronaut.png`
#![allow(clippy::print_stdout, reason = "an example's standard output is its result")]

use std::error::Error;

use attn_fiqa::checkpoint::builtin;
use attn_fiqa::crop::{ChannelOrder, CropOptions, Fit, crop_from_picture};
use attn_fiqa::decode::{DecodeLimits, decode};
use attn_fiqa::engine::{Engine, EngineOptions, Request};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: score_crop IMAGE")?;
    let engine = Engine::new(&builtin()?, &EngineOptions::default())?;

    let decoded = decode(&std::fs::read(&path)?, &DecodeLimits::default())?;
    let options = CropOptions {
        side: engine.config().image_size,
        fit: Fit::Exact,
        channels: ChannelOrder::Rgb,
    };
    let (crop, _notes) = crop_from_picture(decoded.picture, &options)?;

    let request = Request { received: true, ..Request::new(engine.default_method()) };
    let assessment = engine.assess(&[crop], &request)?.remove(0)?;
    println!("{path}: {}", assessment.scores[0]);

    let map = assessment.received.ok_or("no map")?.mean;
    for row in map.values().chunks_exact(map.grid()) {
        let marks = row.iter().map(|&value| if value < assessment.scores[0] { "· " } else { "█ " });
        println!("{}", marks.collect::<String>());
    }
    Ok(())
}
