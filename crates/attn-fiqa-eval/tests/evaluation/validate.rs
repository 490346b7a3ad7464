//! Checks that the score means something: on a real face it decreases as the face is degraded.

use attn_fiqa::crop::Crop;
use attn_fiqa::decode::{DecodeLimits, decode};
use attn_fiqa::engine::{Engine, EngineOptions, Request};
use attn_fiqa::status::Failure;
use attn_fiqa_eval::degrade::{Degradation, Level};
use attn_fiqa_eval::figure::SvgColours;
use attn_fiqa_eval::validate::{DegradationStudy, Plan, is_strictly_decreasing, monotonicity};

fn astronaut() -> Crop {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/faces/astronaut.png");
    let bytes = std::fs::read(path).expect("the example face");
    let picture = decode(&bytes, &DecodeLimits::default()).expect("an image").image;
    Crop::from_rgb(112, picture.into_rgb()).expect("a crop")
}

fn engine() -> Engine {
    let checkpoint = attn_fiqa::checkpoint::builtin().expect("the built-in model");
    Engine::new(&checkpoint, &EngineOptions::default()).expect("an engine")
}

fn scores(engine: &Engine, request: &Request, crops: &[Crop]) -> Vec<Result<Vec<f32>, Failure>> {
    let assessed = engine.assess(crops, request).expect("a request");
    assessed.into_iter().map(|outcome| Ok(outcome?.scores)).collect()
}

#[test]
fn builtin_score_decreases_with_degradation() {
    let engine = engine();
    let request = Request::new(engine.default_method());
    let map = engine.quality_map().expect("the built-in model is calibrated");
    let plan = Plan { kinds: Degradation::ALL.to_vec(), levels: Level::grid(6) };
    let mut study = DegradationStudy::new(plan.clone(), vec!["score".to_owned()]);
    let score = |crops: &[Crop]| scores(&engine, &request, crops);
    let response = plan.respond(&astronaut(), None, 1, score);
    study.add(&response.expect("scores"));
    let report: Vec<String> = study
        .kinds()
        .iter()
        .enumerate()
        .map(|(kind, row)| {
            let series = if row.kind == "all" { &[][..] } else { study.series(0, 0, kind) };
            format!("{}: {:.2} {series:.3?}", row.kind, row.spearman)
        })
        .collect();
    for (kind, row) in study.kinds().iter().filter(|row| row.kind != "all").enumerate() {
        let series = study.series(0, 0, kind);
        assert!(series[5] < series[0], "{}\n{}", row.kind, report.join("\n"));
        // By quality, which hardly distinguishes unusable faces. A weak blur may smooth noise away.
        let qualities: Vec<i8> = series.iter().map(|&score| map.quality(score)).collect();
        let falls = qualities.windows(2).all(|pair| pair[1] <= pair[0] + 3);
        let shown = format!("{} {qualities:?}\n{}", row.kind, report.join("\n"));
        assert!(falls && qualities[5] + 50 <= qualities[0], "{shown}");
    }
}

#[test]
fn each_score_is_stored_by_its_kind_and_level() {
    let engine = engine();
    let methods = vec![engine.default_method(), "attn@head=0".parse().expect("a method")];
    let request = Request { methods, ..Request::new(engine.default_method()) };
    let kinds = vec![Degradation::Contrast, Degradation::Blur];
    let plan = Plan { kinds, levels: Level::grid(3) };
    let crop = astronaut();
    let mut study =
        DegradationStudy::new(plan.clone(), vec!["score".to_owned(), "head".to_owned()]);
    let score = |crops: &[Crop]| scores(&engine, &request, crops);
    let response = plan.respond(&crop, None, 4, score);
    let response = response.expect("scores");
    let again = plan.respond(&crop, Some(&[7.0, 8.0]), 4, score);
    study.add(&response);
    study.add(&again.expect("scores"));

    let level = Level::new(0.5).expect("a level");
    let blurred = Degradation::Blur.apply(&crop, level, 4);
    let alone = engine.assess(&[crop, blurred], &request).expect("a request");
    let alone: Vec<Vec<f32>> =
        alone.into_iter().map(|found| found.expect("an assessment").scores).collect();
    for (method, (clean, blurred)) in alone[0].iter().zip(&alone[1]).enumerate() {
        assert_eq!(study.series(0, method, 1)[..2], [*clean, *blurred]);
        assert_eq!(study.series(1, method, 1)[1], *blurred);
        assert_eq!(study.series(1, method, 0)[0], 7.0 + method as f32);
    }
    let levels = study.levels();
    assert_eq!(levels.len(), 2 * 2 * 3);
    let row = &levels[2 * 3 + 3 + 1];
    assert_eq!(
        (row.method.as_str(), row.kind, row.level, row.parameter),
        ("head", "blur", 0.5, 4.0)
    );
    assert_eq!(row.scores.median, f64::from(alone[1][1]));
    assert_eq!(row.scores.count, 2);
    let kinds: Vec<&str> = study.kinds().iter().map(|row| row.kind).collect();
    assert_eq!(kinds, ["contrast", "blur", "all", "contrast", "blur", "all"]);
}

