//! Error rates, accuracy by folds, threshold advice and the table by group, against naive
//! implementations.

use attn_fiqa_eval::bands::by_band;
use attn_fiqa_eval::comparisons::{Comparisons, Pair, ScoreScale, pair_qualities};
use attn_fiqa_eval::edc::{Bootstrap, Evaluator, Protocol, Ranking, Target};
use attn_fiqa_eval::rates::{equal_error_rate, operating_points};
use attn_fiqa_eval::rejection::{Advice, Reject, advise, fairness};
use attn_fiqa_eval::verification::{ThresholdGrid, equal_folds, verification};

use crate::support::{Set, naive};

/// Comparisons of `images` images in a ring, with the qualities of the images.
fn ring(seed: u64, images: usize) -> (Set, Vec<Pair>, Vec<f64>) {
    let made = Set::made_up(seed, 3 * images, 30.0);
    let qualities: Vec<f64> = made.quality[..images].to_vec();
    let pairs: Vec<Pair> = (0..3 * images)
        .map(|index| Pair {
            a: (index % images) as u32,
            b: ((index % images + 1 + index / images) % images) as u32,
            mated: made.comparisons.is_mated(index),
        })
        .collect();
    let quality = pair_qualities(&qualities, &pairs).expect("qualities");
    (Set { comparisons: made.comparisons, quality }, pairs, qualities)
}

#[test]
fn operating_points_match_naive_implementation() {
    let set = Set::made_up(8, 500, 40.0);
    let evaluator = Evaluator::new(&set.comparisons);
    let targets = [0.0, 0.01, 0.1, 0.5].map(Target::Fmr);
    for point in operating_points(&evaluator, &targets).expect("points") {
        let (threshold, fmr, fnmr) =
            naive::decide(&set, &naive::every(&set), point.target.value()).expect("a point");
        assert_eq!((point.distance, point.fmr, Some(point.fnmr)), (threshold, fmr, fnmr));
        assert!(point.fmr <= point.target.value(), "the target is exceeded: {point:?}");
        assert_eq!(point.unresolved, point.target == Target::Fmr(0.0));
    }
    assert!(operating_points(&evaluator, &[Target::Fmr(-0.1)]).is_err());
    assert!(operating_points(&evaluator, &[Target::Threshold(f64::NAN)]).is_err());
}

#[test]
fn eer_lies_where_fmr_equals_fnmr() {
    let set = Set::made_up(9, 4_000, 1e9);
    let evaluator = Evaluator::new(&set.comparisons);
    let eer = equal_error_rate(&evaluator);
    let point = operating_points(&evaluator, &[Target::Fmr(eer)]).expect("a point")[0];
    assert!((point.fnmr - eer).abs() < 0.002, "{point:?} {eer}");
}

/// Tries every threshold on every fold.
fn naive_accuracy(set: &Comparisons, folds: &[u16]) -> Vec<(f64, f64)> {
    (0..=*folds.iter().max().expect("folds"))
        .map(|fold| {
            let share_right = |threshold: f64, test: bool| {
                let inside: Vec<usize> =
                    (0..set.len()).filter(|&i| (folds[i] == fold) == test).collect();
                let right = inside
                    .iter()
                    .filter(|&&i| (2.0 - 2.0 * set.similarity(i) <= threshold) == set.is_mated(i));
                right.count() as f64 / inside.len() as f64
            };
            let mut best = (-1.0, 0.0);
            for step in 0..400 {
                let threshold = f64::from(step) * 0.01;
                let accuracy = share_right(threshold, false);
                if accuracy > best.0 {
                    best = (accuracy, threshold);
                }
            }
            (share_right(best.1, true), best.1)
        })
        .collect()
}

#[test]
fn fold_accuracy_matches_naive_implementation() {
    for seed in 0..5 {
        let set = Set::made_up(seed, 137, 25.0).comparisons;
        let folds = equal_folds(137, 10);
        let found = verification(&set, &folds, ThresholdGrid::InsightFace).expect("accuracy");
        let expected = naive_accuracy(&set, &folds);
        for (fold, (accuracy, threshold)) in found.folds.iter().zip(&expected) {
            assert_eq!((fold.accuracy, fold.threshold), (*accuracy, *threshold), "seed {seed}");
        }
        let mean = expected.iter().map(|(accuracy, _)| accuracy).sum::<f64>() / 10.0;
        assert!((found.accuracy - mean).abs() < 1e-12);
        // No other threshold is better on the folds that selected it, so hardly any on the rest.
        let exact = verification(&set, &folds, ThresholdGrid::Exact).expect("accuracy");
        assert!((exact.accuracy - found.accuracy).abs() < 0.1);
    }
}

