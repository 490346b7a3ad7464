//! Whether predicted match probabilities agree with observed ones (reliability diagram).

use attn_fiqa::score::MatchProbability;

use super::logistic_fit::fit_logistic;
use super::{Measurements, RecognitionTarget, Sample};

/// Degraded samples whose predicted probabilities lie in one interval.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Reliability {
    /// Samples.
    pub samples: usize,
    /// Mean predicted probability, 0 … 1.
    pub expected: f64,
    /// Fraction that matches the clean face, 0 … 1.
    pub matched: f64,
}

/// Equal intervals of the probability.
const INTERVALS: usize = 10;

impl RecognitionTarget {
    /// Fits the probability of a match with the clean face as a function of the score, to the
    /// degraded samples of the faces selected by `chosen`; `None` if these do not vary.
    pub fn match_model(
        &self,
        measured: &Measurements,
        chosen: impl Fn(usize) -> bool,
        score: impl Fn(&Sample) -> f64,
    ) -> Option<MatchProbability> {
        let (scores, outcomes) = self.outcomes(measured, chosen, score);
        fit_logistic(&scores, &outcomes)
    }

    /// Predicted and observed probabilities of the samples of the faces selected by `chosen`, by
    /// ascending probability; intervals without a sample are left out.
    pub fn reliability(
        &self,
        measured: &Measurements,
        model: MatchProbability,
        chosen: impl Fn(usize) -> bool,
        score: impl Fn(&Sample) -> f64,
    ) -> Vec<Reliability> {
        let mut sums = [(0, 0.0, 0); INTERVALS];
        let (scores, outcomes) = self.outcomes(measured, chosen, score);
        for (score, matches) in scores.into_iter().zip(outcomes) {
            let expected = model.at(score);
            let interval = ((expected * INTERVALS as f64) as usize).min(INTERVALS - 1);
            let (samples, sum, matched) = &mut sums[interval];
            *samples += 1;
            *sum += expected;
            *matched += usize::from(matches);
        }
        let filled = sums.into_iter().filter(|(samples, ..)| *samples > 0);
        let row = |(samples, sum, matched): (usize, f64, usize)| {
            let fraction = |part: f64| part / samples as f64;
            Reliability { samples, expected: fraction(sum), matched: fraction(matched as f64) }
        };
        filled.map(row).collect()
    }

    /// Scores of degraded samples and whether they match.
    fn outcomes(
        &self,
        measured: &Measurements,
        chosen: impl Fn(usize) -> bool,
        score: impl Fn(&Sample) -> f64,
    ) -> (Vec<f64>, Vec<bool>) {
        let degraded = measured.samples.iter().filter(|p| p.kind.is_some() && chosen(p.face));
        degraded.map(|sample| (score(sample), sample.matches(self.threshold))).unzip()
    }
}
