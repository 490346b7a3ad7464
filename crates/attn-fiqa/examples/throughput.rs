//! Times the engine on demand, for `benches/peers`.
//!
//! `throughput CHECKPOINT HEADS CROPS BATCH THREADS PRECISION`: CROPS is raw RGB,
//! `[image, row, column, channel]`. For every line on standard input all crops
//! are scored once, and the seconds it took and a checksum are printed.
#![allow(clippy::print_stdout, reason = "an example's standard output is its result")]

use std::error::Error;
use std::io::BufRead;
use std::path::Path;
use std::time::Instant;

use attn_fiqa::checkpoint::{Checkpoint, CheckpointOptions};
use attn_fiqa::crop::Crop;
use attn_fiqa::engine::{Engine, EngineOptions, Precision, Request};
use attn_fiqa::score::Method;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [checkpoint, heads, crops, batch, threads, precision] = &arguments[..] else {
        return Err("usage: throughput CHECKPOINT HEADS CROPS BATCH THREADS PRECISION".into());
    };
    let options = CheckpointOptions { heads: Some(heads.parse()?), ..Default::default() };
    let checkpoint = Checkpoint::open(Path::new(checkpoint), &options)?;
    let precision = Precision::ALL
        .into_iter()
        .find(|candidate| candidate.name() == precision)
        .ok_or("no such precision")?;
    let options = EngineOptions { threads: Some(threads.parse()?), embedding: false, precision };
    let engine = Engine::new(&checkpoint, &options)?;
    let side = engine.config().image_size;
    let crops: Vec<Crop> = std::fs::read(crops)?
        .chunks_exact(side * side * 3)
        .filter_map(|rgb| Crop::from_rgb(side, rgb.to_vec()))
        .collect();
    let request = Request::new(Method::ATTN);
    for line in std::io::stdin().lock().lines() {
        line?;
        let start = Instant::now();
        let mut checksum = 0.0;
        for batch in crops.chunks(batch.parse()?) {
            for outcome in engine.assess(batch, &request)? {
                checksum += f64::from(outcome?.scores[0]);
            }
        }
        println!("{} {checksum}", start.elapsed().as_secs_f64());
    }
    Ok(())
}