#[test]
fn folds_are_balanced_and_must_not_be_empty() {
    assert_eq!(equal_folds(7, 3), [0, 0, 0, 1, 1, 2, 2]);
    let set = Set::made_up(1, 20, 1e9).comparisons;
    let grid = ThresholdGrid::InsightFace;
    assert!(verification(&set, &[0; 20], grid).is_err());
    assert!(verification(&set, &equal_folds(19, 10), grid).is_err());
    let mut gap = equal_folds(20, 4);
    gap.iter_mut().for_each(|fold| *fold = if *fold == 1 { 0 } else { *fold });
    assert!(verification(&set, &gap, grid).is_err());
    let distances = set.values().iter().map(|value| 1.0 - value).collect();
    let set = Comparisons::new(distances, set.mated().to_vec(), ScoreScale::Distance);
    let set = set.expect("comparisons");
    let error = verification(&set, &equal_folds(20, 10), grid).expect_err("no cosines");
    assert!(error.to_string().contains("need cosines"));
    assert!(verification(&set, &equal_folds(20, 10), ThresholdGrid::Exact).is_ok());
}

#[test]
fn perfect_recogniser_has_full_accuracy() {
    let mated: Vec<bool> = (0..40).map(|index| index % 2 == 0).collect();
    let scores = mated.iter().map(|&mated| if mated { 0.8 } else { 0.1 }).collect();
    let set = Comparisons::new(scores, mated, ScoreScale::Cosine).expect("comparisons");
    for grid in [ThresholdGrid::InsightFace, ThresholdGrid::Exact] {
        let found = verification(&set, &equal_folds(40, 10), grid).expect("accuracy");
        assert_eq!((found.accuracy, found.deviation), (1.0, 0.0));
    }
}

#[test]
fn advice_matches_rates_after_rejection() {
    let (set, pairs, qualities) = ring(4, 300);
    let evaluator = Evaluator::new(&set.comparisons);
    let give = |reject| {
        advise(&evaluator, &pairs, &qualities, reject, Target::Fmr(0.05), None).expect("advice")
    };
    let advice = give(Reject::Fraction(0.2));
    let rejected = qualities.iter().filter(|&&quality| quality < advice.reject_below).count();
    assert_eq!((advice.rejected, advice.images), (rejected, 300));
    assert!((50..=60).contains(&rejected), "ties stay: {rejected}");
    let left: Vec<usize> =
        (0..pairs.len()).filter(|&i| set.quality[i] >= advice.reject_below).collect();
    let (_, fmr, fnmr) = naive::decide(&set, &left, 0.05).expect("a point");
    assert_eq!(advice.after, fnmr.map(|fnmr| [fmr, fnmr]));
    let (old, fmr, fnmr) = naive::decide(&set, &naive::every(&set), 0.05).expect("a point");
    assert_eq!(Some(advice.before), fnmr.map(|fnmr| [fmr, fnmr]));
    let mated: Vec<usize> = left.iter().copied().filter(|&i| set.comparisons.is_mated(i)).collect();
    let missed = mated.iter().filter(|&&i| set.comparisons.distance(i) > old).count();
    assert_eq!(advice.after_at_fixed_threshold, Some(missed as f64 / mated.len() as f64));
    assert_eq!(advice.retained, [mated.len() as u64, (left.len() - mated.len()) as u64]);

    let same = give(Reject::Below(advice.reject_below));
    assert_eq!(same, advice);
    let none = give(Reject::Below(f64::NEG_INFINITY));
    assert_eq!((none.rejected, none.after), (0, Some(none.before)));
    let all = give(Reject::Fraction(1.0));
    assert_eq!((all.rejected, all.after), (300, None));
    assert!(
        all.to_string().ends_with("too few comparisons are left to measure the FNMR at FMR 0.05")
    );
}

