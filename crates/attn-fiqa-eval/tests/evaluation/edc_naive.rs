//! The curves against naive implementations of their definitions, and invariants of any curve.

use attn_fiqa_eval::comparisons::{Comparisons, ScoreScale};
use attn_fiqa_eval::edc::{Curve, Evaluator, FMR_TARGETS, Protocol, Ranking, Target};
use proptest::prelude::*;

use crate::support::{Set, naive};

fn curve(set: &Set, protocol: Protocol, target: Target) -> Curve {
    let ranking = Ranking::new(&set.quality).expect("a ranking");
    let evaluator = Evaluator::new(&set.comparisons);
    evaluator.curves(&ranking, protocol, &[target]).expect("a curve").remove(0)
}

fn near(found: Option<f64>, expected: Option<f64>) -> bool {
    match (found, expected) {
        (Some(found), Some(expected)) => (found - expected).abs() < 1e-12,
        (found, expected) => found == expected,
    }
}

fn sets() -> impl Strategy<Value = Set> {
    let steps = prop_oneof![Just(3.0), Just(20.0), Just(1e9)];
    (any::<u64>(), 2_usize..250, steps)
        .prop_map(|(seed, count, steps)| Set::made_up(seed, count, steps))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn crfiqa_matches_naive_implementation(set in sets(), target in prop_oneof![
        Just(0.0), Just(1e-3), Just(0.01), Just(0.1), Just(0.25), Just(1.0)
    ]) {
        let found = curve(&set, Protocol::Crfiqa, Target::Fmr(target));
        let expected = naive::crfiqa(&set, &naive::every(&set), target);
        for (point, expected) in found.points.iter().zip(expected) {
            prop_assert_eq!(point.threshold, expected.map(|(threshold, ..)| threshold));
            prop_assert_eq!(point.fmr, expected.map(|(_, fmr, _)| fmr));
            prop_assert_eq!(point.fnmr, expected.and_then(|(.., fnmr)| fnmr));
        }
    }

    #[test]
    fn nist_matches_naive_implementation(set in sets(), target in 0.0..1.0) {
        let found = curve(&set, Protocol::Nist, Target::Fmr(target));
        let expected = naive::nist(&set, &naive::every(&set), target);
        for (point, expected) in found.points.iter().zip(expected) {
            prop_assert!(near(point.fnmr, expected), "{:?} {:?}", point, expected);
        }
    }

    #[test]
    fn nist_and_iso_agree_at_starting_fnmr(set in sets(), start in 0.0..1.0) {
        let target = Target::Fnmr(start);
        let [nist, iso] = [Protocol::Nist, Protocol::Iso].map(|p| curve(&set, p, target));
        prop_assert!(near(nist.start(), iso.start()), "{:?} {:?}", nist.start(), iso.start());
        prop_assert_eq!(nist.points[0].fmr, iso.points[0].fmr);
        // The quantile lies between two comparisons, or at some that are matches.
        let mated = set.comparisons.mated_count() as f64;
        let errors = nist.start().expect("a rate") * mated;
        prop_assert!(errors <= start * (mated - 1.0) + 1.0 + 1e-9, "{}", errors);
    }

    #[test]
    fn iso_rates_at_target_fmr_match_naive(set in sets(), target in 0.0..1.0) {
        let found = curve(&set, Protocol::Iso, Target::Fmr(target));
        let (_, fmr, fnmr) = naive::decide(&set, &naive::every(&set), target).expect("a point");
        prop_assert_eq!(found.points[0].fmr, Some(fmr));
        prop_assert!(fmr <= target, "{} exceeds {}", fmr, target);
        prop_assert!(near(found.start(), fnmr), "{:?} {:?}", found.start(), fnmr);
    }

    #[test]
    fn explicit_threshold_is_applied_unchanged(set in sets(), at in 0_usize..250) {
        let at = at % set.comparisons.len();
        // A threshold that a comparison meets exactly, on the comparisons' own scale.
        let target = Target::Threshold(set.comparisons.values()[at]);
        let found = curve(&set, Protocol::Nist, target);
        let met = |mated: bool| {
            let of_kind = |&index: &usize| set.comparisons.is_mated(index) == mated;
            let all: Vec<usize> = (0..set.comparisons.len()).filter(of_kind).collect();
            let met = all.iter().filter(|&&i| set.comparisons.values()[i] >= target.value());
            met.count() as f64 / all.len() as f64
        };
        prop_assert!(near(found.points[0].fmr, Some(met(false))));
        prop_assert!(near(found.start(), Some(1.0 - met(true))));
        let iso = curve(&set, Protocol::Iso, target);
        prop_assert_eq!(iso.points[0].threshold, Some(target.value()));
    }

    #[test]
    fn iso_matches_naive_implementation(set in sets(), start in 0.0..1.0) {
        let found = curve(&set, Protocol::Iso, Target::Fnmr(start));
        let expected = naive::iso(&set, &naive::every(&set), start);
        prop_assert_eq!(found.points.len(), expected.len());
        for (point, (discard, error)) in found.points.iter().zip(expected) {
            prop_assert!(near(Some(point.discard), Some(discard)));
            prop_assert!(near(point.fnmr, Some(error)), "{:?} {}", point, error);
        }
    }

    #[test]
    fn only_the_order_of_qualities_counts(set in sets()) {
        let stretched = Set {
            comparisons: set.comparisons.clone(),
            quality: set.quality.iter().map(|quality| (3.0 * quality).exp() - 40.0).collect(),
        };
        for protocol in Protocol::ALL {
            let target = Target::Fmr(0.05);
            let [a, b] = [&set, &stretched].map(|set| curve(set, protocol, target));
            prop_assert_eq!(a.points, b.points);
        }
    }

    #[test]
    fn similarity_and_distance_scales_give_equal_curves(set in sets()) {
        let scores = set.comparisons.values().to_vec();
        let mated = set.comparisons.mated().to_vec();
        let as_distance = scores.iter().map(|score| -score).collect();
        let build = |values, scale| Set {
            comparisons: Comparisons::new(values, mated.clone(), scale).expect("comparisons"),
            quality: set.quality.clone(),
        };
        let a = build(scores.clone(), ScoreScale::Similarity);
        let b = build(as_distance, ScoreScale::Distance);
        for protocol in Protocol::ALL {
            let [a, b] = [&a, &b].map(|set| curve(set, protocol, Target::Fmr(0.05)));
            prop_assert_eq!(a.points, b.points);
        }
    }

    #[test]
    fn pauc_lies_between_ideal_and_worst_case(set in sets(), limit in 0.01..0.95) {
        for protocol in Protocol::ALL {
            let curve = curve(&set, protocol, Target::Fmr(0.1));
            if let Some(area) = curve.pauc(limit) {
                let highest = curve.points.iter().filter_map(|p| p.fnmr).fold(0.0, f64::max);
                prop_assert!((0.0..=limit * highest + 1e-12).contains(&area));
                if protocol != Protocol::Crfiqa {
                    // With a fixed threshold, no discard removes more errors than comparisons. The
                    // grid may drop up to one comparison less than its fraction says.
                    let slack = 1.0 / set.comparisons.mated_count() as f64;
                    let best = curve.ideal_pauc(limit).expect("a start");
                    prop_assert!(area >= best - slack, "{} {}", area, best);
                }
            }
        }
    }
}

#[test]
fn multi_target_sweep_equals_single_targets() {
    let set = Set::made_up(3, 4_000, 50.0);
    let ranking = Ranking::new(&set.quality).expect("a ranking");
    let evaluator = Evaluator::new(&set.comparisons);
    let targets = FMR_TARGETS.map(Target::Fmr);
    let together = evaluator.curves(&ranking, Protocol::Crfiqa, &targets).expect("curves");
    for (curve, target) in together.iter().zip(targets) {
        let alone = evaluator.curves(&ranking, Protocol::Crfiqa, &[target]).expect("a curve");
        assert_eq!(&alone[0], curve);
    }
}
