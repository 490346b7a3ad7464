//! How much several embeddings of one image agree (SER-FIQ, CVPR 2020, equation 1).

use crate::recognise::normalised;

/// `2·σ(−(2/m²)·Σ_{i<j} d(xᵢ, xⱼ))` of `m` embeddings scaled to unit length, 0 to 1: 1 if they are
/// all equal.
pub(crate) fn agreement(embeddings: &[Vec<f32>]) -> f64 {
    let unit: Vec<Vec<f32>> = embeddings.iter().map(|one| normalised(one)).collect();
    let mut sum = 0.0;
    for (place, a) in unit.iter().enumerate() {
        for b in &unit[..place] {
            let squares = a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
            sum += squares.sum::<f64>().sqrt();
        }
    }
    let mean = 2.0 * sum / (unit.len() as f64).powi(2);
    2.0 / (1.0 + mean.exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreement_matches_formula() {
        assert_eq!(agreement(&[vec![1.0, 0.0], vec![5.0, 0.0]]), 1.0);
        // One pair at distance 2: the mean is 2·2/4 = 1.
        let opposite = agreement(&[vec![1.0, 0.0], vec![-1.0, 0.0]]);
        assert!((opposite - 2.0 / (1.0 + 1f64.exp())).abs() < 1e-12);
    }
}
