//! How many recognition errors a score prevents.

use attn_fiqa::score::MatchProbability;

use super::logistic_fit::fit_logistic;
use super::{MatedPair, Sample};
use crate::edc::{FixedThreshold, PAUC_LIMIT, Ranking, Target, step_curve};

/// Comparisons with a sample degraded to this level or more are excluded: unusable images
/// fail under every score and would dominate the area.
const STRONG: f64 = 0.5;

/// How well a score predicts the recogniser's errors; lower is better for both.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct ErrorMetrics {
    /// Area under the error-versus-discard curve up to a discard of 0.3: false non-matches
    /// at the fixed threshold among comparisons of samples of one face, none of them
    /// degraded to a level of 0.5 or more, those with the lowest scores discarded first, as
    /// in the protocol `iso`. 0 … 0.3.
    pub pauc: f64,
    /// Mean squared difference between whether a degraded sample matches its clean face (0 or 1)
    /// and the match probability predicted from the score (Brier 1950). 0 … 1.
    pub brier: f64,
}

impl ErrorMetrics {
    /// The mean of the two measures, each relative to that of `other`.
    pub fn relative_to(self, other: Self) -> f64 {
        let ratio = |own: f64, other: f64| if other > 0.0 { own / other } else { 1.0 };
        f64::midpoint(ratio(self.pauc, other.pauc), ratio(self.brier, other.brier))
    }
}

/// Evaluates scores by the outcomes of comparisons at one threshold.
pub(super) struct ScoreEvaluator<'a> {
    samples: Vec<&'a Sample>,
    /// Two indices into `samples`, and whether the comparison is a false non-match.
    pairs: Vec<(u32, u32, bool)>,
    threshold: f64,
}

impl<'a> ScoreEvaluator<'a> {
    /// For the samples of the faces selected by `chosen`.
    pub(super) fn new(
        all: &'a [Sample],
        pairs: &[MatedPair],
        threshold: f64,
        chosen: impl Fn(usize) -> bool,
    ) -> Self {
        let mut places = vec![u32::MAX; all.len()];
        let mut samples = Vec::new();
        for (place, sample) in places.iter_mut().zip(all) {
            if chosen(sample.face) {
                *place = samples.len() as u32;
                samples.push(sample);
            }
        }
        let own = |pair: &MatedPair| {
            let (a, b) = (places[pair.a as usize], places[pair.b as usize]);
            let mild = [pair.a, pair.b].iter().all(|&place| all[place as usize].level < STRONG);
            (a != u32::MAX && mild).then_some((a, b, f64::from(pair.cosine) < threshold))
        };
        Self { samples, pairs: pairs.iter().filter_map(own).collect(), threshold }
    }

    pub(super) fn samples(&self) -> &[&'a Sample] {
        &self.samples
    }

    /// `None` without a comparison, or if a score is NaN.
    pub(super) fn pauc(&self, scores: &[f64]) -> Option<f64> {
        let lower = |&(a, b, _): &(u32, u32, bool)| scores[a as usize].min(scores[b as usize]);
        let qualities: Vec<f64> = self.pairs.iter().map(lower).collect();
        let ranking = Ranking::new(&qualities).ok()?;
        let (target, similarity) = (Target::Threshold(self.threshold), Some(self.threshold));
        let at = FixedThreshold { target, similarity, fmr: None, non_mated: 0 };
        let is_error = |pair: u32| self.pairs[pair as usize].2;
        step_curve(&ranking, &at, |_| 1, is_error).pauc(PAUC_LIMIT)
    }

    /// Scores and outcomes of the degraded samples.
    pub(super) fn outcomes(&self, scores: &[f64]) -> (Vec<f64>, Vec<bool>) {
        let degraded = self.samples.iter().zip(scores).filter(|(p, _)| p.kind.is_some());
        degraded.map(|(sample, &score)| (score, sample.matches(self.threshold))).unzip()
    }

    /// Both measures, with a match probability fitted to these or other samples.
    pub(super) fn errors(&self, scores: &[f64], model: MatchProbability) -> Option<ErrorMetrics> {
        let (values, outcomes) = self.outcomes(scores);
        Some(ErrorMetrics { pauc: self.pauc(scores)?, brier: brier(&values, &outcomes, model)? })
    }

    /// Fits the probability of a match at a score.
    pub(super) fn match_model(&self, scores: &[f64]) -> Option<MatchProbability> {
        let (values, outcomes) = self.outcomes(scores);
        fit_logistic(&values, &outcomes)
    }
}

