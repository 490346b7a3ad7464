//! How little patches change from block to block (ViTNT-FIQA, arXiv 2601.05741).

/// Steepness of the map from a distance to a score.
const STEEPNESS: f64 = 8.0;

/// `2/(1+e^{8·d̄})` for every patch, `[patch]`, 0 to 1: `d̄` is the mean over consecutive stages of
/// the Euclidean distance between the patch's unit vectors.
///
/// `stages` holds the patches after each block, `[patch, dim]`, in order; they are scaled to unit
/// length here. With a single stage nothing moves and all scores are 1.
pub(crate) fn stability_of_patches(mut stages: Vec<Vec<f32>>, dim: usize) -> Vec<f64> {
    for vector in stages.iter_mut().flat_map(|stage| stage.chunks_exact_mut(dim)) {
        let squares: f64 = vector.iter().map(|&value| f64::from(value).powi(2)).sum();
        // A zero vector has no direction and stays as it is.
        let factor = if squares > 0.0 { 1.0 / squares.sqrt() } else { 0.0 };
        vector.iter_mut().for_each(|value| *value = (f64::from(*value) * factor) as f32);
    }
    let patches = stages.first().map_or(0, |stage| stage.len() / dim);
    let steps = stages.len().saturating_sub(1).max(1) as f64;
    (0..patches)
        .map(|patch| {
            let at = patch * dim..(patch + 1) * dim;
            let moves =
                stages.windows(2).map(|pair| distance(&pair[0][at.clone()], &pair[1][at.clone()]));
            let mean = moves.sum::<f64>() / steps;
            2.0 / (1.0 + (STEEPNESS * mean).exp())
        })
        .collect()
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patch_stability_matches_formula() {
        // The first patch only grows; the second turns by a right angle in one of two steps.
        let stages =
            vec![vec![1.0, 0.0, 0.0, 2.0], vec![3.0, 0.0, 4.0, 0.0], vec![9.0, 0.0, 1.0, 0.0]];
        let scores = stability_of_patches(stages, 2);
        let expected = 2.0 / (1.0 + (8.0 * 2.0f64.sqrt() / 2.0).exp());
        assert_eq!(scores[0], 1.0);
        assert!((scores[1] - expected).abs() < 1e-12, "{scores:?}");
    }
}
