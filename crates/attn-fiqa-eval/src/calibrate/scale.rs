//! Scales of 0–100 with meaningful anchors.

use attn_fiqa::score::{Anchor, MatchProbability, Meaning, QualityScale};

use super::Sample;
use super::logistic_fit::fit_logistic;
use crate::error::{EvalError, check_count};
use crate::statistics::quantile;

/// Scores of one method and the recogniser's outcomes, from which a scale is fitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScaleInput<'a> {
    /// Scores of clean faces, in any order.
    pub clean: &'a [f64],
    /// Scores of degraded images of these faces.
    pub degraded: &'a [f64],
    /// Whether each degraded image matches its clean face; as long as `degraded`.
    pub matched: &'a [bool],
    /// Name of the recogniser, for the record.
    pub recogniser: &'a str,
    /// False match rate of the recogniser's threshold.
    pub fmr: f64,
}

/// Fits a scale of 0–100 to any score, anchored to how often the recogniser matches an image and to
/// how good ordinary clean faces are.
///
/// `None` if the score is too weakly related to matches, or clean faces match too rarely, for the
/// anchors to increase; [`quality_map`](super::quality_map) gives ranks instead.
///
/// # Errors
///
/// If there is not one outcome per degraded image, or a score is not a number.
///
/// # Examples
///
/// ```
/// use attn_fiqa_eval::calibrate::{ScaleInput, fit_scale};
///
/// let clean: Vec<f64> = (0..100).map(|i| 8.0 + f64::from(i) / 50.0).collect();
/// let degraded: Vec<f64> = (0..1000).map(|i| f64::from(i) / 100.0).collect();
/// // Images of a score of 5 match half of the time.
/// let matched: Vec<bool> =
///     (0..1000).map(|i| degraded[i] + (i % 7) as f64 / 7.0 > 5.4).collect();
/// let (recogniser, fmr) = ("example", 1e-3);
/// let input =
///     ScaleInput { clean: &clean, degraded: &degraded, matched: &matched, recogniser, fmr };
/// let scale = fit_scale(&input)?.expect("the score follows the matches");
/// assert!((scale.match_probability.of(5.0) - 0.5).abs() < 0.1);
/// # Ok::<(), attn_fiqa_eval::EvalError>(())
/// ```
pub fn fit_scale(input: &ScaleInput<'_>) -> Result<Option<QualityScale>, EvalError> {
    let ScaleInput { clean, degraded, matched, recogniser, fmr } = *input;
    check_count(("outcomes", matched.len()), ("degraded images", degraded.len()))?;
    for scores in [clean, degraded] {
        if let Some(index) = scores.iter().position(|score| !score.is_finite()) {
            let (what, value) = ("score", scores[index]);
            return Err(EvalError::NotFinite { what, index, value });
        }
    }
    let model = fit_logistic(degraded, matched);
    Ok(model.and_then(|model| scale_of(clean.to_vec(), model, recogniser, fmr)))
}

/// The scale of a score: matches from `match_probability`, clean faces from the samples.
///
/// `None` if the anchors do not increase: the score is too weakly related to matches, or ordinary
/// clean faces do not match most of the time.
pub fn quality_scale(
    samples: &[Sample],
    score: impl Fn(&Sample) -> f64,
    match_probability: MatchProbability,
    recogniser: &str,
    fmr: f64,
) -> Option<QualityScale> {
    let clean = samples.iter().filter(|sample| sample.kind.is_none());
    scale_of(clean.map(score).collect(), match_probability, recogniser, fmr)
}

fn scale_of(
    mut clean: Vec<f64>,
    match_probability: MatchProbability,
    recogniser: &str,
    fmr: f64,
) -> Option<QualityScale> {
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
