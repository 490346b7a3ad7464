//! How reliable a curve is: its two baselines, ties, intervals and warnings.

use attn_fiqa_eval::EvalError;
use attn_fiqa_eval::comparisons::{Comparisons, ScoreScale};
use attn_fiqa_eval::edc::{
    Bootstrap, Evaluator, Interval, Protocol, Ranking, Resample, Target, Warning, grid,
    paired_interval,
};

use crate::support::{Set, naive};

const TARGET: Target = Target::Fmr(0.01);

#[test]
fn a_quality_lies_between_the_theoretical_best_and_chance() {
    let set = Set::made_up(11, 6_000, 1e9);
    let evaluator = Evaluator::new(&set.comparisons);
    let ranking = Ranking::new(&set.quality).expect("a ranking");
    for protocol in Protocol::ALL {
        let best = evaluator.theoretical_best_curve(protocol, TARGET).expect("a curve");
        let quality = &evaluator.curves(&ranking, protocol, &[TARGET]).expect("a curve")[0];
        let random = evaluator.random_curves(protocol, &[TARGET], 5, 1).expect("curves");
        let pauc = |curve: &attn_fiqa_eval::edc::Curve| curve.pauc(0.3).expect("an area");
        let mean = random[0].iter().map(pauc).sum::<f64>() / 5.0;
        assert!(pauc(&best) < pauc(quality), "{protocol}");
        assert!(pauc(quality) < mean, "{protocol}");
        // Random discarding leaves the rate where it was.
        let start = best.start().expect("a rate");
        assert!((mean / 0.3 - start).abs() < 0.03, "{protocol}: {mean} {start}");
    }
}

#[test]
fn nist_theoretical_best_discards_errors_first() {
    let set = Set::made_up(12, 2_000, 1e9);
    let evaluator = Evaluator::new(&set.comparisons);
    let curve = evaluator.theoretical_best_curve(Protocol::Nist, TARGET).expect("a curve");
    let start = curve.start().expect("a rate");
    let mated = set.comparisons.mated_count() as f64;
    for point in &curve.points {
        let gone = (point.discard * mated).floor();
        let errors = (start * mated - gone).max(0.0);
        let found = point.fnmr.expect("a rate") * point.mated as f64;
        assert!((found - errors).abs() < 1e-6, "{point:?}: {errors}");
    }
}

#[test]
fn no_quality_beats_the_theoretical_best_at_a_fixed_threshold() {
    for seed in 0..20 {
        // Many comparisons have equal scores.
        let set = Set::made_up(seed, 100, 4.0);
        let evaluator = Evaluator::new(&set.comparisons);
        for target in [Target::Fmr(0.1), Target::Fnmr(0.3), Target::Threshold(0.5)] {
            for protocol in [Protocol::Iso, Protocol::Nist] {
                let best = evaluator.theoretical_best_curve(protocol, target).expect("a curve");
                let rankings = (0..10).map(|order| Ranking::random(100, order));
                for ranking in rankings.chain([Ranking::new(&set.quality)]) {
                    let ranking = ranking.expect("a ranking");
                    let curves = evaluator.curves(&ranking, protocol, &[target]);
                    let curve = &curves.expect("a curve")[0];
                    for point in &curve.points {
                        let lowest = best.fnmr_at(point.discard);
                        assert!(lowest <= point.fnmr, "{protocol}, {target}: {lowest:?} {point:?}");
                    }
                    assert!(best.pauc(0.5).expect("an area") <= curve.pauc(0.5).expect("an area"));
                }
            }
        }
    }
}

