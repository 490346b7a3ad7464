//! `attn-fiqa degrade` as a process.

mod support;

use attn_fiqa::crop::Crop;
use attn_fiqa_eval::degrade::{Degradation, Level};
use support::{Table, Workplace};

fn pixels(bytes: &[u8]) -> Vec<u8> {
    image::load_from_memory(bytes).expect("a picture").to_rgb8().into_raw()
}

#[test]
fn every_picture_is_in_the_manifest_and_is_what_it_says() {
    let here = Workplace::with_faces(&["astronaut.png", "jpeg-1.jpg"]);
    let args = ["degrade", "astronaut.png", "jpeg-1.jpg", "--kinds", "noise,blur"];
    let ran = here.run(&[&args[..], &["--levels", "3", "--output", "out", "--seed", "5"]].concat());
    assert_eq!(ran.stdout(), "");
    assert_eq!(ran.said(), "2 degraded\n");
    ran.ended_with(0);

    let manifest = Table::parse(&here.read_text("out/manifest.csv"));
    let heading =
        ["source", "status", "kind", "level", "parameter", "unit", "seed", "file", "message"];
    assert_eq!(manifest.heading, heading);
    assert_eq!(manifest.rows.len(), 2 * (1 + 2 * 2));
    assert_eq!(manifest.column("kind")[..5], ["clean", "blur", "blur", "noise", "noise"]);
    assert_eq!(manifest.column("level")[..5], ["0", "0.5", "1", "0.5", "1"]);
    assert_eq!(manifest.column("parameter")[..5], ["", "4", "8", "40", "160"]);
    let mut files: Vec<&str> = manifest.column("file");
    files.push("manifest.csv");
    files.sort_unstable();
    assert_eq!(here.files("out"), files);

    let clean = pixels(&here.read("out/clean/astronaut.png"));
    assert_eq!(clean, pixels(&here.read("astronaut.png")));
    let crop = Crop::from_rgb(112, clean).expect("a crop");
    let row = &manifest.rows[3];
    let seed = row[6].parse().expect("a seed");
    let level = Level::new(0.5).expect("a level");
    let noisy = Degradation::Noise.apply(&crop, level, seed);
    assert_eq!(pixels(&here.read(&format!("out/{}", row[7]))), noisy.rgb());
    // The same face under another name has noise of its own.
    assert_ne!(manifest.rows[0][6], manifest.rows[5][6]);
}

#[test]
fn what_cannot_be_degraded_is_a_row() {
    let here = Workplace::with_faces(&["astronaut.png"]);
    here.write("text.png", "no picture");
    here.face("astronaut.png", "again/astronaut.png");
    let args = ["degrade", "astronaut.png", "text.png", "again/astronaut.png", "missing.png"];
    let ran = here.run(&[&args[..], &["--kinds", "shift", "--levels", "2", "-o", "out"]].concat());
    ran.ended_with(1);
    let manifest = Table::parse(&here.read_text("out/manifest.csv"));
    let expected = ["ok", "ok", "not-an-image", "not-written", "not-found"];
    assert_eq!(manifest.column("status"), expected);
    assert!(manifest.column("message")[3].contains("called 'astronaut.png' too"));
}

#[test]
fn wrong_arguments_are_refused() {
    let here = Workplace::with_faces(&["astronaut.png"]);
    let degrade =
        |rest: &[&str]| here.run(&[&["degrade", "astronaut.png", "-o", "out"], rest].concat());
    degrade(&["--kinds", "fog"]).refused_with("fog");
    degrade(&["--levels", "1"]).refused_with("1");
    here.write("out", "a file");
    degrade(&[]).refused_with("out");
    assert!(!here.path("out/manifest.csv").exists());
}
