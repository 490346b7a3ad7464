//! The protocol in the style of ISO/IEC 29794-1.

use super::{Curve, CurvePoint, Evaluator, Protocol, Ranking, Shape, Target, Weights};

pub(super) fn curve(
    evaluator: &Evaluator<'_>,
    ranking: &Ranking,
    target: Target,
    weights: Weights<'_>,
) -> Curve {
    let comparisons = evaluator.comparisons();
    let similarity = |index: u32| comparisons.similarity(index as usize);
    let mated = |index: u32| comparisons.is_mated(index as usize);
    let quantile = |of_mated: bool, share: f64| {
        // Ascending similarity is descending distance; equal distances may hide
        // different similarities, which arccos brings together near 1.
        let mut sorted: Vec<(f64, u64)> = evaluator
            .by_distance()
            .iter()
            .rev()
            .filter(|&&index| mated(index) == of_mated && weights.of(index) > 0)
            .map(|&index| (similarity(index), weights.of(index)))
            .collect();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        linear_quantile(&sorted, share)
    };
    let threshold = match target {
        Target::Fnmr(rate) => quantile(true, rate),
        Target::Fmr(rate) => quantile(false, 1.0 - rate),
    };
    let is_below = |index: u32| threshold.is_some_and(|threshold| similarity(index) < threshold);

    let [mut left, mut errors, mut non_mated, mut false_matches] = [0_u64; 4];
    for index in 0..comparisons.len() as u32 {
        let weight = weights.of(index);
        match (mated(index), is_below(index)) {
            (true, below) => {
                left += weight;
                errors += if below { weight } else { 0 };
            }
            (false, below) => {
                non_mated += weight;
                false_matches += if below { 0 } else { weight };
            }
        }
    }
    let fmr = (non_mated > 0).then(|| false_matches as f64 / non_mated as f64);
    let total = left;
    let mut points = Vec::new();
    for tie in ranking.ties() {
        let (mut leaving, mut errors_leaving) = (0, 0);
        for &index in ranking.order()[tie].iter().filter(|&&index| mated(index)) {
            leaving += weights.of(index);
            errors_leaving += if is_below(index) { weights.of(index) } else { 0 };
        }
        if leaving > 0 {
            points.push(CurvePoint {
                discard: (total - left) as f64 / total as f64,
                threshold,
                fmr,
                fnmr: Some(errors as f64 / left as f64),
                mated: left,
                non_mated,
            });
        }
        left -= leaving;
        errors -= errors_leaving;
    }
    // The end that the reference appends: nothing left, no error.
    points.push(CurvePoint { discard: 1.0, threshold, fmr, fnmr: Some(0.0), mated: 0, non_mated });
    Curve { protocol: Protocol::Iso, target, shape: Shape::Steps, points, warnings: Vec::new() }
        .with_warnings()
}

/// NumPy's linear quantile of values that stand as often as their weights say.
fn linear_quantile(ascending: &[(f64, u64)], share: f64) -> Option<f64> {
    let count: u64 = ascending.iter().map(|(_, weight)| weight).sum();
    let position = count.checked_sub(1)? as f64 * share;
    let below = position.floor();
    let value_at = |rank: u64| {
        let mut before = 0;
        ascending.iter().find_map(|&(value, weight)| {
            before += weight;
            (before > rank).then_some(value)
        })
    };
    let low = value_at(below as u64)?;
    let high = value_at((below as u64 + 1).min(count - 1))?;
    Some(low + (high - low) * (position - below))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_written_out_list() {
        let weighted = [(1.0, 2), (2.0, 1), (5.0, 3)];
        // Of 1 1 2 5 5 5.
        for (share, expected) in [(0.0, 1.0), (0.2, 1.0), (0.3, 1.5), (0.5, 3.5), (1.0, 5.0)] {
            assert_eq!(linear_quantile(&weighted, share), Some(expected));
        }
        assert_eq!(linear_quantile(&[], 0.5), None);
    }
}