fn brier(values: &[f64], outcomes: &[bool], model: MatchProbability) -> Option<f64> {
    let square = |(&value, &outcome): (&f64, &bool)| {
        (model.at(value) - f64::from(u8::from(outcome))).powi(2)
    };
    let sum: f64 = values.iter().zip(outcomes).map(square).sum();
    (!values.is_empty()).then(|| sum / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::degrade::Degradation;

    fn sample(face: usize, kind: Option<Degradation>, cosine: f64) -> Sample {
        let (score, utility, norm) = (0.0, cosine, 1.0);
        Sample { face, kind, level: 0.4, score, mean_query: Vec::new(), utility, cosine, norm }
    }

    #[test]
    fn pauc_integrates_step_curve() {
        // Ten pairs of two samples; the three with the lowest scores are errors.
        let samples: Vec<Sample> = (0..20).map(|i| sample(i / 2, None, 1.0)).collect();
        let pair =
            |i: u32| MatedPair { a: 2 * i, b: 2 * i + 1, cosine: if i < 3 { 0.1 } else { 0.9 } };
        let pairs: Vec<MatedPair> = (0..10).map(pair).collect();
        let evaluator = ScoreEvaluator::new(&samples, &pairs, 0.5, |_| true);
        let rising: Vec<f64> = (0..20).map(|i| f64::from(i / 2)).collect();
        let expected = 0.1 * (3.0 / 10.0 + 2.0 / 9.0 + 1.0 / 8.0);
        assert!((evaluator.pauc(&rising).expect("pairs") - expected).abs() < 1e-12);
        let falling: Vec<f64> = rising.iter().map(|score| -score).collect();
        let expected = 0.1 * (3.0 / 10.0 + 3.0 / 9.0 + 3.0 / 8.0);
        assert!((evaluator.pauc(&falling).expect("pairs") - expected).abs() < 1e-12);
        // A constant score discards everything at once.
        assert!((evaluator.pauc(&[1.0; 20]).expect("pairs") - 0.3 * 0.3).abs() < 1e-12);
        let none = ScoreEvaluator::new(&samples, &pairs, 0.5, |_| false);
        assert_eq!(none.pauc(&[]), None);
    }

    #[test]
    fn brier_score_of_even_odds_is_one_quarter() {
        let blur = Some(Degradation::Blur);
        let samples = [sample(0, None, 1.0), sample(0, blur, 0.9), sample(0, blur, 0.1)];
        let pairs = [MatedPair { a: 0, b: 1, cosine: 0.9 }];
        let evaluator = ScoreEvaluator::new(&samples, &pairs, 0.5, |_| true);
        let even = MatchProbability { slope: 0.0, intercept: 0.0 };
        let found = evaluator.errors(&[0.0; 3], even).expect("samples");
        assert_eq!(found.brier, 0.25);
    }
    #[test]
    fn strong_degradations_are_excluded_and_the_worse_sample_counts() {
        let samples: Vec<Sample> = [0.0, 0.49, 0.5, 0.0, 0.0, 0.0]
            .map(|level| Sample { level, ..sample(0, None, 1.0) })
            .to_vec();
        let pair = |a, b, cosine| MatedPair { a, b, cosine };
        // The first two contain a sample that is degraded too much, on either side.
        let pairs = [
            pair(0, 2, 0.1),
            pair(2, 3, 0.1),
            pair(0, 1, 0.1),
            pair(0, 3, 0.5),
            pair(3, 4, 0.9),
            pair(4, 5, 0.9),
        ];
        let evaluator = ScoreEvaluator::new(&samples, &pairs, 0.5, |_| true);
        // One error in four comparisons (a cosine at the threshold is a match), and the score of
        // its worse sample is the lowest or the second lowest.
        let pauc = |scores: [f64; 6]| evaluator.pauc(&scores).expect("comparisons");
        let first = 0.25 * 0.25;
        assert!((pauc([9.0, 0.0, 0.0, 1.0, 8.0, 3.0]) - first).abs() < 1e-12);
        let second = 0.25 * 0.25 + 0.05 / 3.0;
        assert!((pauc([9.0, 2.0, 0.0, 8.0, 8.0, 1.0]) - second).abs() < 1e-12);
    }

    #[test]
    fn relative_errors_are_the_mean_of_two_ratios() {
        let of = |pauc, brier| ErrorMetrics { pauc, brier };
        assert_eq!(of(0.125, 0.25).relative_to(of(0.25, 0.125)), 1.25);
        // Where the other score leaves no errors, there is nothing to gain.
        assert_eq!(of(0.0, 0.25).relative_to(of(0.0, 0.5)), 0.75);
    }
}
