//! Error versus discard over as many comparisons as IJB-C has, made up: 19,557 mated
//! and 15.6 million non-mated ones, 20 points, three false match rates. Says how
//! long each step took; `/usr/bin/time -v` says how much memory.
//!
//! ```text
//! cargo build --release -p attn-fiqa-eval --example edc_of_many
//! /usr/bin/time -v target/release/examples/edc_of_many
//! ```
#![allow(clippy::print_stdout, reason = "what it prints is its result")]

use std::time::Instant;

use attn_fiqa_eval::EvalError;
use attn_fiqa_eval::comparisons::{Comparisons, ScoreScale};
use attn_fiqa_eval::edc::{Evaluator, FMR_TARGETS, PAUC_LIMIT, Protocol, Ranking, Target};

const MATED: usize = 19_557;
const NON_MATED: usize = 15_638_932;

/// The next number of a linear congruential generator, 0 to 1.
fn uniform(state: &mut u64) -> f64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 11) as f64 / (1_u64 << 53) as f64
}

fn main() -> Result<(), EvalError> {
    let started = Instant::now();
    let step = |what: &str| println!("{:6.2} s  {what}", started.elapsed().as_secs_f64());
    let count = MATED + NON_MATED;
    let mut state = 1;
    let (mut scores, mut mated, mut quality) =
        (Vec::with_capacity(count), Vec::with_capacity(count), Vec::with_capacity(count));
    for index in 0..count {
        // Mated ones lie between the others, as in the protocol's file.
        let is_mated = index % (count / MATED) == 0 && index / (count / MATED) < MATED;
        let q = uniform(&mut state);
        let noise: f64 = (0..4).map(|_| uniform(&mut state) - 0.5).sum();
        let score = if is_mated { 0.6 } else { 0.0 } + noise * (0.35 - 0.2 * q);
        scores.push(score.clamp(-1.0, 1.0));
        mated.push(is_mated);
        quality.push(q);
    }
    step("made up");
    let comparisons = Comparisons::new(scores, mated, ScoreScale::Cosine)?;
    let evaluator = Evaluator::new(&comparisons);
    step("sorted by distance");
    let ranking = Ranking::new(&quality)?;
    drop(quality);
    step("sorted by quality");
    let targets = FMR_TARGETS.map(Target::Fmr);
    let curves = evaluator.curves(&ranking, Protocol::Crfiqa, &targets)?;
    step("three curves of 20 points");
    for curve in &curves {
        let pauc = curve.pauc(PAUC_LIMIT).map(|area| 1000.0 * area);
        println!("{}: pAUC x1000 {pauc:.4?}, FNMR {:.5?}", curve.target, curve.start());
    }
    println!("{} mated, {} non-mated", comparisons.mated_count(), comparisons.non_mated_count());
    Ok(())
}