#[test]
fn advice_has_confidence_intervals_and_summary_sentence() {
    // Each comparison has two images of its own, whose quality is high where errors are unlikely.
    let set = Set::made_up(4, 6_000, 1e9);
    let qualities: Vec<f64> = set.quality.iter().flat_map(|&quality| [quality; 2]).collect();
    let mated = set.comparisons.mated().iter().zip(0..);
    let pairs: Vec<Pair> =
        mated.map(|(&mated, index)| Pair { a: 2 * index, b: 2 * index + 1, mated }).collect();
    let evaluator = Evaluator::new(&set.comparisons);
    let bootstrap = Bootstrap { replicates: 200, seed: 3, ..Bootstrap::default() };
    let give = || {
        let reject = Reject::Fraction(0.2);
        advise(&evaluator, &pairs, &qualities, reject, Target::Fmr(0.01), Some(&bootstrap))
            .expect("advice")
    };
    let advice: Advice = give();
    assert_eq!(give(), advice, "the same seed gives the same advice");
    let holds = |interval: Option<attn_fiqa_eval::edc::Interval>, value: f64| {
        interval.is_some_and(|interval| interval.low <= value && value <= interval.high)
    };
    let after = advice.after.expect("comparisons are left")[1];
    assert!(holds(advice.before_interval, advice.before[1]), "{advice:?}");
    assert!(holds(advice.after_interval, after), "{advice:?}");
    assert!(holds(advice.gain_interval, advice.before[1] - after), "{advice:?}");
    // Constructed so that errors are more likely at low quality.
    assert!(advice.gain_interval.is_some_and(|gain| gain.low > 0.0), "{advice:?}");
    let sentence = advice.to_string();
    assert!(sentence.starts_with("reject below "), "{sentence}");
    assert!(
        sentence.contains(" of images are rejected, FNMR at FMR 1e-2 falls from "),
        "{sentence}"
    );
}

#[test]
fn groups_are_measured_at_one_threshold() {
    let (set, pairs, qualities) = ring(6, 400);
    let evaluator = Evaluator::new(&set.comparisons);
    let groups = ["few".to_owned(), "many".to_owned(), "nobody".to_owned()];
    let group_of: Vec<u32> = (0..400).map(|image| u32::from(image >= 100)).collect();
    let reject = Reject::Below(0.3);
    let rows =
        fairness(&evaluator, &pairs, &qualities, (&groups, &group_of), reject, Target::Fmr(0.05));
    let rows = rows.expect("rows");
    let (threshold, fmr, fnmr) = naive::decide(&set, &naive::every(&set), 0.05).expect("a point");
    assert_eq!((rows[0].group.as_deref(), rows[0].images), (None, 400));
    assert_eq!((rows[0].fmr[0], rows[0].fnmr[0]), (Some(fmr), fnmr));
    assert_eq!(rows[0].rejected, rows[1].rejected + rows[2].rejected);
    for (row, group) in rows[1..].iter().zip(0..) {
        let inside = |index: usize| {
            [pairs[index].a, pairs[index].b].iter().all(|&image| group_of[image as usize] == group)
        };
        let own = (0..400).filter(|&image| group_of[image] == group);
        let rejected = own.clone().filter(|&image| qualities[image] < 0.3).count();
        assert_eq!((row.images, row.rejected), (own.count(), rejected));
        for stage in [0, 1] {
            let here: Vec<usize> = (0..pairs.len())
                .filter(|&index| inside(index) && (stage == 0 || set.quality[index] >= 0.3))
                .collect();
            let mated: Vec<usize> =
                here.iter().copied().filter(|&i| set.comparisons.is_mated(i)).collect();
            let missed = mated.iter().filter(|&&i| set.comparisons.distance(i) > threshold);
            let missed = missed.count();
            let expected = (!mated.is_empty()).then(|| missed as f64 / mated.len() as f64);
            assert_eq!(row.fnmr[stage], expected);
            let counts = if stage == 0 { row.comparisons } else { row.retained };
            assert_eq!(counts, [mated.len(), here.len() - mated.len()]);
        }
    }
    assert_eq!((rows[3].images, rows[3].fnmr), (0, [None, None]));
}

#[test]
fn images_at_the_rejection_threshold_are_kept() {
    let qualities = [0.5, 0.1, 0.3, 0.2, 0.4];
    // At most the fraction: of five images, two are no more than a half.
    for (fraction, expected) in [(0.0, 0.1), (0.39, 0.2), (0.4, 0.3), (0.5, 0.3), (0.99, 0.5)] {
        assert_eq!(Reject::Fraction(fraction).threshold(&qualities), Ok(expected));
    }
    let mated = [true, true, false, false];
    let pairs = [[0, 2], [1, 3], [0, 4], [2, 4]].into_iter().zip(mated);
    let pairs: Vec<Pair> = pairs.map(|([a, b], mated)| Pair { a, b, mated }).collect();
    let set = Comparisons::new(vec![0.9, 0.8, 0.2, 0.1], mated.to_vec(), ScoreScale::Cosine);
    let set = set.expect("comparisons");
    let evaluator = Evaluator::new(&set);
    let groups = (&["all".to_owned()][..], &[0; 5][..]);
    let (reject, target) = (Reject::Below(0.3), Target::Fmr(0.5));
    let rows = fairness(&evaluator, &pairs, &qualities, groups, reject, target).expect("rows");
    assert_eq!((rows[1].images, rows[1].rejected, rows[1].retained), (5, 2, [1, 2]));
    let give =
        |reject| advise(&evaluator, &pairs, &qualities, reject, target, None).expect("advice");
    let advice = give(reject);
    assert_eq!((advice.rejected, advice.retained, advice.unresolved), (2, [1, 2], false));
    // Two non-mated comparisons resolve a half, one does not.
    let fewer = give(Reject::Below(0.35));
    assert_eq!((fewer.retained, fewer.unresolved), ([0, 1], true));
    assert_eq!((fewer.after, fewer.after_at_fixed_threshold), (None, None));
}