#[test]
fn tie_range_contains_curve_and_collapses_for_iso() {
    let set = Set::made_up(5, 1_500, 4.0);
    let evaluator = Evaluator::new(&set.comparisons);
    let ranking = Ranking::new(&set.quality).expect("a ranking");
    let measure = |protocol| {
        evaluator.tie_sensitivity(&ranking, protocol, &[TARGET], 0.3, 20, 9).expect("ranges")
    };
    let found = measure(Protocol::Crfiqa);
    assert_eq!((found.tied, found.orders), (1_500, 20));
    let curve = &evaluator.curves(&ranking, Protocol::Crfiqa, &[TARGET]).expect("a curve")[0];
    let [low, high] = found.ranges[0].pauc.expect("a range");
    let pauc = curve.pauc(0.3).expect("an area");
    assert!(low < high && (low..=high).contains(&pauc));
    for (range, point) in found.ranges[0].fnmr.iter().zip(&curve.points) {
        let [low, high] = range.expect("a range");
        assert!((low..=high).contains(&point.fnmr.expect("a rate")));
    }
    assert_eq!(measure(Protocol::Crfiqa), found, "the same seed gives the same range");

    let iso = measure(Protocol::Iso).ranges[0].pauc.expect("a range");
    assert_eq!(iso[0], iso[1]);
}

#[test]
fn no_orders_are_tried_without_ties() {
    let set = Set::made_up(5, 300, 1e9);
    let evaluator = Evaluator::new(&set.comparisons);
    let ranking = Ranking::new(&set.quality).expect("a ranking");
    let found = evaluator.tie_sensitivity(&ranking, Protocol::Nist, &[TARGET], 0.3, 20, 9);
    assert_eq!(found.expect("ranges").orders, 0);
}

/// Draws the same sets by hand: one whose weights are all 1 is the set itself, and intervals must
/// contain the values of the naive curve of a drawn list.
#[test]
fn bootstrap_replicate_matches_resampled_list() {
    let set = Set::made_up(21, 160, 6.0);
    let evaluator = Evaluator::new(&set.comparisons);
    let ranking = Ranking::new(&set.quality).expect("a ranking");
    // Everybody is the same person: all comparisons occur equally often, 1 × 1 times.
    let alone = vec![[0, 0]; set.comparisons.len()];
    let settings =
        Bootstrap { resample: Resample::Identities(&alone), replicates: 3, ..Bootstrap::default() };
    for protocol in Protocol::ALL {
        let curve = &evaluator.curves(&ranking, protocol, &[TARGET]).expect("a curve")[0];
        let found = evaluator.bootstrap(&ranking, protocol, &[TARGET], &settings).expect("it");
        assert_eq!(found[0].replicates, vec![curve.pauc(0.3); 3], "{protocol}");
    }

    // Two persons: two of the four equally likely draws contain one person only, twice.
    let identities: Vec<[u32; 2]> = (0..set.comparisons.len() as u32)
        .map(|index| match set.comparisons.is_mated(index as usize) {
            true => [index % 2; 2],
            false => [0, 1],
        })
        .collect();
    let settings = Bootstrap {
        resample: Resample::Identities(&identities),
        replicates: 40,
        ..Bootstrap::default()
    };
    let found = evaluator.bootstrap(&ranking, Protocol::Iso, &[Target::Fnmr(0.2)], &settings);
    let found = &found.expect("intervals")[0].replicates;
    let area = |list: &[usize]| {
        let points = naive::iso(&set, list, 0.2);
        let steps = points.windows(2).filter(|pair| pair[0].0 < 0.3);
        steps.map(|pair| (pair[1].0.min(0.3) - pair[0].0) * pair[0].1).sum::<f64>()
    };
    let drawn = |copies: [usize; 2]| -> Vec<usize> {
        let copies_of = |index: usize| match set.comparisons.is_mated(index) {
            true => copies[identities[index][0] as usize],
            false => copies[0] * copies[1],
        };
        (0..set.comparisons.len()).flat_map(|i| std::iter::repeat_n(i, copies_of(i))).collect()
    };
    let possible = [[1, 1], [2, 0], [0, 2]].map(|copies| area(&drawn(copies)));
    for replicate in found {
        let replicate = replicate.expect("an area");
        let near = possible.iter().filter(|area| (replicate - **area).abs() < 1e-12).count();
        assert!(near > 0, "{replicate} is none of {possible:?}");
    }
    for area in possible {
        let hits = found.iter().flatten().filter(|found| (**found - area).abs() < 1e-12).count();
        assert!(hits > 0, "{area} was never drawn");
    }
}

