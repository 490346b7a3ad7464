//! Verification accuracy by folds: the threshold is chosen on all folds but one, and the accuracy
//! measured on that one.

use crate::comparisons::{Comparisons, ScoreScale};
use crate::error::{EvalError, check_count};

/// Number of folds in the usual protocol.
pub const FOLDS: u16 = 10;

/// Which thresholds are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ThresholdGrid {
    /// The grid of InsightFace's program: 0, 0.01, …, 3.99 on the squared Euclidean distance
    /// `2 − 2·cos` of normalised embeddings. Only for cosines.
    #[default]
    InsightFace,
    /// The midpoint between each two neighbouring distances of the other folds, and one below and
    /// one above all of them.
    Exact,
}

/// One fold.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Fold {
    /// Fraction of its comparisons that were classified correctly.
    pub accuracy: f64,
    /// The threshold from the other folds: a squared Euclidean distance with
    /// [`ThresholdGrid::InsightFace`], else a distance.
    pub threshold: f64,
}

/// The accuracy over all folds.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Verification {
    /// Mean over the folds.
    pub accuracy: f64,
    /// Standard deviation over the folds (of the population, as usually reported).
    pub deviation: f64,
    /// Each fold.
    pub folds: Vec<Fold>,
    /// Which thresholds were tried.
    pub grid: ThresholdGrid,
}

/// Splits a list into folds of nearly equal size, in order: of `count` comparisons, the first
/// `count mod folds` folds have one more.
///
/// # Panics
///
/// If there is no fold.
pub fn equal_folds(count: usize, folds: u16) -> Vec<u16> {
    let (size, more) = (count / usize::from(folds), count % usize::from(folds));
    let size_of = |fold: u16| size + usize::from(usize::from(fold) < more);
    (0..folds).flat_map(|fold| std::iter::repeat_n(fold, size_of(fold))).collect()
}

/// The verification accuracy. A comparison is accepted if its distance is at most the threshold
/// ([`crate::decision`]); of several thresholds that are equally accurate on the other folds, the
/// smallest is used.
///
/// # Errors
///
/// If there is not one fold per comparison, fewer than two folds, an empty fold, or a grid for
/// cosines with other scores.
pub fn verification(
    comparisons: &Comparisons,
    fold_of: &[u16],
    grid: ThresholdGrid,
) -> Result<Verification, EvalError> {
    let count = comparisons.len();
    check_count(("folds", fold_of.len()), ("comparisons", count))?;
    if grid == ThresholdGrid::InsightFace && comparisons.scale() != ScoreScale::Cosine {
        return Err(EvalError::NeedsCosines);
    }
    let folds = fold_of.iter().max().map_or(0, |&last| usize::from(last) + 1);
    let mut sizes = vec![0_usize; folds];
    fold_of.iter().for_each(|&fold| sizes[usize::from(fold)] += 1);
    if folds < 2 || sizes.contains(&0) {
        let (what, expected) =
            ("the number of folds that hold comparisons", "at least 2 folds, none of them empty");
        let value = sizes.iter().filter(|&&size| size > 0).count() as f64;
        return Err(EvalError::OutOfRange { what, value, expected });
    }
    let distance = |index: usize| match grid {
        ThresholdGrid::InsightFace => 2.0 - 2.0 * comparisons.similarity(index),
        ThresholdGrid::Exact => comparisons.distance(index),
    };
    let mut sorted: Vec<(f64, u32)> =
        (0..count as u32).map(|i| (distance(i as usize), i)).collect();
    sorted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let measured = (0..folds).map(|fold| {
        let is_test = |index: u32| usize::from(fold_of[index as usize]) == fold;
        let part = |test: bool| -> Vec<(f64, bool)> {
            let own = sorted.iter().filter(|(_, index)| is_test(*index) == test);
            own.map(|&(distance, index)| (distance, comparisons.is_mated(index as usize))).collect()
        };
        let (train, test) = (part(false), part(true));
        let threshold = best_threshold(&train, &grid.thresholds(&train));
        let right = test.iter().filter(|&&(distance, mated)| (distance <= threshold) == mated);
        Fold { accuracy: right.count() as f64 / sizes[fold] as f64, threshold }
    });
    let measured: Vec<Fold> = measured.collect();
    let accuracy = measured.iter().map(|fold| fold.accuracy).sum::<f64>() / folds as f64;
    let variance =
        measured.iter().map(|fold| (fold.accuracy - accuracy).powi(2)).sum::<f64>() / folds as f64;
    Ok(Verification { accuracy, deviation: variance.sqrt(), folds: measured, grid })
}

impl ThresholdGrid {
    /// The thresholds to try on comparisons by ascending distance.
    fn thresholds(self, train: &[(f64, bool)]) -> Vec<f64> {
        if self == Self::InsightFace {
            return (0..400).map(|step| f64::from(step) * 0.01).collect();
        }
        let between = |pair: &[(f64, bool)]| match pair {
            [(low, _), (high, _)] if low < high => {
                let middle = f64::midpoint(*low, *high);
                // Nothing is between adjacent floats, and at `high` it would be accepted.
                Some(if middle < *high { middle } else { *low })
            }
            _ => None,
        };
        let (first, last) = (train[0].0, train[train.len() - 1].0);
        let middles = train.windows(2).filter_map(between);
        // Subtracting 1 does not change a large number.
        let below = (first - 1.0).min(first.next_down());
        std::iter::once(below).chain(middles).chain([last + 1.0]).collect()
    }
}

/// The ascending threshold with the most correct decisions, of several the smallest.
fn best_threshold(train: &[(f64, bool)], thresholds: &[f64]) -> f64 {
    let mut right = train.iter().filter(|(_, mated)| !mated).count();
    let (mut next, mut best) = (0, (0, thresholds[0]));
    for &threshold in thresholds {
        while let Some(&(distance, mated)) = train.get(next)
            && distance <= threshold
        {
            right = if mated { right + 1 } else { right - 1 };
            next += 1;
        }
        if right > best.0 {
            best = (right, threshold);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_thresholds_separate_every_two_neighbouring_distances() {
        let adjacent = 1_f64.next_up();
        for distances in [
            vec![0.1, 0.1, 0.2, 0.7],
            vec![1.0, adjacent, adjacent.next_up()],
            vec![-f64::MAX, -1.0, f64::MAX],
            vec![-1e17, 1e17],
            vec![f64::MAX.next_down(), f64::MAX],
        ] {
            let train: Vec<(f64, bool)> = distances.iter().map(|&it| (it, true)).collect();
            let thresholds = ThresholdGrid::Exact.thresholds(&train);
            assert!(thresholds.is_sorted(), "{thresholds:?}");
            let accepted: Vec<usize> = thresholds
                .iter()
                .map(|&threshold| distances.iter().filter(|&&it| it <= threshold).count())
                .collect();
            let mut expected: Vec<usize> = (1..=distances.len())
                .filter(|&count| distances.get(count) != Some(&distances[count - 1]))
                .collect();
            expected.insert(0, 0);
            assert_eq!(accepted, expected, "{distances:?}: {thresholds:?}");
        }
    }
}
