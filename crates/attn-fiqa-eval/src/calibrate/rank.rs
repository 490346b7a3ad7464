//! The map to 0–100 by rank, for scales whose anchors do not increase.

use attn_fiqa::score::{Method, QualityMap};

use super::{CalibrateError, Sample};

/// The map by rank in a reference set: quality `q` is the score below which `q` percent of the set
/// lie.
///
/// Clean faces have half of the set's weight and degraded samples the other half, regardless of how
/// many there are: a score that separates them has quality 50 between them.
///
/// # Errors
///
/// [`CalibrateError::NothingToFit`] if all scores are equal.
pub fn quality_map(
    samples: &[Sample],
    method: Method,
    score: impl Fn(&Sample) -> f64,
) -> Result<QualityMap, CalibrateError> {
    let clean = samples.iter().filter(|sample| sample.kind.is_none()).count();
    let degraded = samples.len() - clean;
    let weight = |sample: &Sample| {
        let of_its_sort = if sample.kind.is_none() { clean } else { degraded };
        0.5 / of_its_sort as f64
    };
    let mut weighted: Vec<(f64, f64)> =
        samples.iter().map(|sample| (score(sample), weight(sample))).collect();
    weighted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let total: f64 = weighted.iter().map(|(_, weight)| weight).sum();
    // Each sample lies in the middle of its own weight.
    let mut below = 0.0;
    let places: Vec<(f64, f64)> = weighted
        .iter()
        .map(|&(score, weight)| {
            below += weight;
            ((below - weight / 2.0) / total, score)
        })
        .collect();
    let scores = (0..QualityMap::KNOTS)
        .map(|quality| at(&places, quality as f64 / 100.0).map(|score| score as f32))
        .collect::<Option<Vec<f32>>>()
        .ok_or(CalibrateError::NothingToFit)?;
    QualityMap::new(method, scores).map_err(|_| CalibrateError::NothingToFit)
}

/// The score at a fraction of the weight, interpolated linearly between `(fraction, score)`.
fn at(places: &[(f64, f64)], fraction: f64) -> Option<f64> {
    let above = places.partition_point(|&(place, _)| place < fraction);
    let (&(low, below), &(high, next)) =
        (places.get(above.saturating_sub(1))?, places.get(above).or(places.last())?);
    if high <= low {
        return Some(next);
    }
    Some(below + (next - below) * ((fraction - low) / (high - low)).clamp(0.0, 1.0))
}
