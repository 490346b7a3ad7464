//! `attn-fiqa calibrate` as a process, and the resulting qualities.

use crate::support::{self, TestDir, examples};

/// Calibrates on the example faces: enough to run, too few for a meaningful fit.
fn calibrated(here: &TestDir, output: &str, more: &[&str]) -> support::CommandResult {
    let faces = examples().join("faces");
    let faces = faces.to_str().expect("a path in UTF-8");
    let mut args = vec!["calibrate", "--faces", faces, "--output", output];
    if !more.contains(&"--pictures") {
        args.extend(["--pictures", "1"]);
    }
    here.run(&[&args[..], more].concat())
}

#[test]
fn calibrated_quality_increases_with_score() {
    let here = TestDir::with_faces(&["astronaut.png", "blur-2.png", "dark-5.png"]);
    let ran = calibrated(&here, "c.safetensors", &["--kinds", "blur,noise"]).ended_with(0);
    let table = ran.table();
    let mut heading = vec!["kind", "images", "spearman_attn", "spearman_calibrated"];
    let model = attn_fiqa::checkpoint::builtin().expect("the built-in model");
    heading.extend(model.inspect().has_key_bias.then_some("spearman_existing"));
    heading.push("median_quality");
    assert_eq!(table.heading, heading);
    assert_eq!(table.column("kind")[0], "clean");
    assert_eq!(table.column("kind").last(), Some(&"all"));
    assert!(ran.stderr.contains("held-out faces (14 images)"), "{}", ran.stderr);
    // 36 faces have 630 comparisons, too few to measure one in a thousand.
    let said = "fitted to the cosine with the clean face: 630 comparisons";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
    assert!(ran.stderr.contains("quality is the rank"), "{}", ran.stderr);
    assert!(ran.stderr.contains("calibration attn-fiqa-quality-1:"), "{}", ran.stderr);

    // Whichever of the two scores was kept, the file says so and has its qualities.
    let kept = ran.stderr.contains("helps and is stored");
    let method = if kept { "attn-calibrated" } else { "attn" };
    assert!(ran.stderr.contains(&format!("qualities of {method}\n")), "{}", ran.stderr);
    let images = ["astronaut.png", "blur-2.png", "dark-5.png", "gone.png"];
    let args = ["score", "--aligned", "-m", "c.safetensors"];
    let scored = here.run(&[&args[..], &images].concat()).ended_with(1).table();
    let mut rows: Vec<(f32, f32)> = scored.rows[..3]
        .iter()
        .map(|row| (row[2].parse().expect("a score"), row[3].parse().expect("a quality")))
        .collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    assert!(rows.is_sorted_by(|a, b| a.1 <= b.1), "{rows:?}");
    assert!(rows.iter().all(|row| (0.0..=100.0).contains(&row.1)), "{rows:?}");
    assert_eq!(scored.column("quality")[3], "-1");
    // A quality map belongs to one method.
    let args = [&args[..], &["--method", "attn-max", "astronaut.png"]].concat();
    assert_eq!(here.run(&args).ended_with(0).table().column("quality"), [""]);

    let inspected = here.run(&["model", "inspect", "c.safetensors"]).ended_with(0);
    for part in [format!("qualities of {method}"), "faces_fitted".to_owned()] {
        assert!(inspected.stdout().contains(&part), "no '{part}' in {}", inspected.stdout());
    }
}

#[test]
fn keep_key_bias_refits_only_the_quality_map() {
    let here = TestDir::with_faces(&["astronaut.png", "blur-2.png"]);
    let more = ["--kinds", "blur", "--limit", "20"];
    let first = calibrated(&here, "a.safetensors", &more).ended_with(0);
    if !first.stderr.contains("the fitted key bias helps and is stored") {
        // There is nothing to keep, which is reported.
        calibrated(&here, "b.safetensors", &["-m", "a.safetensors", "--keep-key-bias"])
            .refused_with("has no key bias to keep");
        return;
    }
    let other = ["-m", "a.safetensors", "--keep-key-bias", "--kinds", "noise", "--seed", "3"];
    let kept = calibrated(&here, "b.safetensors", &other).ended_with(0);
    assert!(kept.stderr.contains("is kept, as asked"), "{}", kept.stderr);
    assert!(kept.stderr.contains("by the key bias of the file"), "{}", kept.stderr);
    let scores = |model: &str| {
        let args = ["score", "--aligned", "-m", model, "astronaut.png", "blur-2.png"];
        let table = here.run(&args).ended_with(0).table();
        (table.numbers("score"), table.column("quality").join(","))
    };
    let (before, after) = (scores("a.safetensors"), scores("b.safetensors"));
    assert_eq!(before.0, after.0, "the score is the same");
    let id = |ran: &support::CommandResult| {
        let from = ran.stderr.find("attn-fiqa-quality-1:").expect("an identifier");
        ran.stderr[from..from + 32].to_owned()
    };
    assert_ne!(id(&first), id(&kept), "the map is another");
    let inspected = here.run(&["model", "inspect", "b.safetensors"]).ended_with(0);
    assert!(inspected.stdout().contains("kept as the file had it"), "{}", inspected.stdout());
}

