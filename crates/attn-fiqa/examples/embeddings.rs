//! The similarity of the largest faces of two photos, from the model's own embedding.
//!
//! `cargo run --release -p attn-fiqa --example embeddings -- examples/astronaut.png examples/faces/blur-2.png`
#![allow(clippy::print_stdout, reason = "an example's standard output is its result")]

use std::error::Error;
use std::sync::Arc;

use attn_fiqa::checkpoint::builtin;
use attn_fiqa::detect::Detector;
use attn_fiqa::engine::{Engine, EngineOptions, Request};
use attn_fiqa::pipeline::{FaceChoice, FaceOptions, FacePipeline, FaceSource};
use attn_fiqa::recognise::normalised;

fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    let [a, b] = &paths[..] else { return Err("usage: embeddings IMAGE IMAGE".into()) };
    let options = EngineOptions { embedding: true, ..EngineOptions::default() };
    let engine = Arc::new(Engine::new(&builtin()?, &options)?);
    let detector = Arc::new(Detector::builtin(engine.threads())?);
    let largest = FaceChoice { max_faces: Some(1), ..FaceChoice::default() };
    let faces = FaceOptions { choice: largest, ..FaceOptions::new(FaceSource::Detected(detector)) };
    let request = Request { embedding: true, ..Request::new(engine.default_method()) };
    let pipeline = FacePipeline::new(engine, faces, request)?;

    let embed = |path: &str| -> Result<Vec<f32>, Box<dyn Error>> {
        let face = pipeline.score(std::fs::read(path)?).faces?.remove(0);
        Ok(normalised(&face.outcome?.embedding.ok_or("no embedding")?))
    };
    let (first, second) = (embed(a)?, embed(b)?);
    let cosine: f32 = first.iter().zip(&second).map(|(a, b)| a * b).sum();
    println!("{} numbers, cosine similarity {cosine:.3}", first.len());
    Ok(())
}
