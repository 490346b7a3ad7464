//! Statistics shared by several measurements.

/// The rank correlation of two lists of equal length (Spearman 1904), equal values sharing the mean
/// of their ranks; `None` if one of the lists does not vary, or a value is NaN.
///
/// # Panics
///
/// If the lists have different lengths.
pub fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    assert_eq!(a.len(), b.len(), "lists of different lengths have no correlation");
    pearson(&ranks(a)?, &ranks(b)?)
}

/// Ranks from 1 up, equal values sharing their mean; `None` if a value is NaN.
fn ranks(values: &[f64]) -> Option<Vec<f64>> {
    if values.iter().any(|value| value.is_nan()) {
        return None;
    }
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let value = values[order[start]];
        let equal = order[start..].iter().take_while(|&&index| values[index] == value).count();
        // The mean of start + 1, …, start + equal.
        let rank = start as f64 + (equal as f64 + 1.0) / 2.0;
        order[start..start + equal].iter().for_each(|&index| ranks[index] = rank);
        start += equal;
    }
    Some(ranks)
}

fn pearson(a: &[f64], b: &[f64]) -> Option<f64> {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - mean_a, b - mean_b);
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    (aa > 0.0 && bb > 0.0).then(|| (ab / (aa * bb).sqrt()).clamp(-1.0, 1.0))
}

/// The quantile at `fraction` in 0 … 1 of ascending values, linearly interpolated (NumPy's
/// default); `None` without values.
pub fn quantile(ascending: &[f64], fraction: f64) -> Option<f64> {
    let last = ascending.len().checked_sub(1)?;
    let (below, rest) = position(last as u64, fraction);
    let (low, high) = (ascending[below as usize], ascending[(below as usize + 1).min(last)]);
    Some(between(low, high, rest))
}

/// The same quantile of ascending values with integer weights, `count` in total.
pub(crate) fn weighted_quantile(
    ascending: impl Iterator<Item = (f64, u64)>,
    count: u64,
    fraction: f64,
) -> Option<f64> {
    let last = count.checked_sub(1)?;
    let (below, rest) = position(last, fraction);
    let above = (below + 1).min(last);
    let (mut before, mut low) = (0, None);
    for (value, weight) in ascending {
        before += weight;
        if low.is_none() && before > below {
            low = Some(value);
        }
        if let Some(low) = low
            && before > above
        {
            return Some(between(low, value, rest));
        }
    }
    None
}

/// The index at or below a quantile, and the fraction of the distance to the next one, 0 … 1.
fn position(last: u64, fraction: f64) -> (u64, f64) {
    let position = fraction.clamp(0.0, 1.0) * last as f64;
    let below = (position as u64).min(last);
    (below, position - below as f64)
}

/// The number at a fraction of the way from `low` to `high`, in NumPy's order of operations unless
/// their difference overflows.
fn between(low: f64, high: f64, rest: f64) -> f64 {
    match high - low {
        _ if rest == 0.0 => low,
        gap if gap.is_finite() => low + gap * rest,
        _ => low * (1.0 - rest) + high * rest,
    }
}

/// `part / total`; `None` if `total` is 0.
pub(crate) fn ratio(part: usize, total: usize) -> Option<f64> {
    (total > 0).then(|| part as f64 / total as f64)
}

/// What a box plot shows of a set of values.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct BoxPlot {
    /// Number of values.
    pub count: usize,
    /// Their mean.
    pub mean: f64,
    /// The minimum.
    pub min: f64,
    /// The lower whisker: the minimum within 1.5 interquartile ranges of the box (Tukey 1977).
    pub lower_whisker: f64,
    /// The lower quartile.
    pub lower_quartile: f64,
    /// The median.
    pub median: f64,
    /// The upper quartile.
    pub upper_quartile: f64,
    /// The upper whisker: the maximum within 1.5 interquartile ranges of the box.
    pub upper_whisker: f64,
    /// The maximum.
    pub max: f64,
}