#[test]
fn calibration_is_deterministic_per_seed() {
    let here = TestDir::new();
    for (output, seed) in [("a.safetensors", "1"), ("b.safetensors", "1"), ("c.safetensors", "2")] {
        let more = ["--kinds", "contrast", "--limit", "24", "--seed", seed];
        calibrated(&here, output, &more).ended_with(0);
    }
    assert!(here.read("a.safetensors") == here.read("b.safetensors"));
    assert!(here.read("a.safetensors") != here.read("c.safetensors"));
}

#[test]
fn external_recogniser_is_recorded() {
    let model = attn_fiqa_testing::shared("data/models/sface-2021dec.onnx");
    let Some(model) = model else { return };
    let here = TestDir::new();
    let model = model.to_str().expect("a path in UTF-8");
    let more = ["--kinds", "blur", "--limit", "20", "--recogniser", model];
    calibrated(&here, "c.safetensors", &more).ended_with(0);
    let inspected = here.run(&["model", "inspect", "c.safetensors"]).ended_with(0);
    let named = inspected.stdout().lines().any(|line| {
        line.trim_start().starts_with("recogniser") && line.ends_with("sface-2021dec.onnx")
    });
    assert!(named, "{}", inspected.stdout());
}

/// With enough faces and a recogniser with an informative norm, the score is fitted to matches, and
/// its qualities predict how often a face is matched.
#[test]
fn match_probability_separates_clean_from_blurred_face() {
    let (faces, recogniser) = (
        attn_fiqa_testing::shared("data/fairface-aligned-112.tar"),
        attn_fiqa_testing::shared("data/models/sface-2021dec.onnx"),
    );
    let (Some(faces), Some(recogniser)) = (faces, recogniser) else { return };
    let [faces, recogniser] = [&faces, &recogniser].map(|path| path.to_str().expect("UTF-8"));
    let here = TestDir::with_faces(&["astronaut.png", "blur-5.png"]);
    let args = ["calibrate", "--faces", faces, "--recogniser", recogniser, "-o", "c.safetensors"];
    let more = ["--keep-key-bias", "--limit", "80", "--pictures", "3"];
    let more = [&more[..], &["--kinds", "blur,noise,yaw"]].concat();
    let ran = here.run(&[&args[..], &more[..]].concat()).ended_with(0);
    for part in ["fitted to the probability of a match", "calibration attn-fiqa-quality-2:"] {
        assert!(ran.stderr.contains(part), "no '{part}' in {}", ran.stderr);
    }
    let table = ran.table();
    let medians = |kind: &str| {
        let place = table.column("kind").iter().position(|found| *found == kind);
        let place = place.unwrap_or_else(|| panic!("no {kind}"));
        table.column("median_quality")[place].parse::<f32>().expect("a number")
    };
    assert!(medians("clean") > medians("yaw"), "{}", ran.stdout());
    let inspected = here.run(&["model", "inspect", "c.safetensors"]).ended_with(0);
    let said = "matched 95 % of the time at FMR 1e-3 by sface-2021dec.onnx";
    assert!(inspected.stdout().contains(said), "{}", inspected.stdout());
    let score = ["score", "--aligned", "-m", "c.safetensors", "astronaut.png", "blur-5.png"];
    let asked = [&score[..], &["--columns", "match_probability"]].concat();
    let chances = here.run(&asked).ended_with(0).table().numbers("match_probability");
    assert!(chances[0] > 0.9 && (0.0..0.5).contains(&chances[1]), "{chances:?}");
    let published = [&asked[..], &["--method", "attn-max"]].concat();
    here.run(&published).refused_with("put that one first");
}

