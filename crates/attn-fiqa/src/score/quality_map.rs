//! Maps a model's raw score to the quality of ISO/IEC 29794-1: 0 … 100.

use super::Method;

/// Quality of an image if it could not be computed (ISO/IEC 29794-1).
pub const FAILURE_TO_COMPUTE: i8 = -1;

/// A monotone map from the raw scores of one method of one model to integers 0 … 100.
///
/// It belongs to the model that it was fitted to. Qualities of different models share a range, but
/// not a meaning.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "builtin-model")] {
/// let checkpoint = attn_fiqa::checkpoint::builtin()?;
/// let map = &checkpoint.calibration().ok_or("not calibrated")?.quality;
/// assert_eq!((map.quality(-1e3), map.quality(1e3)), (0, 100));
/// assert_eq!(map.quality(f32::NAN), attn_fiqa::score::FAILURE_TO_COMPUTE);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct QualityMap {
    method: Method,
    scores: Vec<f32>,
}

/// Scores that do not form a valid map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a quality map needs {} finite scores in non-decreasing order, not all equal",
    QualityMap::KNOTS
)]
pub struct QualityMapError;

impl QualityMap {
    /// One score for each quality 0, 1, …, 100.
    pub const KNOTS: usize = 101;

    /// Creates the map that gives quality `q` at the raw score `scores[q]` of `method`, is linear
    /// between two of them, and is 0 and 100 beyond the ends.
    ///
    /// # Errors
    ///
    /// Unless there are [`QualityMap::KNOTS`] finite scores that are non-decreasing and not all
    /// equal.
    pub fn new(method: Method, scores: Vec<f32>) -> Result<Self, QualityMapError> {
        let rises = scores.windows(2).all(|pair| pair[0] <= pair[1]);
        let finite = scores.iter().all(|score| score.is_finite());
        if scores.len() != Self::KNOTS || !rises || !finite || scores.first() == scores.last() {
            return Err(QualityMapError);
        }
        Ok(Self { method, scores })
    }

    /// The method whose scores are mapped.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The raw score at each quality 0, 1, …, 100.
    pub fn scores(&self) -> &[f32] {
        &self.scores
    }

    /// The quality of a raw score, 0 … 100. A higher score never gets a lower quality; a score that
    /// is not a number gets [`FAILURE_TO_COMPUTE`].
    pub fn quality(&self, score: f32) -> i8 {
        if score.is_nan() {
            return FAILURE_TO_COMPUTE;
        }
        let reached = self.scores.partition_point(|&knot| knot <= score);
        let Some(below) = reached.checked_sub(1) else { return 0 };
        let Some(&next) = self.scores.get(reached) else { return 100 };
        let fraction = (score - self.scores[below]) / (next - self.scores[below]);
        (below as f32 + fraction).round() as i8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quality_is_interpolated_rounded_and_clamped() {
        let scores: Vec<f32> = (0..101).map(|q| -3.0 + 0.02 * q as f32).collect();
        let map = QualityMap::new(Method::ATTN, scores).expect("a map");
        for (score, quality) in
            [(-9.0, 0), (-3.0, 0), (-2.0, 50), (-1.991, 50), (-1.989, 51), (-1.0, 100), (7.0, 100)]
        {
            assert_eq!(map.quality(score), quality, "{score}");
        }
    }

    #[test]
    fn quality_is_monotone_for_step_maps() {
        let scores: Vec<f32> = (0..101).map(|q| (q / 25) as f32).collect();
        let map = QualityMap::new(Method::ATTN, scores).expect("a map");
        let found: Vec<i8> = (-10..60).map(|i| map.quality(i as f32 / 10.0)).collect();
        assert!(found.is_sorted() && found[0] == 0 && found[69] == 100, "{found:?}");
    }

    #[test]
    fn invalid_maps_are_rejected() {
        let make = |scores: Vec<f32>| QualityMap::new(Method::ATTN, scores);
        assert!(make(vec![1.0; 101]).is_err());
        assert!(make((0..100).map(|q| q as f32).collect()).is_err());
        assert!(make((0..101).map(|q| -(q as f32)).collect()).is_err());
        let mut scores: Vec<f32> = (0..101).map(|q| q as f32).collect();
        scores[100] = f32::INFINITY;
        assert!(make(scores).is_err());
    }
}
