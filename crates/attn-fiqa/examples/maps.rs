//! Which patches of an aligned face contribute to its score, as characters and as an image.
//!
//! `cargo run --release -p attn-fiqa --example maps -- examples/faces/occlude-3.png map.png`
#![allow(clippy::print_stdout, reason = "an example's standard output is its result")]

use std::error::Error;

use attn_fiqa::checkpoint::builtin;
use attn_fiqa::crop::Crop;
use attn_fiqa::decode::{DecodeLimits, decode};
use attn_fiqa::engine::{Engine, EngineOptions, Request};
use attn_fiqa::visualize::{MapStyle, PatchGrid, RangeOverSet, encode_png, overlay};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: maps IMAGE [IMAGE.png]")?;
    let engine = Engine::new(&builtin()?, &EngineOptions::default())?;
    let side = engine.config().image_size;
    let image = decode(&std::fs::read(&path)?, &DecodeLimits::default())?.image;
    let crop = Crop::from_rgb(side, image.into_rgb()).ok_or("not the network's size")?;

    let request = Request { received: true, ..Request::new(engine.default_method()) };
    let assessment = engine.assess(std::slice::from_ref(&crop), &request)?.remove(0)?;
    let score = assessment.scores[0];
    println!("{path}: {score}");
    // The mean of the map is the score: patches above it raise it, others lower it.
    let map = assessment.received.ok_or("no map")?.mean;
    for row in map.values().chunks_exact(map.grid()) {
        let marks = row.iter().map(|&value| if value < score { "· " } else { "█ " });
        println!("{}", marks.collect::<String>());
    }
    if let Some(file) = arguments.next() {
        let mut range = RangeOverSet::default();
        range.include(map.values());
        let style = MapStyle::new(range.range().ok_or("a map without a range")?);
        let grid = PatchGrid::new(map.values(), map.grid(), map.grid())?;
        let drawn = overlay(&crop, &grid, &style)?;
        std::fs::write(file, encode_png(&drawn.rgb, drawn.width, drawn.height)?)?;
    }
    Ok(())
}
