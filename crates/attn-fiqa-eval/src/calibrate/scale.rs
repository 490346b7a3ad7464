//! Anchors of 0–100 that mean something.

use attn_fiqa::score::{Anchor, MatchProbability, Meaning, QualityScale};

use super::Sample;
use crate::statistics::quantile;

/// The scale of a score: matches by `match_probability`, clean faces by the samples.
///
/// `None` where the anchors do not rise: the score says too little on matches, or ordinary
/// clean faces are not known again most of the time.
pub fn quality_scale(
    samples: &[Sample],
    score: impl Fn(&Sample) -> f64,
    match_probability: MatchProbability,
    recogniser: &str,
    fmr: f64,
) -> Option<QualityScale> {
    let clean = samples.iter().filter(|sample| sample.kind.is_none());
    let mut clean: Vec<f64> = clean.map(score).collect();
    clean.sort_unstable_by(f64::total_cmp);
    let anchor = |(quality, meaning)| {
        let score = match meaning {
            Meaning::Matched(fraction) => match_probability.score_at(fraction),
            Meaning::CleanFaces(fraction) => quantile(&clean, fraction)?,
            _ => return None,
        };
        Some(Anchor { quality, score: score as f32, meaning })
    };
    let anchors = QualityScale::MEANINGS.into_iter().map(anchor).collect::<Option<Vec<_>>>()?;
    let rises = match_probability.slope > 0.0 && anchors.is_sorted_by(|a, b| a.score < b.score);
    let recogniser = recogniser.to_owned();
    rises.then_some(QualityScale { recogniser, fmr, anchors, match_probability })
}