#[test]
fn bootstrap_with_repeated_comparisons_matches_naive() {
    let set = Set::made_up(22, 90, 5.0);
    let evaluator = Evaluator::new(&set.comparisons);
    let ranking = Ranking::new(&set.quality).expect("a ranking");
    // Three persons: when one of them is drawn three times, 3 × weights occur.
    let identities: Vec<[u32; 2]> = (0..set.comparisons.len() as u32)
        .map(|index| match set.comparisons.is_mated(index as usize) {
            true => [index % 3; 2],
            false => [index % 3, (index + 1) % 3],
        })
        .collect();
    let settings = Bootstrap {
        resample: Resample::Identities(&identities),
        replicates: 60,
        ..Bootstrap::default()
    };
    let mut possible = Vec::new();
    for copies in [[1, 1, 1], [2, 1, 0], [2, 0, 1], [1, 2, 0], [0, 2, 1], [1, 0, 2], [0, 1, 2]] {
        let copies_of = |index: usize| {
            let [a, b] = identities[index].map(|person| copies[person as usize]);
            if set.comparisons.is_mated(index) { a } else { a * b }
        };
        let list: Vec<usize> =
            (0..set.comparisons.len()).flat_map(|i| std::iter::repeat_n(i, copies_of(i))).collect();
        possible.push(list);
    }
    for protocol in [Protocol::Crfiqa, Protocol::Nist] {
        let found = evaluator.bootstrap(&ranking, protocol, &[TARGET], &settings).expect("it");
        let areas: Vec<f64> = possible
            .iter()
            .filter_map(|list| {
                let fnmr: Vec<Option<f64>> = match protocol {
                    Protocol::Nist => naive::nist(&set, list, 0.01),
                    _ => naive::crfiqa(&set, list, 0.01)
                        .into_iter()
                        .map(|point| point.and_then(|(.., fnmr)| fnmr))
                        .collect(),
                };
                fnmr.windows(2).take(6).map(|pair| Some((pair[0]? + pair[1]?) * 0.025)).sum()
            })
            .collect();
        let mut hits = 0;
        for replicate in found[0].replicates.iter().flatten() {
            hits += usize::from(areas.iter().any(|area| (replicate - area).abs() < 1e-9));
        }
        // One person drawn three times leaves no non-mated comparison: those replicates are absent.
        assert_eq!(hits, found[0].replicates.iter().flatten().count(), "{protocol}: {areas:?}");
        assert!(hits > 30, "{protocol}: {hits}");
    }
}

/// Which sets can be measured does not depend on the protocol.
#[test]
fn replicates_without_mated_or_non_mated_comparisons_are_absent() {
    // Drawing one of the two persons twice leaves no non-mated comparison, and drawing the second
    // one twice no mated one either.
    let comparisons = Comparisons::new(vec![0.1, 0.2], vec![true, false], ScoreScale::Similarity);
    let comparisons = comparisons.expect("comparisons");
    let evaluator = Evaluator::new(&comparisons);
    let ranking = Ranking::new(&[1.0, 1.0]).expect("a ranking");
    let resample = Resample::Identities(&[[0, 0], [0, 1]]);
    let settings = Bootstrap { resample, replicates: 40, ..Bootstrap::default() };
    for protocol in Protocol::ALL {
        let found = evaluator.bootstrap(&ranking, protocol, &[Target::Fmr(0.0)], &settings);
        let found = found.expect("intervals").remove(0);
        let areas: Vec<f64> = found.replicates.iter().copied().flatten().collect();
        assert!((10..30).contains(&areas.len()), "{protocol}: {areas:?}");
        assert!(areas.iter().all(|area| (area - 0.3).abs() < 1e-12), "{protocol}: {areas:?}");
        assert_eq!(found.fnmr[0], Some(Interval { low: 1.0, high: 1.0 }), "{protocol}");
    }

    for persons in 2..=5 {
        let set = Set::made_up(u64::from(persons), 80, 5.0);
        let evaluator = Evaluator::new(&set.comparisons);
        let ranking = Ranking::new(&set.quality).expect("a ranking");
        // Only the first two persons have mated comparisons.
        let identities: Vec<[u32; 2]> = (0..80)
            .map(|index: u32| match set.comparisons.is_mated(index as usize) {
                true => [index % 2; 2],
                false => [index % persons, (index + 1) % persons],
            })
            .collect();
        let resample = Resample::Identities(&identities);
        let settings = Bootstrap { resample, replicates: 100, ..Bootstrap::default() };
        let absent = |protocol, target| -> Vec<bool> {
            let found = evaluator.bootstrap(&ranking, protocol, &[target], &settings);
            found.expect("intervals")[0].replicates.iter().map(Option::is_none).collect()
        };
        for target in [Target::Fmr(0.1), Target::Fnmr(0.1), Target::Threshold(0.3)] {
            let [iso, nist] = [Protocol::Iso, Protocol::Nist].map(|it| absent(it, target));
            assert_eq!(iso, nist, "{persons} persons, {target}");
        }
        let iso = absent(Protocol::Iso, Target::Fmr(0.1));
        assert!(iso.contains(&true), "{persons} persons");
        // This protocol discards both kinds, so it may run out of one earlier.
        let crfiqa = absent(Protocol::Crfiqa, Target::Fmr(0.1));
        assert!(iso.iter().zip(&crfiqa).all(|(&iso, &crfiqa)| crfiqa || !iso), "{persons} persons");
    }
}

