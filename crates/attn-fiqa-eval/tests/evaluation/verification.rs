//! Accuracy by folds with exact thresholds, and the rates of a whole set, worked by hand or naively.

use attn_fiqa_eval::comparisons::{Comparisons, ScoreScale};
use attn_fiqa_eval::edc::Evaluator;
use attn_fiqa_eval::rates::{det, equal_error_rate};
use attn_fiqa_eval::verification::{ThresholdGrid, equal_folds, verification};

use crate::support::Set;

fn by_distance(distances: &[f64], mated: &[bool]) -> Comparisons {
    let set = Comparisons::new(distances.to_vec(), mated.to_vec(), ScoreScale::Distance);
    set.expect("comparisons")
}

/// Accuracy and threshold of one fold: tries one threshold below, one between each two distinct
/// neighbours, and one above the distances of the other folds.
fn naive_fold(set: &Comparisons, folds: &[u16], fold: u16) -> (f64, f64) {
    let part = |test: bool| -> Vec<usize> {
        (0..set.len()).filter(|&index| (folds[index] == fold) == test).collect()
    };
    let accuracy = |of: &[usize], threshold: f64| {
        let right = of.iter().filter(|&&i| (set.distance(i) <= threshold) == set.is_mated(i));
        right.count() as f64 / of.len() as f64
    };
    let (train, test) = (part(false), part(true));
    let mut distinct: Vec<f64> = train.iter().map(|&index| set.distance(index)).collect();
    distinct.sort_by(f64::total_cmp);
    distinct.dedup();
    let mut thresholds = vec![distinct[0] - 1.0];
    thresholds.extend(distinct.windows(2).map(|pair| pair[0] + (pair[1] - pair[0]) / 2.0));
    thresholds.push(distinct[distinct.len() - 1] + 1.0);
    let mut best = (-1.0, 0.0);
    for threshold in thresholds {
        if accuracy(&train, threshold) > best.0 {
            best = (accuracy(&train, threshold), threshold);
        }
    }
    (accuracy(&test, best.1), best.1)
}

#[test]
fn exact_thresholds_match_naive_implementation() {
    // Coarse scores tie, and in small sets it may be best to accept or to reject everything.
    for (seed, count, folds) in [(1, 60, 2), (2, 90, 3), (3, 137, 10), (4, 12, 2), (5, 9, 3)] {
        let set = Set::made_up(seed, count, 6.0).comparisons;
        let fold_of = equal_folds(count, folds);
        let found = verification(&set, &fold_of, ThresholdGrid::Exact).expect("accuracy");
        let expected: Vec<(f64, f64)> =
            (0..folds).map(|fold| naive_fold(&set, &fold_of, fold)).collect();
        let folds_found: Vec<(f64, f64)> =
            found.folds.iter().map(|fold| (fold.accuracy, fold.threshold)).collect();
        assert_eq!(folds_found, expected, "seed {seed}");
        let count = folds as f64;
        let mean = expected.iter().map(|(accuracy, _)| accuracy).sum::<f64>() / count;
        let squares = expected.iter().map(|(accuracy, _)| (accuracy - mean).powi(2)).sum::<f64>();
        assert!((found.accuracy - mean).abs() < 1e-12);
        assert!((found.deviation - (squares / count).sqrt()).abs() < 1e-12);
    }
}

#[test]
fn everything_is_accepted_if_that_is_most_accurate() {
    // In the other fold, one non-mated comparison is nearest, all others are mated.
    let distances = [0.1, 0.2, 0.3, 0.4, 0.1, 0.2, 0.3, 0.4];
    let mated = [false, true, true, true, false, true, true, true];
    let set = by_distance(&distances, &mated);
    let found = verification(&set, &equal_folds(8, 2), ThresholdGrid::Exact).expect("accuracy");
    let folds: Vec<(f64, f64)> = found.folds.iter().map(|f| (f.accuracy, f.threshold)).collect();
    assert_eq!(folds, [(0.75, 1.4); 2]);
    assert_eq!((found.accuracy, found.deviation), (0.75, 0.0));
}

#[test]
fn empty_folds_are_counted_in_the_error() {
    let set = Set::made_up(1, 20, 1e9).comparisons;
    let fold_of: Vec<u16> = (0..20).map(|index| [0, 2, 3][index % 3]).collect();
    let error = verification(&set, &fold_of, ThresholdGrid::Exact).expect_err("refused");
    let text = error.to_string();
    assert!(text.contains("the number of folds that hold comparisons is 3"), "{text}");
}

#[test]
fn eer_is_interpolated_on_the_line_between_corners() {
    // Of four mated comparisons three match at 0.4, of five non-mated ones three; at 0.3 they are
    // two and one. FMR and FNMR run from (0.2, 0.5) to (0.6, 0.25).
    let distances = [0.1, 0.3, 0.4, 0.6, 0.2, 0.4, 0.4, 0.7, 0.8];
    let mated = [true, true, true, true, false, false, false, false, false];
    let set = by_distance(&distances, &mated);
    // 0.2 + 0.4·s = 0.5 − 0.25·s.
    let share = 0.3 / 0.65;
    let found = equal_error_rate(&Evaluator::new(&set));
    assert!((found - (0.2 + 0.4 * share)).abs() < 1e-12, "{found}");
}

#[test]
fn det_curve_is_thinned_between_its_ends() {
    for count in [900, 20_000, 20_001, 20_003, 20_007] {
        let set = Set::made_up(19, count, 1e9).comparisons;
        let curve = det(&Evaluator::new(&set));
        assert_eq!((curve[0], curve[curve.len() - 1]), ([0.0, 1.0], [1.0, 0.0]), "{count}");
        let least = if count == 900 { 50 } else { 200 };
        assert!((least..=401).contains(&curve.len()), "{count}: {}", curve.len());
        assert!(curve.is_sorted_by(|a, b| a[0] <= b[0] && a[1] >= b[1] && a != b));
        // Every point is realised by some threshold.
        let rates = |threshold: f64| {
            let matches = |mated: bool| {
                let of_kind = (0..set.len()).filter(|&index| set.is_mated(index) == mated);
                of_kind.filter(|&index| set.distance(index) <= threshold).count() as f64
            };
            let (mated, non_mated) = (set.mated_count() as f64, set.non_mated_count() as f64);
            [matches(false) / non_mated, (mated - matches(true)) / mated]
        };
        if count == 900 {
            let all: Vec<[f64; 2]> = (0..set.len()).map(|i| rates(set.distance(i))).collect();
            assert!(curve[1..].iter().all(|point| all.contains(point)));
        }
    }
}
