//! Values along a curve, the area under it and its warnings, worked by hand.

use attn_fiqa_eval::comparisons::{Comparisons, ScoreScale};
use attn_fiqa_eval::edc::{
    Curve, CurvePoint, Evaluator, Interpolation, Protocol, Ranking, Target, Warning,
};

/// A curve through these discard fractions and FNMRs.
fn through(interpolation: Interpolation, points: &[(f64, Option<f64>)]) -> Curve {
    let point = |&(discard, fnmr)| CurvePoint {
        discard,
        threshold: Some(0.5),
        fmr: Some(0.01),
        fnmr,
        mated: 10,
        non_mated: 1_000,
    };
    let (protocol, target) = (Protocol::Nist, Target::Fmr(0.01));
    let points = points.iter().map(point).collect();
    Curve { protocol, target, interpolation, points, warnings: Vec::new() }
}

#[track_caller]
fn assert_close(found: Option<f64>, expected: f64) {
    let found = found.expect("a value");
    assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
}

const POINTS: [(f64, Option<f64>); 4] =
    [(0.0, Some(0.8)), (0.1, Some(0.5)), (0.3, Some(0.4)), (0.7, Some(0.1))];

#[test]
fn fnmr_between_points_is_interpolated() {
    let linear = through(Interpolation::Linear, &POINTS);
    let step = through(Interpolation::Step, &POINTS);
    for (discard, on_line, on_step) in [
        (0.0, 0.8, 0.8),
        (0.025, 0.725, 0.8),
        (0.1, 0.5, 0.5),
        (0.15, 0.475, 0.5),
        (0.25, 0.425, 0.5),
        (0.4, 0.325, 0.4),
        (0.6, 0.175, 0.4),
        (0.7, 0.1, 0.1),
    ] {
        assert_close(linear.fnmr_at(discard), on_line);
        assert_close(step.fnmr_at(discard), on_step);
    }
    assert_eq!((linear.fnmr_at(0.71), linear.fnmr_at(-0.1)), (None, None));
}

/// 6 · 0.05 is 0.30000000000000004: the step there belongs to 0.3 as well.
#[test]
fn rounding_error_of_a_fraction_does_not_matter() {
    let product = 6.0 * 0.05;
    assert!(product > 0.3);
    for (point, asked) in [(product, 0.3), (0.3, product)] {
        let points = [(0.0, Some(0.8)), (point, Some(0.4)), (1.0, Some(0.0))];
        let step = through(Interpolation::Step, &points);
        assert_eq!(step.fnmr_at(asked), Some(0.4));
        assert_close(step.pauc(asked), 0.3 * 0.8);
        let linear = through(Interpolation::Linear, &points);
        assert_close(linear.fnmr_at(asked), 0.4);
        assert_close(linear.pauc(asked), 0.3 * 0.6);
        // The point is the last one.
        let ended = through(Interpolation::Linear, &points[..2]);
        assert_eq!(ended.fnmr_at(asked), Some(0.4));
        assert_close(ended.pauc(asked), 0.3 * 0.6);
    }
}

#[test]
fn area_sums_trapezoids_or_steps() {
    let linear = through(Interpolation::Linear, &POINTS);
    let step = through(Interpolation::Step, &POINTS);
    // Trapezoids of 0.065, 0.09 and 0.1, steps of 0.08, 0.1 and 0.16.
    assert_close(linear.auc(), 0.255);
    assert_close(step.auc(), 0.34);
    // The line is at 0.45 at 0.2, in the middle of the second interval.
    assert_close(linear.pauc(0.2), 0.065 + 0.1 * (0.5 + 0.45) / 2.0);
    assert_close(step.pauc(0.2), 0.08 + 0.05);
    assert_close(linear.pauc(0.04), 0.04 * (0.8 + 0.68) / 2.0);
    assert_close(linear.pauc(0.3), 0.155);
    assert_eq!(linear.pauc(0.0), Some(0.0));
    assert_eq!((linear.pauc(0.75), step.pauc(0.75)), (None, None));
}

#[test]
fn only_rates_below_the_limit_are_required() {
    let points = [(0.0, Some(0.8)), (0.3, None), (1.0, Some(0.0))];
    // A step holds up to the next point, a line needs both of its ends.
    let step = through(Interpolation::Step, &points);
    assert_close(step.pauc(0.3), 0.24);
    assert_close(step.pauc(0.2), 0.16);
    assert_eq!((step.pauc(0.4), step.fnmr_at(0.3), step.auc()), (None, None, None));
    let linear = through(Interpolation::Linear, &points);
    assert_eq!((linear.pauc(0.3), linear.pauc(0.2), linear.fnmr_at(0.2)), (None, None, None));
}

/// Where no non-mated comparison is left, the curve ends: no target is called unresolved there.
#[test]
fn curve_without_non_mated_comparisons_left_only_ends() {
    let mated: Vec<bool> = (0..40).map(|index| index >= 10).collect();
    let scores = mated.iter().map(|&mated| if mated { 0.5 } else { 0.1 }).collect();
    let comparisons = Comparisons::new(scores, mated, ScoreScale::Cosine).expect("comparisons");
    let quality: Vec<f64> = (0..40).map(f64::from).collect();
    let ranking = Ranking::new(&quality).expect("a ranking");
    let evaluator = Evaluator::new(&comparisons);
    // Two are discarded at each point: of ten non-mated ones, a half is at least one of two.
    let curves = evaluator.curves(&ranking, Protocol::Crfiqa, &[Target::Fmr(0.5)]);
    let curve = curves.expect("a curve").remove(0);
    assert_eq!([4, 5].map(|point| curve.points[point].non_mated), [2, 0]);
    let discard = curve.points[5].discard;
    assert_eq!(curve.warnings, [Warning::NothingLeft { discard }]);
}

#[test]
fn protocols_are_parsed_by_name() {
    for protocol in Protocol::ALL {
        assert_eq!(protocol.name().parse(), Ok(protocol));
    }
    let error = "papers".parse::<Protocol>().expect_err("no such protocol");
    assert_eq!(error, "no protocol 'papers'; expected crfiqa, iso or nist");
}
