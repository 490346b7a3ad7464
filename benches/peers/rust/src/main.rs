//! One Rust peer as a process, for `benches/peers`: the protocol is `peer.py`'s.
//!
//! `attn-fiqa-peers RUNNER MODEL CROPS THREADS HEADS`

mod candle_vit;
mod rten_onnx;

use std::io::BufRead;
use std::time::Instant;

use anyhow::{Context, bail};

const SIDE: usize = 112;
const CROP: usize = SIDE * SIDE * 3;

/// Crops `[batch, row, column, channel]` to the sum of their scores.
type Score = Box<dyn Fn(&[u8]) -> anyhow::Result<f64>>;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [runner, model, crops, threads, heads] = &arguments[..] else {
        bail!("usage: attn-fiqa-peers RUNNER MODEL CROPS THREADS HEADS");
    };
    let threads = threads.parse()?;
    let score: Score = match runner.as_str() {
        "candle-f32" => candle_vit::open(model, threads, heads.parse()?)?,
        "rten-f32" => rten_onnx::open(model, threads)?,
        _ => bail!("no such runner: {runner}"),
    };
    let crops = std::fs::read(crops)?;
    println!("ready {}", score(crops.get(..CROP).context("no crop")?)?);
    for line in std::io::stdin().lock().lines() {
        let batch: usize = line?.trim().parse()?;
        let start = Instant::now();
        let mut total = 0.0;
        for crops in crops.chunks(batch * CROP) {
            total += score(crops)?;
        }
        println!("{} {total}", start.elapsed().as_secs_f64());
    }
    Ok(())
}