/// Two comparisons lie at the threshold, one of each kind: both match, in every measure.
#[test]
fn comparison_at_threshold_matches_in_every_measure() {
    let distances = vec![0.1, 0.2, 0.2, 0.3, 0.4, 0.5];
    let mated = [true, true, false, true, false, false];
    let set = Comparisons::new(distances, mated.to_vec(), ScoreScale::Distance);
    let set = set.expect("comparisons");
    let pairs: Vec<Pair> = mated.iter().map(|&mated| Pair { a: 0, b: 1, mated }).collect();
    let evaluator = Evaluator::new(&set);
    let target = Target::Threshold(0.2);
    let third = 1.0 / 3.0;
    let point = operating_points(&evaluator, &[target]).expect("a point")[0];
    assert_eq!((point.fmr, point.fnmr), (third, third));
    let none = Reject::Below(f64::NEG_INFINITY);
    let advice = advise(&evaluator, &pairs, &[1.0, 1.0], none, target, None).expect("advice");
    assert_eq!((advice.before, advice.after), ([third; 2], Some([third; 2])));
    assert_eq!(advice.after_at_fixed_threshold, Some(third));
    let groups = (&["all".to_owned()][..], &[0, 0][..]);
    let rows = fairness(&evaluator, &pairs, &[1.0, 1.0], groups, none, target).expect("rows");
    assert_eq!((rows[1].fmr[0], rows[1].fnmr[0]), (Some(third), Some(third)));
    let bands = by_band(&set, &pairs, &[90, 90], &point).expect("bands");
    let good = bands.last().expect("a band");
    assert_eq!((good.false_matches, good.false_non_matches), (1, 1));
    let level = Ranking::new(&[0.0; 6]).expect("a ranking");
    for protocol in [Protocol::Iso, Protocol::Nist] {
        let curve = &evaluator.curves(&level, protocol, &[target]).expect("a curve")[0];
        assert_eq!((curve.points[0].fmr, curve.start()), (Some(third), Some(third)), "{protocol}");
    }
}

#[test]
fn rejected_fraction_is_not_rounded_down_by_float_error() {
    let qualities: Vec<f64> = (0..100).map(f64::from).collect();
    for percent in 0..100 {
        let threshold = Reject::Fraction(f64::from(percent) / 100.0).threshold(&qualities);
        assert_eq!(threshold, Ok(f64::from(percent)));
    }
}

#[test]
fn mismatched_or_invalid_inputs_are_rejected() {
    let (set, pairs, qualities) = ring(4, 50);
    let evaluator = Evaluator::new(&set.comparisons);
    let give = |pairs: &[Pair], qualities: &[f64], reject, fmr| {
        advise(&evaluator, pairs, qualities, reject, Target::Fmr(fmr), None)
    };
    let share = Reject::Fraction(0.1);
    assert!(give(&pairs[1..], &qualities, share, 0.1).is_err());
    assert!(give(&pairs, &qualities[1..], share, 0.1).is_err());
    assert!(give(&pairs, &qualities, Reject::Fraction(1.5), 0.1).is_err());
    assert!(give(&pairs, &qualities, Reject::Below(f64::NAN), 0.1).is_err());
    assert!(give(&pairs, &qualities, share, 1.5).is_err());
    let bootstrap = Bootstrap { replicates: 2, confidence_level: 1.5, ..Bootstrap::default() };
    let target = Target::Fmr(0.1);
    let refused = advise(&evaluator, &pairs, &qualities, share, target, Some(&bootstrap));
    assert!(refused.is_err());
    let by_group = |pairs: &[Pair], qualities: &[f64], group_of: &[u32]| {
        let groups = (&["one".to_owned()][..], group_of);
        fairness(&evaluator, pairs, qualities, groups, share, target)
    };
    assert!(by_group(&pairs, &qualities, &[0; 50]).is_ok());
    assert!(by_group(&pairs[1..], &qualities, &[0; 50]).is_err());
    assert!(by_group(&pairs, &qualities[1..], &[0; 49]).is_err());
    assert!(by_group(&pairs, &qualities, &[0; 51]).is_err());
    let mut bad = qualities.clone();
    bad[7] = f64::NAN;
    assert!(give(&pairs, &bad, share, 0.1).is_err_and(|e| e.to_string().contains("image 7")));
}
