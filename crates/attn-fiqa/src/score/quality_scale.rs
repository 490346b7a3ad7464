//! The meaning of qualities: how often a recogniser matches a face.

use super::{Method, QualityMap, QualityMapError};

/// A statement about images of one quality.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Meaning {
    /// They match a clean image of the same face with this probability, 0 … 1.
    Matched(f64),
    /// This fraction, 0 … 1, of ordinary clean faces has a lower score.
    CleanFaces(f64),
}

/// One point of a scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Anchor {
    /// 0 … 100.
    pub quality: u8,
    /// The raw score that has this quality.
    pub score: f32,
    /// The statement.
    pub meaning: Meaning,
}

/// The probability of a match with a clean image of the same face, as a logistic function of the
/// raw score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MatchProbability {
    /// Coefficient of the score; positive.
    pub slope: f64,
    /// Value at score 0.
    pub intercept: f64,
}

impl MatchProbability {
    /// `1 / (1 + exp(−(slope·score + intercept)))`, 0 … 1.
    pub fn of(self, score: f32) -> f32 {
        self.at(f64::from(score)) as f32
    }

    /// [`Self::of`] in double precision.
    pub fn at(self, score: f64) -> f64 {
        1.0 / (1.0 + (-(self.slope * score + self.intercept)).exp())
    }

    /// The raw score with this probability; `probability` lies strictly between 0 and 1.
    pub fn score_at(self, probability: f64) -> f64 {
        ((probability / (1.0 - probability)).ln() - self.intercept) / self.slope
    }
}

/// A map to 0–100 with anchors: how often one recogniser matches the face at a given false match
/// rate, and the quality of ordinary clean faces.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "builtin-model")] {
/// let checkpoint = attn_fiqa::checkpoint::builtin()?;
/// let calibration = checkpoint.calibration().ok_or("not calibrated")?;
/// if let Some(scale) = &calibration.scale {
///     for anchor in &scale.anchors {
///         println!("{}: {}", anchor.quality, scale.describe(anchor));
///     }
/// }
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct QualityScale {
    /// The recogniser whose matches are counted.
    pub recogniser: String,
    /// The false match rate of its threshold.
    pub fmr: f64,
    /// At least two, with increasing quality from 0 to 100 and increasing score.
    pub anchors: Vec<Anchor>,
    /// The probability of a match at every score.
    pub match_probability: MatchProbability,
}

impl QualityScale {
    /// The anchors of the program's own calibrations: matched 2, 50, 80 and 95 % of the time, and
    /// the median and the 95th percentile of clean faces.
    pub const MEANINGS: [(u8, Meaning); 6] = [
        (0, Meaning::Matched(0.02)),
        (20, Meaning::Matched(0.5)),
        (40, Meaning::Matched(0.8)),
        (60, Meaning::Matched(0.95)),
        (80, Meaning::CleanFaces(0.5)),
        (100, Meaning::CleanFaces(0.95)),
    ];

    /// The map that is linear between the anchors.
    ///
    /// # Errors
    ///
    /// Unless the anchors go from quality 0 to 100 and both qualities and scores increase.
    pub fn map(&self, method: Method) -> Result<QualityMap, QualityMapError> {
        let rises =
            |pair: &[Anchor]| pair[0].quality < pair[1].quality && pair[0].score < pair[1].score;
        let ends = self.anchors.first().zip(self.anchors.last());
        let whole = ends.is_some_and(|(first, last)| (first.quality, last.quality) == (0, 100));
        if !whole || !self.anchors.windows(2).all(rises) {
            return Err(QualityMapError);
        }
        let score = |quality: usize| {
            let above =
                self.anchors.partition_point(|anchor| usize::from(anchor.quality) < quality);
            let (low, high) = (self.anchors[above.saturating_sub(1)], self.anchors[above]);
            if above == 0 {
                return high.score;
            }
            let fraction =
                (quality as f64 - f64::from(low.quality)) / f64::from(high.quality - low.quality);
            let (low, high) = (f64::from(low.score), f64::from(high.score));
            (low + (high - low) * fraction) as f32
        };
        QualityMap::new(method, (0..QualityMap::KNOTS).map(score).collect())
    }

    /// What an anchor of this scale means, in words.
    pub fn describe(&self, anchor: &Anchor) -> String {
        match anchor.meaning {
            Meaning::Matched(fraction) => format!(
                "matched {} % of the time at FMR {} by {}",
                percent(fraction),
                rate(self.fmr),
                self.recogniser
            ),
            Meaning::CleanFaces(fraction) => {
                format!("{} % of ordinary clean faces score lower", percent(fraction))
            }
        }
    }
}

fn percent(fraction: f64) -> f64 {
    (fraction * 1e4).round() / 100.0
}

/// Formats a false match rate as in papers: `1e-3`.
fn rate(rate: f64) -> String {
    let scientific = format!("{rate:e}");
    if scientific.starts_with("1e-") { scientific } else { rate.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(scores: [f32; 6]) -> QualityScale {
        let anchors = QualityScale::MEANINGS.into_iter().zip(scores);
        let anchor = |((quality, meaning), score)| Anchor { quality, score, meaning };
        QualityScale {
            recogniser: "net".to_owned(),
            fmr: 1e-3,
            anchors: anchors.map(anchor).collect(),
            match_probability: MatchProbability { slope: 0.65, intercept: 4.8 },
        }
    }

    #[test]
    fn map_interpolates_linearly_between_anchors() {
        let scores = [-13.4, -7.4, -5.3, -2.9, -2.0, -0.6];
        let map = scale(scores).map(Method::ATTN_CALIBRATED).expect("a map");
        for (score, (quality, _)) in scores.into_iter().zip(QualityScale::MEANINGS) {
            assert_eq!(map.quality(score), quality as i8);
        }
        assert_eq!(map.quality(-10.4), 10);
        assert_eq!((map.quality(-50.0), map.quality(3.0)), (0, 100));
    }

    #[test]
    fn non_increasing_or_missing_anchors_are_rejected() {
        let falling = scale([-13.4, -7.4, -5.3, -2.9, -3.0, -0.6]);
        assert!(falling.map(Method::ATTN).is_err());
        let mut short = scale([-13.4, -7.4, -5.3, -2.9, -2.0, -0.6]);
        short.anchors.pop();
        assert!(short.map(Method::ATTN).is_err());
        short.anchors.clear();
        assert!(short.map(Method::ATTN).is_err());
    }

    #[test]
    fn anchors_are_described_and_match_probability_inverts() {
        let scale = scale([-13.4, -7.4, -5.3, -2.9, -2.0, -0.6]);
        let said: Vec<String> = scale.anchors.iter().map(|anchor| scale.describe(anchor)).collect();
        assert_eq!(said[3], "matched 95 % of the time at FMR 1e-3 by net");
        assert_eq!(said[4], "50 % of ordinary clean faces score lower");
        let probability = scale.match_probability;
        for fraction in [0.02, 0.5, 0.95] {
            let found = probability.of(probability.score_at(fraction) as f32);
            assert!((f64::from(found) - fraction).abs() < 1e-6, "{found} ≠ {fraction}");
        }
    }
}
