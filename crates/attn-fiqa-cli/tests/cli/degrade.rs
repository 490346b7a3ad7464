//! `attn-fiqa degrade` as a process.

use attn_fiqa::crop::Crop;
use attn_fiqa_eval::degrade::{Degradation, Level};

use crate::support::{Table, TestDir, wide_image};

fn pixels(bytes: &[u8]) -> Vec<u8> {
    image::load_from_memory(bytes).expect("a picture").to_rgb8().into_raw()
}

#[test]
fn manifest_describes_each_degraded_image() {
    let here = TestDir::with_faces(&["astronaut.png", "jpeg-1.jpg"]);
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
    // The same face under another name gets different noise.
    assert_ne!(manifest.rows[0][6], manifest.rows[5][6]);
}

#[test]
fn failed_images_become_manifest_rows() {
    let here = TestDir::with_faces(&["astronaut.png"]);
    here.write("text.png", "no picture");
    // Its files would have the same names.
    here.face("jpeg-1.jpg", "again/astronaut.jpg");
    let args = ["degrade", "astronaut.png", "text.png", "again/astronaut.jpg", "missing.png"];
    let ran = here.run(&[&args[..], &["--kinds", "shift", "--levels", "2", "-o", "out"]].concat());
    ran.ended_with(1);
    let manifest = Table::parse(&here.read_text("out/manifest.csv"));
    let expected = ["ok", "ok", "not-an-image", "not-written", "not-found"];
    assert_eq!(manifest.column("status"), expected);
    assert!(manifest.column("message")[3].contains("also called 'astronaut.png'"));
}

/// Neither command has the option --aligned, which others advise to leave out.
#[test]
fn uncropped_photos_get_a_crop_hint() {
    let here = TestDir::new();
    here.write("photos/photo.png", wide_image());
    for (command, output) in [("degrade", "degraded"), ("calibrate", "new.safetensors")] {
        let ran = here.run(&[command, "photos", "-o", output]);
        assert!(ran.stderr.contains("resize it (`attn-fiqa crop` does both)"), "{}", ran.stderr);
    }
}

#[test]
fn invalid_arguments_are_rejected() {
    let here = TestDir::with_faces(&["astronaut.png"]);
    let degrade =
        |rest: &[&str]| here.run(&[&["degrade", "astronaut.png", "-o", "out"], rest].concat());
    degrade(&["--kinds", "fog"]).refused_with("fog");
    degrade(&["--levels", "1"]).refused_with("1");
    here.write("out", "a file");
    degrade(&[]).refused_with("out");
    assert!(!here.path("out/manifest.csv").exists());
}

#[test]
fn mixed_set_degrades_a_fraction_of_faces() {
    let here = TestDir::new();
    for number in 0..40 {
        here.face("astronaut.png", &format!("in/person/{number}.png"));
    }
    let args = ["degrade", "in", "--recursive", "--kinds", "blur,contrast", "--seed", "7"];
    let mix = |share: &str, output: &str| {
        here.run(&[&args[..], &["--mixed", share, "--output", output]].concat()).ended_with(0);
        Table::parse(&here.read_text(&format!("{output}/manifest.csv")))
    };
    let half = mix("0.5", "half");
    assert_eq!(half.rows.len(), 40);
    assert_eq!(here.files("half").len(), 41);
    let kinds = half.column("kind");
    let clean = kinds.iter().filter(|&&kind| kind == "clean").count();
    assert!((10..=30).contains(&clean), "{clean} of 40");
    assert!(kinds.contains(&"blur") && kinds.contains(&"contrast"));
    let original = pixels(&here.read("in/person/0.png"));
    let crop = Crop::from_rgb(112, original).expect("a crop");
    for row in 0..40 {
        let level = half.column("level")[row].parse().ok().and_then(Level::new).expect("a level");
        let seed = half.column("seed")[row].parse().expect("a seed");
        let expected = match half.column("kind")[row] {
            "clean" => crop.clone(),
            name => name.parse::<Degradation>().expect("a kind").apply(&crop, level, seed),
        };
        let file = half.column("file")[row];
        assert_eq!(pixels(&here.read(&format!("half/{file}"))), expected.rgb(), "{file}");
    }
    let none = mix("0", "none");
    assert!(none.column("kind").iter().all(|&kind| kind == "clean"));
    let all = mix("1", "all");
    assert!(!all.column("kind").contains(&"clean"));
    here.run(&["degrade", "in", "--mixed", "2", "-o", "x"]).refused_with("from 0 to 1");
}

