//! Times the engine on request, for `benches/peers`.
//!
//! `throughput CHECKPOINT HEADS CROPS THREADS PRECISION`: CROPS is raw RGB,
//! `[image, row, column, channel]`. After the first score it prints `ready SCORE`; then, for each
//! batch size read from a line of standard input, it scores all crops once and prints the seconds
//! taken and the sum of the scores.
#![allow(clippy::print_stdout, reason = "an example's standard output is its result")]

use std::error::Error;
use std::io::BufRead;
use std::path::Path;
use std::time::Instant;

use attn_fiqa::checkpoint::{Checkpoint, CheckpointOptions};
use attn_fiqa::crop::Crop;
use attn_fiqa::engine::{Engine, EngineOptions, PrecisionChoice, Request};
use attn_fiqa::score::Method;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [checkpoint, heads, crops, threads, precision] = &arguments[..] else {
        return Err("usage: throughput CHECKPOINT HEADS CROPS THREADS PRECISION".into());
    };
    let options = CheckpointOptions { heads: Some(heads.parse()?), ..Default::default() };
    let checkpoint = Checkpoint::open(Path::new(checkpoint), &options)?;
    let precision = PrecisionChoice::all()
        .find(|candidate| candidate.name() == precision)
        .ok_or("no such precision")?;
    let threads = Some(threads.parse()?);
    let options = EngineOptions { threads, precision, ..EngineOptions::default() };
    let engine = Engine::new(&checkpoint, &options)?;
    let side = engine.config().image_size;
    let crops: Vec<Crop> = std::fs::read(crops)?
        .chunks_exact(side * side * 3)
        .filter_map(|rgb| Crop::from_rgb(side, rgb.to_vec()))
        .collect();
    let request = Request::new(Method::ATTN);
    let first = engine.assess(&crops[..1], &request)?.remove(0)?;
    println!("ready {}", first.scores[0]);
    for line in std::io::stdin().lock().lines() {
        let batch = line?.trim().parse()?;
        let start = Instant::now();
        let mut checksum = 0.0;
        for batch in crops.chunks(batch) {
            for outcome in engine.assess(batch, &request)? {
                checksum += f64::from(outcome?.scores[0]);
            }
        }
        println!("{} {checksum}", start.elapsed().as_secs_f64());
    }
    Ok(())
}