#[test]
fn intervals_contain_pauc_and_shrink_with_comparisons() {
    let width = |count| {
        let set = Set::made_up(31, count, 1e9);
        let evaluator = Evaluator::new(&set.comparisons);
        let ranking = Ranking::new(&set.quality).expect("a ranking");
        let settings = Bootstrap { replicates: 200, ..Bootstrap::default() };
        let target = [Target::Fmr(0.05)];
        let found = evaluator.bootstrap(&ranking, Protocol::Crfiqa, &target, &settings);
        let found = found.expect("intervals").remove(0).pauc.expect("an interval");
        let curve = evaluator.curves(&ranking, Protocol::Crfiqa, &target).expect("a curve");
        let pauc = curve[0].pauc(0.3).expect("an area");
        assert!(found.low < pauc && pauc < found.high, "{found:?} {pauc}");
        found.high - found.low
    };
    // A hundred times as many comparisons: about a tenth of the width.
    assert!(width(200) > 4.0 * width(20_000));
}

#[test]
fn joint_bootstrap_equals_separate_bootstraps() {
    let set = Set::made_up(23, 700, 12.0);
    let evaluator = Evaluator::new(&set.comparisons);
    let ranking = Ranking::new(&set.quality).expect("a ranking");
    let other = Ranking::random(set.quality.len(), 3).expect("a ranking");
    let targets = [Target::Fmr(0.1), Target::Fmr(0.01)];
    let settings = Bootstrap { replicates: 7, ..Bootstrap::default() };
    for protocol in Protocol::ALL {
        let alone = |ranking| {
            evaluator.bootstrap(ranking, protocol, &targets, &settings).expect("intervals")
        };
        let together = evaluator.bootstrap_each(&[&ranking, &other], protocol, &targets, &settings);
        assert_eq!(together.expect("intervals"), [alone(&ranking), alone(&other)]);
    }
}

#[test]
fn theoretical_best_has_least_area_above_ideal() {
    let set = Set::made_up(13, 4_000, 1e9);
    let evaluator = Evaluator::new(&set.comparisons);
    let target = Target::Fmr(0.1);
    let ranking = Ranking::new(&set.quality).expect("a ranking");
    for protocol in [Protocol::Iso, Protocol::Nist] {
        let best = evaluator.theoretical_best_curve(protocol, target).expect("a curve");
        let start = best.start().expect("a rate");
        // Limits inside the triangle, and beyond it.
        for limit in [start / 2.0, (start + 1.0) / 2.0] {
            let below = best.pauc(limit).expect("an area");
            let above = best.above_ideal(limit).expect("an area");
            let ideal = start.powi(2) / 2.0 - (start - limit).max(0.0).powi(2) / 2.0;
            assert!((below - ideal - above).abs() < 1e-15);
            let curve = &evaluator.curves(&ranking, protocol, &[target]).expect("a curve")[0];
            assert!(above > -1e-3 && curve.above_ideal(limit).expect("an area") > above);
        }
    }
    // The papers' protocol moves its threshold.
    let best = evaluator.theoretical_best_curve(Protocol::Crfiqa, target).expect("a curve");
    assert_eq!(best.above_ideal(0.3), None);
}

