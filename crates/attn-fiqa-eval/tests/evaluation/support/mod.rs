//! The golden comparisons, and synthetic comparisons generated from a seed.

pub(crate) mod folder;
pub(crate) mod naive;

use std::fs;
use std::path::Path;

use attn_fiqa_eval::comparisons::{Comparisons, ScoreScale};
use serde_json::Value;

/// The sets of `golden/edc/edc.json`, made with the CR-FIQA and dasec programs, and larger ones if
/// `../shared` exists.
pub(crate) fn golden() -> Vec<Value> {
    let mut sets = read_sets(&attn_fiqa_testing::golden("edc/edc.json"));
    assert_eq!(sets.len(), 3);
    if let Some(more) = attn_fiqa_testing::shared("golden/edc/edc.json") {
        for set in read_sets(&more) {
            if !sets.contains(&set) {
                sets.push(set);
            }
        }
    }
    sets
}

fn read_sets(path: &Path) -> Vec<Value> {
    let sets: Value = serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON");
    sets.as_array().expect("a list of sets").clone()
}

pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|n| n.as_f64().expect("a number")).collect()
}

/// Comparisons with the qualities of their pairs.
#[derive(Debug)]
pub(crate) struct Set {
    pub(crate) comparisons: Comparisons,
    pub(crate) quality: Vec<f64>,
}

impl Set {
    pub(crate) fn golden(set: &Value) -> Self {
        let mated = numbers(&set["mated"]).into_iter().map(|label| label == 1.0).collect();
        let (a, b) = (numbers(&set["quality_a"]), numbers(&set["quality_b"]));
        let quality = a.into_iter().zip(b).map(|(a, b)| a.min(b)).collect();
        let similarity = numbers(&set["similarity"]);
        let comparisons = Comparisons::new(similarity, mated, ScoreScale::Cosine);
        Self { comparisons: comparisons.expect("comparisons"), quality }
    }

    /// Synthetic: errors are more likely at low quality, and `steps` values of quality and score
    /// cause ties.
    pub(crate) fn made_up(seed: u64, count: usize, steps: f64) -> Self {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as f64 / (1_u64 << 31) as f64
        };
        let (mut scores, mut mated, mut quality) = (Vec::new(), Vec::new(), Vec::new());
        for index in 0..count {
            let q = uniform();
            let is_mated = if index < 2 { index == 0 } else { uniform() < 0.4 };
            let noise = (uniform() + uniform() - 1.0) * (1.3 - q);
            let score = if is_mated { 0.5 } else { 0.0 } + 0.5 * noise;
            scores.push((score.clamp(-1.0, 1.0) * steps).round() / steps);
            mated.push(is_mated);
            quality.push((q * steps).round() / steps);
        }
        let comparisons = Comparisons::new(scores, mated, ScoreScale::Cosine);
        Self { comparisons: comparisons.expect("comparisons"), quality }
    }
}

#[track_caller]
pub(crate) fn assert_near(found: Option<f64>, expected: f64, what: &str) {
    // Golden values come from NumPy, and JSON is parsed to the second-to-last digit: only the last
    // digits of arccos and of sums differ.
    let found = found.unwrap_or_else(|| panic!("{what} is absent"));
    assert!((found - expected).abs() <= 1e-12, "{what}: {found} is not {expected}");
}
