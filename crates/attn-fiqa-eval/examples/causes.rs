//! Accuracy of a model's causes on faces not used in any fit: the table of docs/reasons.md.
//!
//! ```text
//! cargo run --release -p attn-fiqa-eval --example causes -- FACES [COUNT] [MODEL.safetensors]
//! ```
//!
//! FACES is a folder or tar file of aligned 112×112 crops; COUNT of them (default 200), evenly
//! spaced, are used. Each is degraded as in `attn-fiqa calibrate` (seed 1): by each of eight
//! randomly drawn kinds, and by pairs of these; for a fifth of the faces, each region is also
//! covered. The last line gives the time that causes add to a score, as a ratio on one thread.
#![allow(clippy::print_stdout, reason = "what it prints is its result")]

use std::convert::Infallible;
use std::error::Error;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Instant;

use attn_fiqa::causes::FaceRegion;
use attn_fiqa::checkpoint::{Checkpoint, CheckpointOptions, KEY_BIAS, builtin};
use attn_fiqa::crop::{Crop, Fit};
use attn_fiqa::engine::{Engine, EngineOptions, Request};
use attn_fiqa::pipeline::{FaceOptions, FaceSource, StreamOptions, crop_faces};
use attn_fiqa::source::{Input, SourceOptions, Sources};
use attn_fiqa_eval::calibrate::{
    CauseEvaluation, Face, Hits, KeyBias, Sampling, cause_samples, evaluate_causes,
};
use attn_fiqa_eval::degrade::Degradation;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let usage = "expected: causes FACES [COUNT] [MODEL.safetensors]";
    let path = PathBuf::from(args.next().ok_or(usage)?);
    let count = args.next().map_or(Ok(200), |count| count.parse())?;
    let checkpoint = match args.next() {
        Some(model) => Checkpoint::open(model.as_ref(), &CheckpointOptions::default())?,
        None => builtin()?,
    };
    let engine = Engine::new(&checkpoint, &EngineOptions::default())?;
    let faces = faces(&engine, &path, count)?;
    let kinds = Degradation::ALL.to_vec();
    let sampling = Sampling { kinds, degraded: 8, seed: 1 };
    let measured = cause_samples(&engine, &faces, &sampling, |_, _| {})?;

    let calibration = checkpoint.calibration().ok_or("the model is not calibrated")?;
    let model = calibration.causes.as_ref().ok_or("the model has no causes")?;
    let key_bias =
        checkpoint.contains(KEY_BIAS).then(|| checkpoint.read_f32(KEY_BIAS)).transpose()?;
    let key_bias = key_bias.map(|values| KeyBias::of(values, checkpoint.config()));
    let qualities: Vec<f64> = measured
        .samples
        .iter()
        .map(|sample| {
            let score = key_bias.as_ref().map_or(f64::from(sample.score), |bias| {
                bias.score_of(sample.score, &sample.mean_query)
            });
            f64::from(calibration.quality.quality(score as f32))
        })
        .collect();
    print(faces.len(), &evaluate_causes(model, &measured, |_| true, &qualities));
    println!("\nCauses add {:.3} % to the time of a score.", 100.0 * cost(&checkpoint, &faces)?);
    Ok(())
}

/// `count` of the faces, evenly spaced.
fn faces(engine: &Engine, path: &Path, count: usize) -> Result<Vec<Face>, Box<dyn Error>> {
    let options = SourceOptions { recursive: true, ..SourceOptions::default() };
    let sources = || Sources::open(&[Input::Path(path.to_owned())], &options);
    let step = (sources()?.count() / count.max(1)).max(1);
    let items = sources()?.step_by(step).take(count);
    let aligned = FaceOptions::new(FaceSource::Aligned(Fit::Exact));
    let (side, stream) = (engine.config().image_size, StreamOptions::default());
    let mut faces = Vec::new();
    let outcome: Result<(), Infallible> = crop_faces(
        items,
        engine.threads(),
        side,
        &aligned,
        &stream,
        |row| row,
        |row| {
            let name = row.relative.to_string_lossy().into_owned();
            faces.extend(row.crop.ok().map(|crop| Face { name, crop }));
            Ok(())
        },
    );
    match outcome {
        Ok(()) if faces.is_empty() => Err("no aligned face of the network's size".into()),
        Ok(()) => Ok(faces),
    }
}

fn print(faces: usize, found: &CauseEvaluation) {
    println!("{faces} faces.\n");
    println!("| cause | images | main cause | Spearman of strength and level |");
    println!("|---|---|---|---|");
    for row in &found.causes {
        let rho = row.spearman.map(|rho| format!("{rho:.2}")).unwrap_or_default();
        println!("| {} | {} | {} | {rho} |", row.cause, row.main.of, percent(row.main));
    }
    println!("\n| | images | |\n|---|---|---|");
    let line = |what: &str, hits: Hits| println!("| {what} | {} | {} |", hits.of, percent(hits));
    line("one degradation: it is the main cause", found.single);
    line(
        "one degradation that costs 5 points or more: it is the main cause",
        found.single_with_loss,
    );
    line("two degradations: both among the first three causes", found.pairs);
    line("clean faces without a cause", found.clean);
    for (region, hits) in FaceRegion::ALL.iter().zip(found.regions) {
        line(&format!("{region} covered: it is the weakest region, and named"), hits);
    }
    line("any region covered", found.covered());
    line("clean faces without a weak region", found.clean_regions);
}

fn percent(hits: Hits) -> String {
    if hits.of == 0 { String::new() } else { format!("{:.1} %", 100.0 * hits.fraction()) }
}

/// Time to read causes as a fraction of the time for a score: medians of 31 interleaved rounds on
/// one thread.
fn cost(checkpoint: &Checkpoint, faces: &[Face]) -> Result<f64, Box<dyn Error>> {
    const ROUNDS: usize = 31;
    const READINGS: usize = 1000;
    let options = EngineOptions { threads: NonZeroUsize::new(1), ..EngineOptions::default() };
    let engine = Engine::new(checkpoint, &options)?;
    let crop: Vec<Crop> = faces.iter().take(1).map(|face| face.crop.clone()).collect();
    let method = engine.default_method();
    let with_token = Request { mean_token: true, ..Request::new(method) };
    let assessed = engine.assess(&crop, &with_token)?.remove(0)?;
    let token = assessed.mean_token.ok_or("no mean token")?;
    let model = engine.cause_model().ok_or("the model has no causes")?;
    let (mut scores, mut readings) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        std::hint::black_box(engine.assess(&crop, &Request::new(method))?);
        scores.push(start.elapsed().as_secs_f64());
        let start = Instant::now();
        for _ in 0..READINGS {
            std::hint::black_box(model.read(std::hint::black_box(&token)));
        }
        readings.push(start.elapsed().as_secs_f64() / READINGS as f64);
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[ROUNDS / 2]
    };
    Ok(median(&mut readings) / median(&mut scores))
}
