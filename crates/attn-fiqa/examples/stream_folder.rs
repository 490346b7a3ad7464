//! Scores a folder, an archive or a list of any length in bounded memory: one row per face.
//!
//! `cargo run --release -p attn-fiqa --example stream_folder -- examples`
#![allow(clippy::print_stdout, reason = "an example's standard output is its result")]

use std::error::Error;
use std::sync::Arc;

use attn_fiqa::checkpoint::builtin;
use attn_fiqa::detect::Detector;
use attn_fiqa::engine::{Engine, EngineOptions};
use attn_fiqa::pipeline::{FaceOptions, FacePipeline, FaceSource, Row, StreamOptions};
use attn_fiqa::source::{Input, SourceOptions, Sources};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: stream_folder FOLDER|ARCHIVE|IMAGE")?;
    let engine = Arc::new(Engine::new(&builtin()?, &EngineOptions::default())?);
    let detector = Arc::new(Detector::builtin(engine.threads())?);
    let faces = FaceOptions::new(FaceSource::Detected(detector));
    let pipeline = FacePipeline::new(Arc::clone(&engine), faces, engine.default_method())?;

    let options = SourceOptions { recursive: true, ..SourceOptions::default() };
    let sources = Sources::open(&[Input::Path(path.into())], &options)?;
    pipeline.run(sources, &StreamOptions::default(), |row: Row| {
        match &row.outcome {
            Ok(assessment) => println!("{}: {}", row.label(), assessment.scores[0]),
            // A bad image does not end the run.
            Err(failure) => println!("{}: {}: {failure}", row.path, failure.status),
        }
        Ok::<(), Box<dyn Error>>(())
    })
}
