//! The baselines against their definitions, replicates that lack comparisons, and refused settings.

use attn_fiqa_eval::EvalError;
use attn_fiqa_eval::comparisons::{Comparisons, ScoreScale};
use attn_fiqa_eval::edc::{Bootstrap, Evaluator, Protocol, Ranking, Resample, Target};

use crate::support::{Set, naive};

const TARGET: Target = Target::Fmr(0.01);

/// Ranks comparisons by how far they are on the right side of the threshold, those furthest on the
/// wrong side first.
#[test]
fn theoretical_best_matches_ranking_by_margin() {
    let made = Set::made_up(17, 400, 1e9);
    let all = naive::every(&made);
    let evaluator = Evaluator::new(&made.comparisons);
    for protocol in [Protocol::Crfiqa, Protocol::Nist] {
        let decide = if protocol == Protocol::Crfiqa { naive::operate } else { naive::decide };
        let (threshold, ..) = decide(&made, &all, 0.05).expect("a threshold");
        let margin = |index: usize| {
            let inside = threshold - made.comparisons.distance(index);
            if made.comparisons.is_mated(index) { inside } else { -inside }
        };
        let quality = (0..made.comparisons.len()).map(margin).collect();
        let best = Set { comparisons: made.comparisons.clone(), quality };
        let expected: Vec<Option<f64>> = match protocol {
            Protocol::Crfiqa => {
                let points = naive::crfiqa(&best, &all, 0.05).into_iter();
                points.map(|point| point.and_then(|(.., fnmr)| fnmr)).collect()
            }
            _ => naive::nist(&best, &all, 0.05),
        };
        let found = evaluator.theoretical_best_curve(protocol, Target::Fmr(0.05));
        let found = found.expect("a curve").points.into_iter().map(|point| point.fnmr);
        assert_eq!(found.collect::<Vec<_>>(), expected, "{protocol}");
    }
}

/// Of three persons, only the first has mated comparisons, and two sets in seven lack him: such a
/// set has no FNMR. A set without the others has no FMR.
#[test]
fn replicates_without_comparisons_of_a_kind_are_absent() {
    let identities: Vec<[u32; 2]> =
        (0..40).map(|n| [[0, 0], [1, 2], [0, 1], [0, 2]][n % 4]).collect();
    let mated: Vec<bool> = identities.iter().map(|[a, b]| a == b).collect();
    let scores = (0..40).map(|n| f64::from(n * 17 % 40) / 40.0).collect();
    let comparisons = Comparisons::new(scores, mated, ScoreScale::Similarity).expect("comparisons");
    let evaluator = Evaluator::new(&comparisons);
    let quality: Vec<f64> = (0..40).map(f64::from).collect();
    let ranking = Ranking::new(&quality).expect("a ranking");
    let resample = Resample::Identities(&identities);
    let settings = Bootstrap { resample, replicates: 60, ..Bootstrap::default() };
    for protocol in Protocol::ALL {
        let found = evaluator.bootstrap(&ranking, protocol, &[Target::Fmr(0.1)], &settings);
        let found = found.expect("intervals").remove(0);
        let known: Vec<f64> = found.replicates.iter().copied().flatten().collect();
        assert!((20..60).contains(&known.len()), "{protocol}: {}", known.len());
        assert!(
            known.iter().all(|area| (0.0..0.3 + 1e-12).contains(area)),
            "{protocol}: {known:?}"
        );
        let bounds = found.fnmr.iter().flatten().chain(&found.pauc);
        assert!(bounds.into_iter().all(|i| 0.0 <= i.low && i.high <= 1.0), "{protocol}: {found:?}");
    }
}

#[test]
fn nist_range_widens_with_ties() {
    let set = Set::made_up(5, 1_500, 4.0);
    let evaluator = Evaluator::new(&set.comparisons);
    let ranking = Ranking::new(&set.quality).expect("a ranking");
    let found = evaluator.tie_sensitivity(&ranking, Protocol::Nist, &[TARGET], 0.3, 20, 9);
    let [low, high] = found.expect("ranges").ranges[0].pauc.expect("a range");
    let curve = &evaluator.curves(&ranking, Protocol::Nist, &[TARGET]).expect("a curve")[0];
    let given = curve.pauc(0.3).expect("an area");
    assert!(low < high && (low..=high).contains(&given), "{low} {given} {high}");
}

#[test]
fn unsupported_targets_and_settings_are_rejected() {
    let set = Set::made_up(1, 20, 1e9);
    let evaluator = Evaluator::new(&set.comparisons);
    let fnmr = Target::Fnmr(0.05);
    assert!(evaluator.random_curves(Protocol::Crfiqa, &[TARGET, fnmr], 2, 0).is_err());
    assert!(evaluator.random_curves(Protocol::Nist, &[fnmr], 2, 0).is_ok());
    assert!(evaluator.theoretical_best_curve(Protocol::Crfiqa, fnmr).is_err());
    assert!(evaluator.theoretical_best_curve(Protocol::Nist, Target::Fmr(1.5)).is_err());

    let ranking = Ranking::new(&set.quality).expect("a ranking");
    let short = Ranking::new(&[1.0, 2.0]).expect("a ranking");
    let good = Bootstrap { replicates: 2, ..Bootstrap::default() };
    let give = |ranking, target, settings: Bootstrap<'_>| {
        evaluator.bootstrap(ranking, Protocol::Crfiqa, &[target], &settings)
    };
    assert!(give(&ranking, TARGET, good).is_ok());
    assert!(give(&short, TARGET, good).is_err());
    assert!(give(&ranking, fnmr, good).is_err());
    let none = Bootstrap { replicates: 0, ..good };
    let expected = EvalError::Empty { what: "bootstrap replicate" };
    assert_eq!(give(&ranking, TARGET, none), Err(expected));
    for confidence_level in [-0.1, 1.5, f64::NAN] {
        assert!(give(&ranking, TARGET, Bootstrap { confidence_level, ..good }).is_err());
    }
    let few = Bootstrap { resample: Resample::Identities(&[[0, 1]]), ..good };
    assert!(give(&ranking, TARGET, few).is_err());
}
