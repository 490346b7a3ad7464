//! `attn-fiqa validate` as a process.

use crate::support::{Table, TestDir};

#[test]
fn scores_decrease_with_degradation_and_outputs_agree() {
    let here = TestDir::with_faces(&["astronaut.png", "jpeg-1.jpg"]);
    let args = ["validate", "astronaut.png", "jpeg-1.jpg", "--kinds", "blur,noise"];
    let ran = here.run(&[&args[..], &["--levels", "4", "--output", "out"]].concat()).ended_with(0);
    assert_eq!(ran.said(), "2 scored\n");
    let kinds = ran.table();
    assert_eq!(kinds.column("kind"), ["blur", "noise", "all"]);
    assert_eq!(kinds.column("method"), ["attn-calibrated"; 3]);
    assert_eq!(kinds.column("faces"), ["2"; 3]);
    assert!(kinds.numbers("spearman").iter().all(|&fall| fall >= 0.8), "{}", ran.stdout());
    assert_eq!(here.read_text("out/kinds.csv"), ran.stdout());

    let share = kinds.numbers("monotonic_fraction");
    assert_eq!(share[2], (share[0] + share[1]) / 2.0);

    let levels = Table::parse(&here.read_text("out/levels.csv"));
    assert_eq!(levels.rows.len(), 2 * 4);
    let images = Table::parse(&here.read_text("out/images.csv"));
    assert_eq!(images.rows.len(), 2 * 2);
    assert_eq!(images.heading[4..], ["score@0.00", "score@0.33", "score@0.67", "score@1.00"]);
    let (first, second) = (images.numbers("score@0.67")[0], images.numbers("score@0.67")[2]);
    let median = levels.numbers("median")[2];
    assert!((median - (first + second) / 2.0).abs() < 1e-5);

    // The clean score is the one that `score` prints.
    let scored = here.run(&["score", "astronaut.png", "--format", "csv"]).ended_with(0);
    assert_eq!(images.column("score@0.00")[0], scored.table().column("score")[0]);

    let json: serde_json::Value =
        serde_json::from_str(&here.read_text("out/validate.json")).expect("JSON");
    assert_eq!(json["faces"], 2);
    let svg = here.read_text("out/attn-calibrated.svg");
    assert!(svg.contains("attn-calibrated, 2 faces") && svg.contains(">blur<"), "{svg}");
    assert!(here.read("out/attn-calibrated.png").starts_with(b"\x89PNG"));
    let told = json["levels"][2]["median"].as_f64().expect("a number");
    assert!((told - f64::from(median)).abs() < 1e-5);
}

#[test]
fn failed_images_are_reported_on_stderr() {
    let here = TestDir::with_faces(&["astronaut.png"]);
    here.write("text.png", "no picture");
    let args = ["--kinds", "blur", "--levels", "2", "--method", "attn,attn@head=1"];
    let ran = here.run(&[&["validate", "text.png", "astronaut.png"], &args[..]].concat());
    let ran = ran.ended_with(1);
    assert_eq!(ran.table().column("method"), ["attn", "attn@head=1"]);
    assert!(ran.stderr.contains("text.png: not-an-image"), "{}", ran.stderr);

    let ran = here.run(&[&["validate", "text.png"], &args[..]].concat()).ended_with(1);
    assert_eq!(ran.stdout(), "");
    here.run(&["validate", "astronaut.png", "--method", "attn@head=99"]).refused_with("heads 0 to");
}
