//! Anchors of 0–100 that mean something.

use attn_fiqa::score::{Anchor, MatchProbability, Meaning, QualityScale};

use super::{Logistic, Picture};
use crate::statistics::quantile;

/// The scale of a score: matches by `law`, clean faces by the pictures.
///
/// `None` where the anchors do not rise: the score says too little on matches, or ordinary
/// clean faces are not known again most of the time.
pub fn quality_scale(
    pictures: &[Picture],
    score: impl Fn(&Picture) -> f64,
    law: Logistic,
    recogniser: &str,
    fmr: f64,
) -> Option<QualityScale> {
    let clean = pictures.iter().filter(|picture| picture.kind.is_none());
    let mut clean: Vec<f64> = clean.map(score).collect();
    clean.sort_unstable_by(f64::total_cmp);
    let match_probability = MatchProbability { slope: law.slope, intercept: law.intercept };
    let anchor = |(quality, meaning)| {
        let score = match meaning {
            Meaning::Matched(share) => match_probability.score_at(share),
            Meaning::CleanFaces(share) => quantile(&clean, share)?,
            _ => return None,
        };
        Some(Anchor { quality, score: score as f32, meaning })
    };
    let anchors = QualityScale::MEANINGS.into_iter().map(anchor).collect::<Option<Vec<_>>>()?;
    let rises = law.slope > 0.0 && anchors.is_sorted_by(|a, b| a.score < b.score);
    let recogniser = recogniser.to_owned();
    rises.then_some(QualityScale { recogniser, fmr, anchors, match_probability })
}
