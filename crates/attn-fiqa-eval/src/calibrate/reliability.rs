//! Whether the probability of a match that a score gives is kept.

use super::{Logistic, Measured, Picture, Recognition};

/// Degraded pictures whose probabilities lie in one interval.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Reliability {
    /// Pictures.
    pub pictures: usize,
    /// The mean of their probabilities, 0 … 1.
    pub expected: f64,
    /// The share of them that matches the clean face, 0 … 1.
    pub matched: f64,
}

/// Equal intervals of the probability.
const INTERVALS: usize = 10;

impl Recognition {
    /// The law of matches with the clean face by a score, of the degraded pictures for
    /// whose faces `chosen` holds; `None` where they do not differ.
    pub fn law(
        &self,
        measured: &Measured,
        chosen: impl Fn(usize) -> bool,
        score: impl Fn(&Picture) -> f64,
    ) -> Option<Logistic> {
        let (scores, outcomes) = self.outcomes(measured, chosen, score);
        Logistic::fit(&scores, &outcomes)
    }

    /// What the law says of the pictures for whose faces `chosen` holds, and what is true,
    /// by rising probability; intervals without a picture are left out.
    pub fn reliability(
        &self,
        measured: &Measured,
        law: Logistic,
        chosen: impl Fn(usize) -> bool,
        score: impl Fn(&Picture) -> f64,
    ) -> Vec<Reliability> {
        let mut sums = [(0, 0.0, 0); INTERVALS];
        let (scores, outcomes) = self.outcomes(measured, chosen, score);
        for (score, matches) in scores.into_iter().zip(outcomes) {
            let expected = law.of(score);
            let interval = ((expected * INTERVALS as f64) as usize).min(INTERVALS - 1);
            let (pictures, sum, matched) = &mut sums[interval];
            *pictures += 1;
            *sum += expected;
            *matched += usize::from(matches);
        }
        let filled = sums.into_iter().filter(|(pictures, ..)| *pictures > 0);
        let row = |(pictures, sum, matched): (usize, f64, usize)| {
            let share = |part: f64| part / pictures as f64;
            Reliability { pictures, expected: share(sum), matched: share(matched as f64) }
        };
        filled.map(row).collect()
    }

    /// Scores of degraded pictures and whether they match.
    fn outcomes(
        &self,
        measured: &Measured,
        chosen: impl Fn(usize) -> bool,
        score: impl Fn(&Picture) -> f64,
    ) -> (Vec<f64>, Vec<bool>) {
        let degraded = measured.pictures.iter().filter(|p| p.kind.is_some() && chosen(p.face));
        degraded.map(|picture| (score(picture), picture.matches(self.threshold))).unzip()
    }
}
