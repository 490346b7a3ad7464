//! Scores aligned face crops that are already in memory.
//!
//! `cargo run --release -p attn-fiqa --example score_crops -- examples/faces/*.png`
#![allow(clippy::print_stdout, reason = "an example's standard output is its result")]

use std::error::Error;

use attn_fiqa::checkpoint::builtin;
use attn_fiqa::crop::Crop;
use attn_fiqa::decode::{DecodeLimits, decode};
use attn_fiqa::engine::{Engine, EngineOptions, Request};

fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::new(&builtin()?, &EngineOptions::default())?;
    let side = engine.config().image_size;
    let paths: Vec<String> = std::env::args().skip(1).collect();
    let mut crops = Vec::new();
    for path in &paths {
        let image = decode(&std::fs::read(path)?, &DecodeLimits::default())?.image;
        // RGB bytes, `[row, column, channel]`, from any source.
        let crop = Crop::from_rgb(side, image.into_rgb());
        crops.push(crop.ok_or_else(|| format!("'{path}' is not {side}×{side} pixels"))?);
    }
    let request = Request::new(engine.default_method());
    for (path, outcome) in paths.iter().zip(engine.assess(&crops, &request)?) {
        println!("{path}: {}", outcome?.scores[0]);
    }
    Ok(())
}
