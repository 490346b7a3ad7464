//! Thresholds, probabilities and scales of a calibration, from a few samples computed by hand.

use attn_fiqa::score::{MatchProbability, Method, QualityMap};
use attn_fiqa_eval::EvalError;
use attn_fiqa_eval::calibrate::{
    Agreement, ErrorMetrics, Fit, HeldOutErrors, KeyBias, Measurements, RecognitionError,
    RecognitionTarget, Sample, ScaleInput, fit_scale, quality_map,
};
use attn_fiqa_eval::degrade::Degradation;

fn sample(face: usize, kind: Option<Degradation>, score: f32) -> Sample {
    let (utility, cosine, norm, level) = (0.0, 0.0, 1.0, 0.4);
    Sample { face, kind, level, score, mean_query: Vec::new(), utility, cosine, norm }
}

/// Samples without comparisons of the same face, at an FMR of 1e-3 with a threshold of 0.3.
fn measurements(samples: Vec<Sample>) -> Measurements {
    let highest_non_mated = vec![0.9, 0.5, 0.4, 0.3];
    let (pairs, penalty) = (Vec::new(), Vec::new());
    Measurements { samples, pairs, fmr: 1e-3, non_mated: 3000, highest_non_mated, penalty }
}

#[test]
fn threshold_needs_three_false_matches() {
    // 3/0.0007 is 4285.7.
    let enough = Measurements { fmr: 7e-4, non_mated: 4286, ..measurements(Vec::new()) };
    let threshold = enough.threshold().expect("enough comparisons");
    assert!(threshold > f64::from(0.3f32) && threshold < 0.300_001, "{threshold}");
    let (comparisons, needed, fmr) = (4285, 4286, 7e-4);
    let too_few = Measurements { non_mated: comparisons, ..enough };
    let expected = RecognitionError::TooFewComparisons { comparisons, needed, fmr };
    assert_eq!(too_few.threshold(), Err(expected));
}

#[test]
fn a_single_outcome_is_refused() {
    for (cosine, matches) in [(0.25, 0), (0.75, 20)] {
        let samples = (0..20).map(|face| {
            let norm = f64::from(face as u32);
            let blurred = sample(face, Some(Degradation::Blur), 0.0);
            Sample { cosine: cosine + norm / 1000.0, norm, ..blurred }
        });
        let refusal = RecognitionTarget::of(&measurements(samples.collect())).expect_err("refused");
        assert_eq!(refusal, RecognitionError::SingleOutcome { matches, samples: 20 });
    }
}

#[test]
fn a_cosine_at_the_threshold_is_a_match() {
    let sample = Sample { cosine: 0.5, ..sample(0, Some(Degradation::Blur), 0.0) };
    assert!(sample.matches(0.5) && !sample.matches(0.5f64.next_up()));
}

#[test]
fn a_fit_helps_only_if_it_is_better() {
    let fit = |published: f64, fitted: f64, errors: bool| {
        let metrics = |errors| ErrorMetrics { pauc: errors, brier: errors };
        let held_out_errors = HeldOutErrors {
            published: metrics(published),
            fitted: metrics(fitted),
            existing: None,
        };
        let agreement = Agreement {
            kind: "all",
            samples: 2,
            published: Some(published),
            calibrated: Some(fitted),
            existing: None,
        };
        Fit {
            key_bias: KeyBias { values: Vec::new(), scale_over_heads: 1.0 },
            ridge: 1.0,
            beta: 1.0,
            candidates: Vec::new(),
            faces_fitted: 1,
            faces_held_out: 1,
            agreement: vec![agreement],
            held_out_errors: errors.then_some(held_out_errors),
            held_out: vec![false, true],
        }
    };
    // Fewer errors, or a higher rank correlation if there are none to count.
    assert!(fit(0.2, 0.1, true).helps() && !fit(0.1, 0.2, true).helps());
    assert!(fit(0.1, 0.2, false).helps() && !fit(0.2, 0.1, false).helps());
    assert!(!fit(0.1, 0.1, true).helps() && !fit(0.1, 0.1, false).helps());
    // Without errors before there is nothing to gain.
    assert!(!fit(0.0, 0.0, true).helps());
}