impl BoxPlot {
    /// `None` without values, or if one is NaN.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        if values.iter().any(|value| value.is_nan()) {
            return None;
        }
        values.sort_unstable_by(f64::total_cmp);
        let at = |fraction| quantile(&values, fraction);
        let (lower_quartile, median, upper_quartile) = (at(0.25)?, at(0.5)?, at(0.75)?);
        let reach = 1.5 * (upper_quartile - lower_quartile);
        let inside =
            |value: &&f64| (lower_quartile - reach..=upper_quartile + reach).contains(*value);
        Some(Self {
            count: values.len(),
            mean: values.iter().sum::<f64>() / values.len() as f64,
            min: *values.first()?,
            lower_whisker: *values.iter().find(inside)?,
            lower_quartile,
            median,
            upper_quartile,
            upper_whisker: *values.iter().rev().find(inside)?,
            max: *values.last()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spearman_matches_scipy() {
        // scipy.stats.spearmanr of these lists.
        let a = [106.0, 100.0, 86.0, 101.0, 99.0, 103.0, 97.0, 113.0, 112.0, 110.0];
        let b = [7.0, 27.0, 2.0, 50.0, 28.0, 29.0, 20.0, 12.0, 6.0, 17.0];
        assert!((spearman(&a, &b).expect("varies") + 0.175_757_575_757_575_75).abs() < 1e-12);
        let (a, b) = ([1.0, 2.0, 2.0, 3.0], [10.0, 30.0, 20.0, 20.0]);
        // Ranks 1, 2.5, 2.5, 4 and 1, 4, 2.5, 2.5, by hand: 3.0 / 4.5 … of squares 4.5.
        let by_hand = (1.5 * 1.5 + 0.0 + 0.0 + 1.5 * 0.0) / 4.5;
        assert!((spearman(&a, &b).expect("varies") - by_hand).abs() < 1e-12);
        assert_eq!(spearman(&[1.0, 2.0], &[5.0, 4.0]), Some(-1.0));
        assert_eq!(spearman(&[1.0, 1.0], &[5.0, 4.0]), None);
        assert_eq!(spearman(&[1.0, f64::NAN], &[5.0, 4.0]), None);
        assert_eq!(spearman(&[], &[]), None);
    }

    #[test]
    fn weighted_quantile_matches_expanded_list() {
        let weighted = [(0.5, 0), (1.0, 2), (2.0, 1), (5.0, 3)];
        // Of 1 1 2 5 5 5.
        for (fraction, expected) in [(0.0, 1.0), (0.2, 1.0), (0.3, 1.5), (0.5, 3.5), (1.0, 5.0)] {
            assert_eq!(weighted_quantile(weighted.into_iter(), 6, fraction), Some(expected));
        }
        assert_eq!(weighted_quantile(std::iter::empty(), 0, 0.5), None);
    }

    #[test]
    fn quantile_of_the_largest_numbers_is_finite() {
        let ascending = [-f64::MAX, f64::MAX];
        for (fraction, expected) in [(0.0, -f64::MAX), (0.5, 0.0), (1.0, f64::MAX)] {
            assert_eq!(quantile(&ascending, fraction), Some(expected));
            let weighted = ascending.map(|value| (value, 1)).into_iter();
            assert_eq!(weighted_quantile(weighted, 2, fraction), Some(expected));
        }
    }

    #[test]
    fn box_plot_follows_tukey() {
        let values = [10.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 40.0];
        let found = BoxPlot::of(values).expect("values");
        assert_eq!((found.lower_quartile, found.median, found.upper_quartile), (3.0, 5.0, 7.0));
        assert_eq!((found.lower_whisker, found.upper_whisker), (1.0, 10.0));
        assert_eq!((found.min, found.max, found.count), (1.0, 40.0, 9));
        assert!((found.mean - 78.0 / 9.0).abs() < 1e-12);
        assert_eq!(BoxPlot::of([]), None);
        assert_eq!(BoxPlot::of(values.into_iter().chain([f64::NAN])), None);
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), Some(3.0));
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 1.0), Some(4.0));
    }
}
