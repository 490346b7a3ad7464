//! Every face of a photo: its position and its score.
//!
//! `cargo run --release -p attn-fiqa --example score_photo -- examples/astronaut.png`
#![allow(clippy::print_stdout, reason = "an example's standard output is its result")]

use std::error::Error;
use std::sync::Arc;

use attn_fiqa::checkpoint::builtin;
use attn_fiqa::detect::Detector;
use attn_fiqa::engine::{Engine, EngineOptions};
use attn_fiqa::pipeline::{FaceOptions, FacePipeline, FaceSource};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: score_photo IMAGE")?;
    // Built once; a server shares one pipeline between all its threads.
    let engine = Arc::new(Engine::new(&builtin()?, &EngineOptions::default())?);
    let detector = Arc::new(Detector::builtin(engine.threads())?);
    let faces = FaceOptions::new(FaceSource::Detected(detector));
    let pipeline = FacePipeline::new(Arc::clone(&engine), faces, engine.default_method())?;

    let image = pipeline.score(std::fs::read(&path)?);
    for note in &image.notes {
        println!("{path}: {note}");
    }
    for face in image.faces? {
        let score = face.outcome?.scores[0];
        let quality = engine.quality_map().map(|map| map.quality(score));
        println!(
            "face {} at {:?}: score {score}, quality {quality:?}",
            face.info.index, face.info.bounds
        );
    }
    Ok(())
}