/// Images by name.
type NamedImages = Vec<(String, Vec<u8>)>;

/// The images of a folder, and the rows of its manifest that name one, sorted.
fn made(here: &TestDir, folder: &str) -> (NamedImages, Vec<Vec<String>>) {
    let mut names = here.files(folder);
    names.retain(|name| name.ends_with(".png"));
    let read = |name: &String| (name.clone(), here.read(&format!("{folder}/{name}")));
    let mut rows = Table::parse(&here.read_text(&format!("{folder}/manifest.csv"))).rows;
    rows.retain(|row| !row[7].is_empty());
    rows.sort();
    (names.iter().map(read).collect(), rows)
}

#[test]
fn skip_existing_adds_files_of_further_kinds() {
    let here = TestDir::with_faces(&["astronaut.png", "jpeg-1.jpg"]);
    let args = ["degrade", "astronaut.png", "jpeg-1.jpg", "--levels", "3"];
    let degrade = |rest: &[&str]| here.run(&[&args[..], rest].concat()).ended_with(0);
    degrade(&["--kinds", "blur,noise", "-o", "whole"]);
    degrade(&["--kinds", "blur", "-o", "out"]);
    degrade(&["--kinds", "noise", "-o", "out", "--skip-existing"]);
    assert_eq!(made(&here, "out"), made(&here, "whole"));
    // Now there is nothing to do.
    let ran = degrade(&["--kinds", "noise,blur", "-o", "out", "--skip-existing"]);
    assert_eq!(ran.said(), "note: 2 images skipped: their files exist\n0 degraded\n");
    assert_eq!(made(&here, "out"), made(&here, "whole"));
    // A file that is gone is made again.
    std::fs::remove_file(here.path("out/blur-050/astronaut.png")).expect("a file");
    degrade(&["--kinds", "blur", "-o", "out", "--skip-existing"]);
    assert_eq!(made(&here, "out").0, made(&here, "whole").0);
}

#[test]
fn skip_existing_keeps_files_of_another_input() {
    let here = TestDir::new();
    here.face("blur-1.png", "one/a.png");
    here.face("dark-5.png", "two/a.png");
    let args = ["--kinds", "blur", "--levels", "2", "-o", "out", "--skip-existing"];
    here.run(&[&["degrade", "one"], &args[..]].concat()).ended_with(0);
    let first = made(&here, "out");
    here.run(&[&["degrade", "two"], &args[..]].concat()).ended_with(1);
    assert_eq!(made(&here, "out"), first);
    let manifest = Table::parse(&here.read_text("out/manifest.csv"));
    assert_eq!(manifest.column("source"), ["one/a.png", "one/a.png", "two/a.png"]);
    assert_eq!(manifest.column("status"), ["ok", "ok", "not-written"]);
    assert!(manifest.column("message")[2].contains("made from another image before the run"));
}

/// A killed run leaves files that no manifest lists, and possibly a part of one.
#[test]
fn skip_existing_makes_unlisted_files_again() {
    let here = TestDir::with_faces(&["astronaut.png", "jpeg-1.jpg"]);
    let args = ["degrade", "astronaut.png", "jpeg-1.jpg", "--levels", "3", "--kinds", "blur"];
    let degrade = |rest: &[&str]| here.run(&[&args[..], rest].concat()).ended_with(0);
    degrade(&["-o", "whole"]);
    degrade(&["-o", "out"]);
    std::fs::remove_file(here.path("out/manifest.csv")).expect("a file");
    std::fs::remove_file(here.path("out/blur-100/astronaut.png")).expect("a file");
    here.write("out/blur-050/astronaut.png", "a par");
    degrade(&["-o", "out", "--skip-existing"]);
    assert_eq!(made(&here, "out"), made(&here, "whole"));
}
