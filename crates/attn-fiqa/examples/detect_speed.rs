//! Times detectors on one decoded image, in alternating rounds.
//!
//! `detect_speed IMAGE THREADS ROUNDS [FILE.onnx …]`: runs the built-in detector with and without
//! landmark refinement, then that of each file. For each it prints the median and minimum time in
//! milliseconds and the number of detected faces.
#![allow(clippy::print_stdout, reason = "an example's standard output is its result")]

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use attn_fiqa::decode::{DecodeLimits, decode};
use attn_fiqa::detect::{DEFAULT_MIN_CONFIDENCE, Detector};
use attn_fiqa::threads::Threads;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [image, threads, rounds, files @ ..] = &arguments[..] else {
        return Err("usage: detect_speed IMAGE THREADS ROUNDS [FILE.onnx …]".into());
    };
    let image = decode(&std::fs::read(image)?, &DecodeLimits::default())?.image;
    let threads = Threads::new(Some(threads.parse()?))?;
    let rounds: usize = rounds.parse::<usize>()?.max(1);
    let mut detectors = vec![
        ("built-in".to_owned(), Detector::builtin(&threads)?),
        ("built-in, one look".to_owned(), Detector::builtin(&threads)?.with_own_landmarks()),
    ];
    for file in files {
        detectors.push((file.clone(), Detector::open(Path::new(file), &threads)?));
    }
    let mut times = vec![Vec::new(); detectors.len()];
    let mut faces = vec![0; detectors.len()];
    for _ in 0..rounds {
        for (index, (_, detector)) in detectors.iter().enumerate() {
            let start = Instant::now();
            let found = black_box(detector.detect(&image, DEFAULT_MIN_CONFIDENCE)?);
            times[index].push(start.elapsed().as_secs_f64() * 1e3);
            faces[index] = found.len();
        }
    }
    println!("{} × {} pixels, {} threads", image.width(), image.height(), threads.count());
    for (((name, _), times), faces) in detectors.iter().zip(&mut times).zip(faces) {
        times.sort_by(f64::total_cmp);
        let median = times[times.len() / 2];
        println!("{name}: median {median:.2} ms, least {:.2} ms, {faces} faces", times[0]);
    }
    Ok(())
}
