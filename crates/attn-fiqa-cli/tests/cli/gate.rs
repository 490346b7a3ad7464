//! `attn-fiqa gate`, and the component measures that policies may use.

use serde_json::Value;

use crate::support::{self, TestDir, examples};

/// A folder with a good face, a bad one, and a photo.
fn test_dir() -> TestDir {
    let here = TestDir::with_faces(&["blur-1.png", "blur-5.png"]);
    let photo = std::fs::read(examples().join("astronaut.png")).expect("the example photo");
    here.write("photo.png", photo);
    here
}

fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON object")).collect()
}

#[test]
fn gate_reports_decisions_with_reasons() {
    let here = test_dir();
    let ran = here.run(&["gate", "enrol", "photo.png", "blur-1.png"]).ended_with(0);
    let table = ran.table();
    assert_eq!(table.column("decision"), ["accept", "accept"]);
    assert_eq!(table.column("reasons"), ["", ""]);
    // A crop has no pose and no size in its photo.
    assert_eq!(table.column("unchecked"), ["", "inter_eye_distance yaw"]);

    let ran = here.run(&["gate", "enrol", "."]).ended_with(1);
    let table = ran.table();
    assert_eq!(table.column("decision"), ["accept", "retake", "accept"]);
    let reason = table.column("reasons")[1];
    assert!(reason.starts_with("quality ") && reason.contains("expected at least 60"), "{reason}");
    assert!(!table.column("advice")[1].is_empty());
    assert!(ran.said().contains("2 accepted, 1 to be retaken, 0 rejected"), "{}", ran.said());
}

#[test]
fn bad_images_are_rejected_or_retaken() {
    let here = test_dir();
    here.bad_images("bad");
    let wall = image::RgbImage::from_pixel(300, 200, image::Rgb([90, 90, 90]));
    wall.save(here.path("wall.png")).expect("an image");
    let ran = here.run(&["gate", "probe", "bad", "wall.png", "--format", "jsonl"]).ended_with(1);
    let rows = objects(ran.stdout());
    assert_eq!(rows.len(), 5);
    // The wide one is a photo with a face.
    assert_eq!(rows[3]["decision"], "accept");
    for row in &rows[..3] {
        assert_eq!(row["decision"], "reject", "{row}");
        assert!(!row["advice"].as_array().expect("a list").is_empty(), "{row}");
    }
    assert_eq!(rows[4]["decision"], "retake");
    assert_eq!(rows[4]["reasons"][0]["rule"], "no-face");
    // Nobody can be asked for another photo.
    let ran = here.run(&["gate", "gallery", "wall.png"]).ended_with(1);
    assert_eq!(ran.table().column("decision"), ["reject"]);
}

#[test]
fn custom_policy_file_is_applied() {
    let here = test_dir();
    here.write(
        "policy.toml",
        "[rules]\nquality = { min = 100, reject_below = 50 }\nHeadSize = { min = 90 }\n\
         yaw = { max = 60 }\n",
    );
    let ran = here.run(&["gate", "policy.toml", "photo.png", "--format", "jsonl"]).ended_with(1);
    let row = &objects(ran.stdout())[0];
    assert_eq!(row["decision"], "retake");
    // The head is a seventh of the photo's height: farther from its limit than the quality.
    let rules: Vec<_> = row["reasons"].as_array().expect("a list").iter().collect();
    assert_eq!((&rules[0]["rule"], &rules[0]["min"]), (&"HeadSize".into(), &90.0.into()));
    assert_eq!(rules[1]["rule"], "quality");
    assert!(rules[0]["found"].as_f64().expect("a number") < 10.0);
}

#[test]
fn invalid_policies_are_rejected() {
    let here = test_dir();
    here.run(&["gate", "enroll", "photo.png"])
        .refused_with("expected one of enrol, probe, gallery");
    here.run(&["gate", "none.toml", "photo.png"]).refused_with("'none.toml' cannot be read");
    here.write("typo.toml", "[rules]\nqality = { min = 60 }\n");
    here.run(&["gate", "typo.toml", "photo.png"]).refused_with("line 2: unknown rule 'qality'");
    here.write("order.toml", "[rules]\n\nquality = { min = 60, max = 20 }\n");
    here.run(&["gate", "order.toml", "photo.png"]).refused_with("line 3");
    here.run(&["gate", "enrol", "photo.png", "-o", "out.pdf"]).refused_with("'out.pdf'");
}

#[test]
fn html_page_shows_only_refused_faces() {
    let here = test_dir();
    here.write("<b>&.png", support::face_bytes("blur-5.png"));
    here.run(&["gate", "enrol", ".", "-o", "gate.csv", "--html", "page.html"]).ended_with(1);
    let page = here.read_text("page.html");
    assert!(page.contains("2 accepted, 2 to be retaken, 0 rejected"), "{page}");
    assert_eq!(page.matches("<article").count(), 2);
    assert_eq!(page.matches("data:image/png;base64,").count(), 4);
    assert!(page.contains("&lt;b&gt;&amp;.png") && !page.contains("<b>&"));
    assert!(page.contains("default-src 'none'") && !page.contains("http://"));
    here.run(&["gate", "enrol", ".", "-o", "g.csv", "--html", "page.html", "--html-faces", "1"])
        .ended_with(1);
    let page = here.read_text("page.html");
    assert_eq!(page.matches("<article").count(), 1);
    assert!(page.contains("1 further refused faces are not shown"));
}

