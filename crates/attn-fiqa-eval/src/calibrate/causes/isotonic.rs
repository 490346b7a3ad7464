//! Isotonic regression.

use attn_fiqa::causes::Curve;

/// The non-decreasing function with the least squared distance to `targets` at `values` (of equal
/// length), by pooling adjacent violators (Ayer et al. 1955), at the knots of a curve. Between
/// values it is linear. All 0 without values.
pub(super) fn isotonic(values: &[f64], targets: &[f64]) -> [f64; Curve::KNOTS] {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    // Sum and number of the targets of each pool; equal values are in the same one.
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for (rank, &place) in order.iter().enumerate() {
        let repeated = rank > 0 && values[order[rank - 1]] == values[place];
        let mut pool = (targets[place], 1);
        while let Some(&(sum, count)) = pools.last()
            && (sum / count as f64 >= pool.0 / pool.1 as f64 || (repeated && pool.1 == 1))
        {
            pools.pop();
            pool = (pool.0 + sum, pool.1 + count);
        }
        pools.push(pool);
    }
    let fitted: Vec<f64> = pools
        .iter()
        .flat_map(|&(sum, count)| std::iter::repeat_n(sum / count as f64, count))
        .collect();
    std::array::from_fn(|knot| {
        let x = knot as f64 / (Curve::KNOTS - 1) as f64;
        let above = order.partition_point(|&place| values[place] < x);
        let (Some(&last), Some(&highest)) = (order.last(), fitted.last()) else { return 0.0 };
        if above == 0 {
            return fitted[0];
        }
        if x > values[last] {
            return highest;
        }
        let (low, high) = (values[order[above - 1]], values[order[above]]);
        fitted[above - 1] + (fitted[above] - fitted[above - 1]) * ((x - low) / (high - low))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use attn_fiqa::random::Random;

    /// Max–min formula of the same regression, at one of the sorted values.
    fn naive(targets: &[f64], at: usize) -> f64 {
        let mean = |from: usize, to: usize| {
            targets[from..=to].iter().sum::<f64>() / (to - from + 1) as f64
        };
        let over = |from: usize| {
            (at..targets.len()).map(|to| mean(from, to)).fold(f64::INFINITY, f64::min)
        };
        (0..=at).map(over).fold(f64::NEG_INFINITY, f64::max)
    }

    #[test]
    fn isotonic_fit_matches_max_min_formula() {
        let mut random = Random::new(4, "isotonic");
        // One value at each knot, in mixed order.
        let values: Vec<f64> = (0..11).map(|i| f64::from(i * 7 % 11) / 10.0).collect();
        for _ in 0..20 {
            let targets: Vec<f64> = values.iter().map(|v| v + 0.5 * random.normal()).collect();
            let mut sorted = targets.clone();
            values.iter().zip(&targets).for_each(|(v, &t)| sorted[(v * 10.0).round() as usize] = t);
            let found = isotonic(&values, &targets);
            for (knot, found) in found.iter().enumerate() {
                let expected = naive(&sorted, knot);
                assert!((found - expected).abs() < 1e-12, "{knot}: {found} ≠ {expected}");
            }
        }
    }

    #[test]
    fn equal_values_get_the_mean_of_their_targets() {
        for targets in [[0.0, 1.0, 3.0, 2.0], [1.0, 0.0, 2.0, 3.0]] {
            let found = isotonic(&[0.4, 0.4, 0.6, 0.6], &targets);
            let expected = [0.5, 0.5, 0.5, 0.5, 0.5, 1.5, 2.5, 2.5, 2.5, 2.5, 2.5];
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
        }
    }

    #[test]
    fn isotonic_fit_interpolates_linearly_and_clamps() {
        let found = isotonic(&[0.25, 0.75], &[1.0, 2.0]);
        let expected = [1.0, 1.0, 1.0, 1.1, 1.3, 1.5, 1.7, 1.9, 2.0, 2.0, 2.0];
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
        assert_eq!(isotonic(&[], &[]), [0.0; 11]);
    }
}