/// A study of two methods: the first has these scores, `scores[face][kind][level]`, the second the
/// negated ones.
fn made_up(kinds: &[Degradation], scores: &[Vec<Vec<f32>>]) -> DegradationStudy {
    let plan = Plan { kinds: kinds.to_vec(), levels: Level::grid(scores[0][0].len()) };
    let mut study =
        DegradationStudy::new(plan.clone(), vec!["score".to_owned(), "negated".to_owned()]);
    for face in scores {
        let both = |score: f32| vec![score, -score];
        let degraded = || face.iter().flat_map(|series| series[1..].iter().copied().map(both));
        let response = plan.respond(&flat(), Some(&both(face[0][0])), 0, |crops| {
            assert_eq!(crops.len(), degraded().count());
            degraded().map(Ok).collect()
        });
        study.add(&response.expect("scores"));
    }
    study
}

fn flat() -> Crop {
    Crop::from_rgb(8, vec![90; 8 * 8 * 3]).expect("a crop")
}

#[test]
fn kinds_are_summarised_over_faces_and_kinds() {
    // Faces that fall all the way, fall in part, rise, and do not change, in this order, so that
    // neither the correlations nor the strict falls are sorted.
    let (falls, dips, rises, stays) =
        (vec![9.0, 8.0, 7.0], vec![9.0, 7.0, 8.0], vec![9.0, 10.0, 11.0], vec![9.0, 9.0, 9.0]);
    let scores: Vec<Vec<Vec<f32>>> = vec![
        vec![falls.clone(), stays.clone()],
        vec![dips, falls.clone()],
        vec![rises, falls.clone()],
        vec![stays, falls],
    ];
    let kinds = [Degradation::Contrast, Degradation::Overexposure];
    let study = made_up(&kinds, &scores);
    let rows = study.kinds();
    // The ranks of 9, 7, 8 and of the levels correlate by −1/2. A tenth percentile lies 0.3 of the
    // way from the lowest of four to the next.
    let expected = [
        ("score", "contrast", (1.0 + 0.5 - 1.0 + 0.0) / 4.0, -0.7, 0.25),
        ("score", "overexposure", 3.0 / 4.0, 0.3, 0.75),
        ("score", "all", (0.125 + 0.75) / 2.0, -0.2, 0.5),
        ("negated", "contrast", -0.125, -0.85, 0.25),
        ("negated", "overexposure", -0.75, -1.0, 0.0),
        ("negated", "all", -0.4375, -0.925, 0.125),
    ];
    assert_eq!(rows.len(), expected.len());
    for (row, (method, kind, spearman, p10, monotonic)) in rows.iter().zip(expected) {
        assert_eq!((row.method.as_str(), row.kind, row.faces), (method, kind, 4));
        assert!((row.spearman - spearman).abs() < 1e-12, "{row:?}");
        assert!((row.spearman_p10 - p10).abs() < 1e-12, "{row:?}");
        assert!((row.monotonic_fraction - monotonic).abs() < 1e-12, "{row:?}");
    }
    // The mean over a single kind is that kind.
    let one: Vec<Vec<Vec<f32>>> = scores.iter().map(|face| vec![face[0].clone()]).collect();
    let rows = made_up(&kinds[..1], &one).kinds();
    assert_eq!(rows.iter().map(|row| row.kind).collect::<Vec<_>>(), ["contrast", "contrast"]);
}

#[test]
fn figure_labels_levels_sparsely_and_has_three_columns() {
    let figure = |kinds: usize, levels: u8| {
        let series: Vec<f32> = (0..levels).map(|level| -100.0 * f32::from(level)).collect();
        let study = made_up(&Degradation::ALL[..kinds], &[vec![series; kinds]]);
        study.figure(0).expect("a figure")
    };
    let labels = |levels| {
        let svg = figure(1, levels).svg(SvgColours::Fixed);
        let tenths = (0..=10).map(|tenth| format!("{:.1}", f64::from(tenth) / 10.0));
        tenths.filter(|label| svg.contains(&format!(">{label}</text>"))).collect::<Vec<_>>()
    };
    assert_eq!(labels(6), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
    // Every second of seven levels, and of eight also the last.
    assert_eq!(labels(7), ["0.0", "0.3", "0.7", "1.0"]);
    assert_eq!(labels(8), ["0.0", "0.3", "0.6", "0.9", "1.0"]);
    let [two, three, four] = [2, 3, 4].map(|kinds| figure(kinds, 3).size());
    assert!(two.0 < three.0 && two.1 == three.1, "{two:?} {three:?}");
    assert!(four.0 == three.0 && four.1 > three.1, "{three:?} {four:?}");
    assert!(figure(1, 3).size().0 < three.0);
}

#[test]
fn falling_is_distinguished_from_rising_and_constant() {
    assert_eq!(monotonicity(&[3.0, 2.0, 1.0]), Some(1.0));
    assert_eq!(monotonicity(&[1.0, 2.0, 3.0]), Some(-1.0));
    assert_eq!(monotonicity(&[1.0, 1.0]), None);
    assert!(is_strictly_decreasing(&[3.0, 2.0, 1.0]));
    assert!(!is_strictly_decreasing(&[3.0, 3.0, 1.0]));
}