#[test]
fn a_target_below_one_false_match_is_reported() {
    let set = Set::made_up(2, 900, 1e9);
    let ranking = Ranking::new(&set.quality).expect("a ranking");
    let evaluator = Evaluator::new(&set.comparisons);
    let targets = [Target::Fmr(1e-1), Target::Fmr(1e-4)];
    let curves = evaluator.curves(&ranking, Protocol::Crfiqa, &targets).expect("curves");
    let non_mated = set.comparisons.non_mated_count() as u64;
    match curves[1].warnings.as_slice() {
        [Warning::FmrUnresolved { target, discard, non_mated: count, realised }] => {
            assert_eq!((*target, *discard, *count), (1e-4, 0.0, non_mated));
            assert_eq!(*realised, curves[1].points[0].fmr);
        }
        other => panic!("{other:?}"),
    }
    let text = curves[1].warnings[0].to_string();
    assert!(text.starts_with("FMR 1e-4 cannot be resolved by "), "{text}");
    assert!(curves[0].warnings.is_empty(), "{:?}", curves[0].warnings);
}

#[test]
fn pauc_is_none_after_mated_comparisons_run_out() {
    // All mated comparisons have the lowest qualities.
    let mated: Vec<bool> = (0..40).map(|index| index < 10).collect();
    let scores = (0..40).map(|index| if index < 10 { 0.5 } else { 0.1 }).collect();
    let comparisons = Comparisons::new(scores, mated, ScoreScale::Cosine).expect("comparisons");
    let quality: Vec<f64> = (0..40).map(f64::from).collect();
    let ranking = Ranking::new(&quality).expect("a ranking");
    let evaluator = Evaluator::new(&comparisons);
    let curve = &evaluator.curves(&ranking, Protocol::Crfiqa, &[Target::Fmr(0.1)]).expect("it")[0];
    assert_eq!(curve.points[5].fnmr, None);
    // Of the FMRs 0 (at the mated distance) and 1, the former is nearer to 0.1, and at that
    // distance no mated comparison is accepted.
    assert_eq!(curve.start(), Some(1.0));
    assert!((curve.pauc(0.2).expect("an area") - 0.2).abs() < 1e-12);
    assert_eq!((curve.pauc(0.3), curve.auc()), (None, None));
    let discard = curve.points[5].discard;
    assert!(curve.warnings.contains(&Warning::NothingLeft { discard }));
}

#[test]
fn points_with_grid_are_those_of_the_curve_and_of_the_intervals() {
    // The steps of 20 mated comparisons are on the grid, up to rounding.
    for mated in [7, 20, 33] {
        let scores: Vec<f64> = (0..=mated).map(|index| f64::from(index) / 40.0).collect();
        let kinds = (0..=mated).map(|index| index < mated).collect();
        let quality: Vec<f64> = (0..=mated).map(f64::from).collect();
        let comparisons = Comparisons::new(scores, kinds, ScoreScale::Similarity);
        let comparisons = comparisons.expect("comparisons");
        let ranking = Ranking::new(&quality).expect("a ranking");
        let evaluator = Evaluator::new(&comparisons);
        for protocol in [Protocol::Iso, Protocol::Nist] {
            let curves = evaluator.curves(&ranking, protocol, &[Target::Threshold(0.2)]);
            let curve = curves.expect("a curve").remove(0);
            let points = curve.points_with_grid();
            let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
            for discard in grid() {
                let at = points.iter().filter(|point| near(point.discard, discard));
                let fnmr: Vec<Option<f64>> = at.map(|point| point.fnmr).collect();
                assert_eq!(fnmr, [curve.fnmr_at(discard)], "{protocol} at {discard}");
            }
            let added = points.iter().filter(|point| !curve.points.contains(point));
            assert_eq!(added.count(), points.len() - curve.points.len());
            assert!(points.is_sorted_by(|a, b| a.discard < b.discard));
        }
    }
}