#[test]
fn printed_policies_give_identical_decisions() {
    let here = test_dir();
    for name in ["enrol", "probe", "gallery"] {
        let text = here.run(&["gate", "--print-policy", name]).ended_with(0).stdout().to_owned();
        here.write("own.toml", &text);
        let of = |policy: &str| {
            let ran = here.run(&["gate", policy, "photo.png", "blur-5.png", "--format", "csv"]);
            ran.stdout().to_owned()
        };
        assert_eq!(of("own.toml"), of(name));
    }
    here.run(&["gate", "--print-policy", "mine"]).refused_with("prints a built-in policy");
}

#[test]
fn advise_writes_a_usable_policy() {
    let here = test_dir();
    here.write("pairs.txt", "a b 1 0.9\na c 1 0.1\nb c 0 0.2\nc d 0 0.3\n");
    here.write("scores.csv", "path,score,quality\na,1,90\nb,1,80\nc,1,10\nd,1,70\n");
    let base =
        ["advise", "--pairs", "pairs.txt", "--quality", "scores.csv:quality", "--fmr", "0.5"];
    let with = |more: &[&str]| here.run(&[&base[..], more].concat());
    with(&["--below", "50", "--write-policy", "policy.toml"]).ended_with(0);
    let text = here.read_text("policy.toml");
    assert!(text.starts_with("# By attn-fiqa advise: ") && text.contains("min = 50"), "{text}");
    let ran = here.run(&["gate", "policy.toml", "blur-1.png", "blur-5.png"]).ended_with(1);
    assert_eq!(ran.table().column("decision"), ["accept", "retake"]);
    with(&["--below", "20,50", "--write-policy", "p.toml"]).refused_after_output("one threshold");
    with(&["--below", "101", "--write-policy", "p.toml"]).refused_after_output("from 0 to 100");
    with(&["--reject", "1", "--write-policy", "p.toml"])
        .refused_after_output("reject below inf: every image is rejected; give a smaller");
    here.write("scores.csv", "path,score,quality\na,,-1\nb,1,80\nc,1,10\nd,1,70\n");
    with(&["--reject", "0.2", "--write-policy", "p.toml"])
        .refused_after_output("the images without a quality already reach the fraction");
    with(&["--reject", "0.3", "--write-policy", "policy.toml"]).ended_with(0);
    here.run(&["filter", "scores.csv", "--policy", "policy.toml"]).ended_with(0);
    here.write("raw.csv", "path,score,quality\na,1,1.5\nb,1,80\nc,1,10\nd,1,70\n");
    here.run(&[
        "advise",
        "--pairs",
        "pairs.txt",
        "--quality",
        "raw.csv:quality",
        "--fmr",
        "0.5",
        "--below",
        "50",
        "--write-policy",
        "p.toml",
    ])
    .refused_after_output("whole numbers from 0 to 100");
    assert!(!here.path("p.toml").exists());
}

#[test]
fn components_are_written_as_named_columns() {
    let here = test_dir();
    for name in ["components", "iso"] {
        let ran = here.run(&["score", "photo.png", "blur-1.png", "--columns", name]).ended_with(0);
        let table = ran.table();
        let distance: f32 = table.column("InterEyeDistance")[0].parse().expect("a number");
        let plain: f32 = table.column("inter_eye_distance")[0].parse().expect("a number");
        assert!(distance >= plain && distance < 1.1 * plain, "{distance} {plain}");
        assert_eq!(table.column("SingleFacePresent.scalar")[0], "100");
        assert_eq!(table.column("jpeg_quality")[0], "");
        // A crop has no photo around it.
        assert_eq!(table.column("InterEyeDistance")[1], "");
    }
    here.run(&["score", "photo.png", "--columns", "components", "-o", "rows.parquet"])
        .ended_with(0);
    assert!(here.path("rows.parquet").is_file());
}

#[test]
fn measure_writes_one_row_per_component() {
    let here = test_dir();
    let ran = here.run(&["measure", "photo.png", "--format", "csv"]).ended_with(0);
    let table = ran.table();
    assert_eq!(table.column("measure").len(), attn_fiqa::components::Component::ALL.len());
    let place = table.column("measure").iter().position(|name| *name == "HeadPoseRoll");
    let place = place.expect("a measure of the standard");
    assert_eq!(table.column("basis")[place], "same formula");
    assert_eq!(table.column("scalar")[place], "100");
    // The same as next to the quality.
    let score = here.run(&["score", "photo.png", "--columns", "components"]).ended_with(0);
    assert_eq!(score.table().column("HeadPoseRoll")[0], table.column("native")[place]);

    here.run(&["measure", "blur-1.png", "--aligned"]).refused_with("need the photo");
    let ran = here.run(&["measure", "blur-1.png", "--format", "jsonl"]).ended_with(1);
    let row = &objects(ran.stdout())[0];
    assert_eq!((&row["status"], &row["measure"]), (&"no-landmarks".into(), &Value::Null));
    let ran = here.run(&["measure", "photo.png", "--format", "table"]).ended_with(0);
    assert!(ran.stdout().contains("InterEyeDistance") && ran.stdout().contains("estimate"));
}