#[test]
fn reliability_compares_probabilities_and_outcomes_by_interval() {
    // The score of a sample is the log-odds of its predicted probability.
    let predicted = |face, probability: f64, cosine| Sample {
        cosine,
        utility: (probability / (1.0 - probability)).ln(),
        ..sample(face, Some(Degradation::Blur), 0.0)
    };
    let measured = measurements(vec![
        Sample { kind: None, ..predicted(0, 0.5, 1.0) },
        predicted(0, 0.96, 0.9),
        predicted(0, 0.12, 0.1),
        predicted(1, 0.16, 0.5),
        predicted(1, 0.04, 0.1),
        predicted(1, 1.0 - 1e-12, 0.9),
        predicted(1, 0.92, 0.4),
        predicted(2, 0.5, 0.9),
    ]);
    let model = MatchProbability { slope: 1.0, intercept: 0.0 };
    let target =
        RecognitionTarget { threshold: 0.5, matches: [3, 6], by_norm: model, agreement: 1.0 };
    let found = target.reliability(&measured, model, |face| face < 2, |sample| sample.utility);
    let expected = [(1, 0.04, 0.0), (2, 0.14, 0.5), (3, (0.96 + 1.0 + 0.92) / 3.0, 2.0 / 3.0)];
    assert_eq!(found.len(), expected.len());
    for (row, (samples, expected, matched)) in found.iter().zip(expected) {
        assert_eq!(row.samples, samples);
        assert!((row.expected - expected).abs() < 1e-9, "{row:?}");
        assert!((row.matched - matched).abs() < 1e-12, "{row:?}");
    }
}

#[test]
fn scales_accept_clean_scores_in_any_order() {
    // Scores of 8.00, 8.02, …, 9.98, falling.
    let clean: Vec<f64> = (0..100).rev().map(|i| 8.0 + f64::from(i) / 50.0).collect();
    let degraded: Vec<f64> = (0..1000).map(|i| f64::from(i) / 100.0).collect();
    let matched: Vec<bool> = (0..1000).map(|i| degraded[i] + (i % 7) as f64 / 7.0 > 5.4).collect();
    let (recogniser, fmr) = ("example", 1e-3);
    let input =
        ScaleInput { clean: &clean, degraded: &degraded, matched: &matched, recogniser, fmr };
    let scale = fit_scale(&input).expect("finite scores").expect("a scale");
    assert!((scale.anchors[4].score - 8.99).abs() < 1e-5, "{scale:?}");
    assert!((scale.anchors[5].score - 9.881).abs() < 1e-5, "{scale:?}");

    // The anchors of 80 and 100 need clean faces that differ.
    let equal = fit_scale(&ScaleInput { clean: &[9.0; 100], ..input });
    assert_eq!(equal.expect("finite scores"), None);
    let counts = fit_scale(&ScaleInput { matched: &matched[1..], ..input });
    assert!(matches!(counts, Err(EvalError::Count { found: 999, expected: 1000, .. })));
    let broken = fit_scale(&ScaleInput { clean: &[9.0, 9.5, f64::NAN], ..input });
    assert!(matches!(broken, Err(EvalError::NotFinite { what: "score", index: 2, .. })));
}

#[test]
fn quality_map_interpolates_between_weighted_ranks() {
    // One clean face has half of the weight, and each degraded sample a quarter.
    let blur = Some(Degradation::Blur);
    let samples = [sample(0, None, 4.0), sample(0, blur, 2.0), sample(0, blur, 0.0)];
    let map = quality_map(&samples, Method::ATTN, |p| f64::from(p.score)).expect("a map");
    // The scores lie at 0.125, 0.375 and 0.75 of the weight.
    let expected =
        [(0, 0.0), (12, 0.0), (25, 1.0), (30, 1.4), (50, 8.0 / 3.0), (75, 4.0), (100, 4.0)];
    for (quality, score) in expected {
        let found = map.scores()[quality];
        assert!((found - score).abs() < 1e-5, "{quality}: {found} ≠ {score}");
    }
    // Without degraded samples, all ranks are those of clean faces: 0.25 and 0.75.
    let clean = [sample(0, None, 1.0), sample(1, None, 3.0)];
    let map = quality_map(&clean, Method::ATTN, |p| f64::from(p.score)).expect("a map");
    for (quality, score) in [(25, 1.0), (50, 2.0), (60, 2.4), (75, 3.0)] {
        let found = map.scores()[quality];
        assert!((found - score).abs() < 1e-5, "{quality}: {found} ≠ {score}");
    }
}

#[test]
fn quality_is_rank_in_the_reference_set() {
    // One hundred faces with scores of 50 … 149, and nine hundred samples below −100.
    let clean = (0..100).map(|i| sample(i, None, 50.0 + i as f32));
    let degraded = (0..900).map(|i| sample(i, Some(Degradation::Blur), -1000.0 + i as f32));
    let samples: Vec<Sample> = clean.chain(degraded).collect();
    let map = quality_map(&samples, Method::ATTN, |p| f64::from(p.score)).expect("a map");
    assert_eq!(map.method(), Method::ATTN);
    assert!((74..=75).contains(&map.quality(99.0)), "{}", map.quality(99.0));
    assert!((24..=26).contains(&map.quality(-550.0)), "{}", map.quality(-550.0));
    assert!((49..=51).contains(&map.quality(0.0)), "{}", map.quality(0.0));
    assert_eq!((map.quality(-2000.0), map.quality(149.0)), (0, 100));
    assert_eq!(map.scores().len(), QualityMap::KNOTS);
    let flat: Vec<Sample> = (0..30).map(|i| sample(i, None, 1.0)).collect();
    assert!(quality_map(&flat, Method::ATTN, |p| f64::from(p.score)).is_err());
}
