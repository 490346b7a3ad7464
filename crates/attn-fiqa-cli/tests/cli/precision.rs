//! Precisions and instruction sets: close to f32, reported on request, refused if unknown.

use crate::support::{TestDir, examples};

/// How far a precision may move the scores of the example faces from those of f32, in standard
/// deviations of the f32 scores: the root mean square over the faces, and the largest. Measured on
/// the five instruction sets from `baseline` to `avx512-bf16`: at most 0.0032 and 0.009 in bf16,
/// 0.0063 and 0.023 in int8. (The scores of LFW faces have a spread of 0.17; those of the example
/// faces, most of which are damaged, 1.40. So the same precisions move LFW scores by more of their
/// standard deviation, `docs/performance.md`.)
const BF16: ScoreDeviation = ScoreDeviation { root_mean_square: 0.005, largest: 0.015 };
const INT8: ScoreDeviation = ScoreDeviation { root_mean_square: 0.01, largest: 0.035 };

/// For tests that need only one face.
const FACE: &str = "astronaut.png";

#[derive(Debug)]
struct ScoreDeviation {
    root_mean_square: f64,
    largest: f64,
}

impl ScoreDeviation {
    fn between(found: &[f32], exact: &[f32]) -> Self {
        let count = exact.len() as f64;
        let mean = exact.iter().map(|&score| f64::from(score)).sum::<f64>() / count;
        let variance =
            exact.iter().map(|&score| (f64::from(score) - mean).powi(2)).sum::<f64>() / count;
        let moved = found
            .iter()
            .zip(exact)
            .map(|(&found, &exact)| (f64::from(found) - f64::from(exact)).abs() / variance.sqrt());
        let squares = moved.clone().map(|moved| moved * moved).sum::<f64>();
        Self { root_mean_square: (squares / count).sqrt(), largest: moved.fold(0.0, f64::max) }
    }

    #[track_caller]
    fn assert_within(&self, bound: &Self, what: &str) {
        // A comparison that fails for NaN.
        let within =
            self.root_mean_square <= bound.root_mean_square && self.largest <= bound.largest;
        assert!(within, "{what}: {self:?}, at most {bound:?}");
    }
}

/// Scores of all example faces.
fn scores(precision: &str) -> Vec<f32> {
    let here = TestDir::new();
    let faces = examples().join("faces");
    let faces = faces.to_str().expect("a path in UTF-8");
    let args = ["score", faces, "--aligned", "--precision", precision];
    let scores = here.run(&args).ended_with(0).table().numbers("score");
    assert!(scores.len() >= 36, "{} faces", scores.len());
    scores
}

#[test]
fn bf16_and_int8_scores_stay_within_bounds() {
    let exact = scores("f32");
    for (precision, bound) in [("bf16", &BF16), ("int8", &INT8)] {
        let found = scores(precision);
        assert_ne!(found, exact, "{precision} was not used");
        ScoreDeviation::between(&found, &exact).assert_within(bound, precision);
    }
    // It chooses none coarser than int8.
    ScoreDeviation::between(&scores("auto"), &exact).assert_within(&INT8, "auto");
}

#[test]
fn bf16x2_scores_match_f32_to_five_digits() {
    let (exact, found) = (scores("f32"), scores("bf16x2"));
    if found == exact {
        return attn_fiqa_testing::skip("bf16x2 is f32 without a bf16 dot product");
    }
    let scale = exact.iter().copied().map(f32::abs).fold(0.0, f32::max);
    for (found, exact) in found.iter().zip(&exact) {
        assert!((found - exact).abs() <= 1e-5 * scale, "{found} is not {exact}");
    }
}

#[test]
fn bf16x2_falls_back_to_f32_on_baseline() {
    let here = TestDir::with_faces(&[FACE]);
    let on_baseline = |precision: &str| {
        let mut command = here.command(&["score", FACE, "--verbose", "--precision", precision]);
        command.env("ATTN_FIQA_ISA", "baseline").output().unwrap()
    };
    let [exact, found] = ["f32", "bf16x2"].map(on_baseline);
    assert_eq!(found.stdout, exact.stdout);
    let said = String::from_utf8(found.stderr).unwrap();
    assert!(said.contains("f32 on baseline"), "{said}");
}

#[test]
fn isa_override_is_applied_and_validated() {
    let here = TestDir::with_faces(&[FACE]);
    let run = |isa: Option<&str>| {
        let mut command = here.command(&["score", FACE, "--verbose", "--precision", "int8"]);
        command.env_remove("ATTN_FIQA_ISA");
        if let Some(isa) = isa {
            command.env("ATTN_FIQA_ISA", isa);
        }
        command.output().unwrap()
    };
    let said = |isa: Option<&str>| String::from_utf8(run(isa).stderr).unwrap();
    assert!(said(Some("baseline")).contains("int8 on baseline"), "{}", said(Some("baseline")));
    assert!(said(None).contains("int8 on "));
    let refused = run(Some("mmx"));
    assert_eq!(refused.status.code(), Some(2));
    let message = String::from_utf8(refused.stderr).unwrap();
    assert!(
        message.contains("ATTN_FIQA_ISA is 'mmx'") && message.contains("it has baseline"),
        "{message}"
    );
}

#[test]
fn auto_precision_reports_f32_on_baseline() {
    let here = TestDir::with_faces(&[FACE]);
    let said = |isa: &str| {
        let mut command = here.command(&["score", FACE, "--verbose", "--precision", "auto"]);
        let output = command.env("ATTN_FIQA_ISA", isa).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    // Nothing is faster than f32 there.
    let said = said("baseline");
    assert!(said.contains("f32 (auto: no faster precision on this machine"), "{said}");
}

#[test]
fn unknown_precision_is_rejected() {
    let here = TestDir::with_faces(&[FACE]);
    here.run(&["score", FACE, "--precision", "fp8"])
        .ended_with(2)
        .refused_with("expected auto, f32, bf16x2, bf16, int8");
}