#[test]
fn invalid_comparisons_and_targets_are_rejected() {
    let build = |scores: &[f64], mated: &[bool], scale| {
        Comparisons::new(scores.to_vec(), mated.to_vec(), scale).expect_err("refused")
    };
    let cosine = ScoreScale::Cosine;
    assert_eq!(build(&[], &[], cosine), EvalError::Empty { what: "comparison" });
    assert_eq!(
        build(&[0.1, 0.2], &[true, true], cosine),
        EvalError::OneClass { kind: "mated", count: 2 }
    );
    for value in [1.5, -1.5] {
        let expected = EvalError::NoCosine { index: 1, value };
        assert_eq!(build(&[0.1, value], &[true, false], cosine), expected);
    }
    let error = build(&[0.1, f64::NAN], &[true, false], cosine).to_string();
    assert_eq!(error, "score 1 is NaN; expected a finite number");
    let error = build(&[0.1], &[true, false], cosine).to_string();
    assert_eq!(error, "1 scores, but 2 labels; each needs exactly one");

    let set = Set::made_up(1, 10, 1e9);
    let evaluator = Evaluator::new(&set.comparisons);
    let short = Ranking::new(&[1.0, 2.0]).expect("a ranking");
    assert!(evaluator.curves(&short, Protocol::Iso, &[TARGET]).is_err());
    let ranking = Ranking::new(&set.quality).expect("a ranking");
    let error = evaluator.curves(&ranking, Protocol::Crfiqa, &[Target::Fnmr(0.05)]);
    let error = error.expect_err("refused").to_string();
    assert_eq!(error, "the protocol crfiqa needs a false match rate as its target, not FNMR 0.05");
    assert!(evaluator.curves(&ranking, Protocol::Crfiqa, &[Target::Fmr(2.0)]).is_err());
}

#[test]
fn paired_difference_is_narrower_than_marginal_intervals() {
    for seed in [3, 14, 15] {
        let set = Set::made_up(seed, 2_000, 1e9);
        let evaluator = Evaluator::new(&set.comparisons);
        // The same quality with a little independent noise.
        let noise = Set::made_up(seed + 100, 2_000, 1e9).quality;
        let alike: Vec<f64> = set.quality.iter().zip(&noise).map(|(q, n)| q + 0.05 * n).collect();
        let identities: Vec<[u32; 2]> = (0..2_000_u32)
            .map(|pair| {
                [
                    pair % 97,
                    if set.comparisons.is_mated(pair as usize) {
                        pair % 97
                    } else {
                        97 + pair % 89
                    },
                ]
            })
            .collect();
        let rankings = [&set.quality, &alike].map(|q| Ranking::new(q).expect("a ranking"));
        for resample in [Resample::Pairs, Resample::Identities(&identities)] {
            let bootstrap = Bootstrap { resample, replicates: 60, ..Bootstrap::default() };
            for protocol in Protocol::ALL {
                let [one, other] = [0, 1].map(|ranking: usize| {
                    let found =
                        evaluator.bootstrap(&rankings[ranking], protocol, &[TARGET], &bootstrap);
                    found.expect("intervals").remove(0)
                });
                let width = |interval: Interval| interval.high - interval.low;
                let difference = |a: &[Option<f64>], b| paired_interval(a, b, 0.95).expect("sets");
                let same = difference(&one.replicates, &one.replicates);
                assert_eq!((same.low, same.high), (0.0, 0.0));
                let paired = difference(&one.replicates, &other.replicates);
                let back = difference(&other.replicates, &one.replicates);
                assert!((paired.low + back.high).abs() < 1e-12, "one way and back");
                for marginal in [&one, &other].map(|found| found.pauc.expect("an interval")) {
                    assert!(width(paired) < width(marginal), "{protocol}: {paired:?} {marginal:?}");
                }
            }
        }
    }
}