#[test]
fn recognition_target_requires_enough_comparisons() {
    let here = TestDir::new();
    let more = ["--kinds", "blur", "--target", "recognition"];
    calibrated(&here, "c.safetensors", &more).refused_with("--target cosine");
    calibrated(&here, "c.safetensors", &["--fmr", "2"]).refused_with("above 0 and up to 0.5");
    let asked = calibrated(&here, "c.safetensors", &["--kinds", "blur", "--target", "cosine"]);
    let asked = asked.ended_with(0);
    assert!(asked.stderr.contains("the cosine with the clean face: as asked"), "{}", asked.stderr);
}

#[test]
fn invalid_calibration_inputs_are_rejected() {
    let here = TestDir::with_faces(&["astronaut.png"]);
    calibrated(&here, "c.bin", &[]).refused_with("does not end in .safetensors");
    let args = ["calibrate", "--faces", ".", "-o", "c.safetensors"];
    here.run(&args).refused_with("1 usable faces are too few");
    here.run(&["calibrate", "--faces", "gone", "-o", "c.safetensors"]).ended_with(2);
    here.run(&["model", "convert", "--quality-only", "built-in", "q.safetensors"]).ended_with(0);
    calibrated(&here, "c.safetensors", &["-m", "q.safetensors"])
        .refused_with("calibrate the full checkpoint, or give a --recogniser");
    here.write("r.onnx", "no network");
    calibrated(&here, "c.safetensors", &["--recogniser", "r.onnx"]).refused_with("r.onnx");
    assert!(!here.path("c.safetensors").exists());
}

#[test]
fn fitting_only_causes_leaves_scores_unchanged() {
    let here = TestDir::with_faces(&["astronaut.png", "blur-2.png", "dark-4.png"]);
    let more = ["--only", "causes", "--kinds", "blur,darkness", "--pictures", "3"];
    let ran = calibrated(&here, "c.safetensors", &more).ended_with(0);
    let table = ran.table();
    assert_eq!(table.heading, ["cause", "images", "main_cause", "spearman_strength"]);
    assert_eq!(table.column("cause"), ["blur", "too_dark"]);
    for part in ["clean faces without a cause: ", "with causes", "covered region named"] {
        assert!(ran.stderr.contains(part), "no '{part}' in {}", ran.stderr);
    }
    let scored = |model: &[&str]| {
        let args = ["score", "--aligned", "astronaut.png", "blur-2.png", "dark-4.png"];
        here.run(&[&args[..], model].concat()).ended_with(0).stdout().to_owned()
    };
    assert_eq!(scored(&[]), scored(&["-m", "c.safetensors"]), "scores and qualities stay");
    let inspected = here.run(&["model", "inspect", "c.safetensors"]).ended_with(0);
    for part in ["blur, too_dark\n", "held_out_causes_single"] {
        assert!(inspected.stdout().contains(part), "no '{part}' in {}", inspected.stdout());
    }
    let id = |text: &str| {
        let from = text.find("attn-fiqa-quality-2:").expect("an identifier");
        text[from..from + 32].to_owned()
    };
    let before = here.run(&["model", "inspect"]).ended_with(0);
    assert_ne!(id(before.stdout()), id(inspected.stdout()));
    calibrated(&here, "d.safetensors", &["--only", "causes", "--keep-key-bias"])
        .refused_with("cannot be used with");
}

/// A model without calibration has no qualities, and a calibrated one may have no causes.
#[test]
fn causes_columns_require_fitted_causes() {
    use attn_fiqa::checkpoint::{Calibration, builtin, write_calibrated};
    let here = TestDir::with_faces(&["astronaut.png"]);
    let model = builtin().expect("the built-in model");
    let found = model.calibration().expect("calibrated").clone();
    let bias = model.read_f32("calibration.key_bias").expect("a key bias");
    let scale = found.scale.expect("a scale");
    let method = found.quality.method();
    let without = Calibration::with_scale(scale, method, found.record, Some(&bias));
    let without = without.expect("a calibration");
    write_calibrated(&model, &here.path("old.safetensors"), Some(bias), &without).expect("written");
    let args = ["score", "astronaut.png", "-m", "old.safetensors", "--columns"];
    for column in ["causes", "main_cause", "weak_regions"] {
        here.run(&[&args[..], &[column]].concat())
            .refused_with("`calibrate --only causes` adds them to a calibrated model");
    }
    let inspected = here.run(&["model", "inspect", "old.safetensors"]).ended_with(0);
    let none = "none (see attn-fiqa calibrate --only causes)";
    assert!(inspected.stdout().contains(none), "{}", inspected.stdout());
}
