//! `detect`: rows, drawings and evaluation, with a detector whose faces are known.

use crate::support::onnx::{self, FakeFace, SIDE};
use crate::support::{TestDir, assert_near};

fn faces() -> Vec<FakeFace> {
    vec![FakeFace::new(20.0, 30.0, 60.0, 0.95), FakeFace::new(100.0, 90.0, 140.0, 0.8)]
}

fn test_dir() -> TestDir {
    let here = TestDir::new();
    for name in ["a.png", "b.png"] {
        let picture = image::RgbImage::from_pixel(SIDE as u32, SIDE as u32, image::Rgb([50; 3]));
        picture.save(here.path(name)).unwrap();
    }
    here.write("two.onnx", onnx::yunet(&faces()));
    here.write("none.onnx", onnx::yunet(&[]));
    here
}

/// A row of a ground truth file: the face shifted to the right.
fn truth(path: &str, face: FakeFace, moved: f32) -> String {
    let [x, y, width, height] = face.bounds;
    let points = face.points.map(|[px, py]| format!("{},{py}", px + moved)).join(",");
    format!("{path},{},{y},{width},{height},{points}\n", x + moved)
}

const TRUTH: &str = "path,x,y,width,height,lx1,ly1,lx2,ly2,lx3,ly3,lx4,ly4,lx5,ly5\n";

#[test]
fn detect_lists_faces_and_accepts_images_without_faces() {
    let here = test_dir();
    let ran = here.run(&["detect", "a.png", "b.png", "--detector", "two.onnx"]).ended_with(0);
    assert_eq!(
        ran.stdout().lines().next(),
        Some(
            "path,face,status,box_x,box_y,box_width,box_height,detection_score,inter_eye_distance,roll,yaw,\
             left_eye_x,left_eye_y,right_eye_x,right_eye_y,nose_x,nose_y,left_mouth_x,\
             left_mouth_y,right_mouth_x,right_mouth_y,message"
        )
    );
    let table = ran.table();
    assert_eq!(table.column("path"), ["a.png", "a.png", "b.png", "b.png"]);
    assert_eq!(table.column("face"), ["0", "1", "0", "1"]);
    assert_near(table.numbers("left_eye_x")[0], faces()[1].points[0][0], 1e-2);
    assert_eq!(ran.said(), "4 faces in 2 images\n");

    let ran = here.run(&["detect", "a.png", "--detector", "none.onnx"]).ended_with(0);
    assert_eq!(ran.table().outcomes(), [["a.png", "no-face", "no face was found in the image"]]);
    let ran = here.run(&["detect", "a.png", "gone.png", "--detector", "none.onnx"]).ended_with(1);
    assert_eq!(ran.table().column("status"), ["no-face", "not-found"]);
}

#[test]
fn detect_output_is_a_landmark_file_for_score() {
    let here = test_dir();
    here.run(&["detect", "a.png", "--detector", "two.onnx", "-o", "faces.csv"]).ended_with(0);
    let found = here.run(&["score", "a.png", "--landmarks", "faces.csv"]).ended_with(0).table();
    let expected = here.run(&["score", "a.png", "--detector", "two.onnx"]).ended_with(0).table();
    assert_eq!(found.column("inter_eye_distance"), expected.column("inter_eye_distance"));
    assert_eq!(found.column("score"), expected.column("score"));
}

#[test]
fn jsonl_matches_csv_and_parquet_is_written() {
    let here = test_dir();
    let args = ["detect", "a.png", "--detector", "two.onnx"];
    let table = here.run(&args).ended_with(0).table();
    let ran = here.run(&[&args[..], &["--format", "jsonl"]].concat()).ended_with(0);
    let objects: Vec<serde_json::Value> =
        ran.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects.len(), 2);
    let width = objects[1]["box_width"].as_f64().unwrap() as f32;
    assert_eq!(width, table.numbers("box_width")[1]);
    here.run(&[&args[..], &["-o", "faces.parquet"]].concat()).ended_with(0);
    assert!(here.read("faces.parquet").starts_with(b"PAR1"));
    here.run(&[&args[..], &["-o", "faces.txt"]].concat()).refused_with("nothing is scored here");
}

#[test]
fn drawing_marks_detected_faces() {
    let here = test_dir();
    here.run(&["detect", "a.png", "--detector", "two.onnx", "--draw", "drawn"]).ended_with(0);
    assert_eq!(here.files("drawn"), ["a.png.faces.png"]);
    let drawn = image::load_from_memory(&here.read("drawn/a.png.faces.png")).unwrap().into_rgb8();
    assert_eq!(drawn.dimensions(), (SIDE as u32, SIDE as u32));
    for face in faces() {
        let [x, y] = face.points[0].map(|value| value.round() as u32);
        assert_eq!(drawn.get_pixel(x, y).0, [255, 60, 60], "the left eye");
    }
    assert_eq!(drawn.get_pixel(5, 5).0, [50; 3]);
}

#[test]
fn detections_are_evaluated_against_ground_truth_file() {
    let here = test_dir();
    // In a.png both faces are found, one of them shifted by 4 % of the inter-eye distance; in b.png
    // one face is elsewhere.
    let elsewhere = FakeFace::new(200.0, 200.0, 50.0, 1.0);
    let moved = 0.04 * 0.4 * 140.0;
    let file = [
        TRUTH.to_owned(),
        truth("a.png", faces()[0], 0.0),
        truth("a.png", faces()[1], moved),
        truth("b.png", faces()[1], 0.0),
        truth("b.png", elsewhere, 0.0),
    ];
    here.write("truth.csv", file.concat());
    let args = ["detect", "a.png", "b.png", "--detector", "two.onnx", "--evaluate", "--missed"];
    let ran = here.run(&[&args[..], &["--truth", "truth.csv"]].concat()).ended_with(0);
    let value = |label: &str| {
        let line = ran.stdout().lines().find(|line| line.starts_with(label));
        line.unwrap_or_else(|| panic!("{label}: {}", ran.stdout()))[22..].trim().to_owned()
    };
    assert_eq!(value("reference faces"), "4");
    assert_eq!(value("found faces"), "4");
    assert_eq!(value("matched"), "3 at IoU 0.5");
    assert_eq!(value("recall"), "75.00 %");
    assert_eq!(value("precision"), "75.00 %");
    assert_eq!(value("images missed"), "1 of 2 (50.00 %)");
    assert_eq!(value("landmark error, 95 %"), "4.00 %");
    assert!(ran.stdout().ends_with("1 of 2 in b.png\n"), "{}", ran.stdout());
}

#[test]
fn faces_of_unreadable_images_are_missed() {
    let here = test_dir();
    here.write("c.png", "no image");
    let file = [
        TRUTH.to_owned(),
        truth("a.png", faces()[0], 0.0),
        truth("a.png", faces()[1], 0.0),
        truth("c.png", faces()[0], 0.0),
    ];
    here.write("truth.csv", file.concat());
    let args = ["detect", "a.png", "c.png", "--detector", "two.onnx", "--evaluate"];
    let ran = here.run(&[&args[..], &["--truth", "truth.csv"]].concat()).ended_with(1);
    assert!(ran.stdout().contains("\nreference faces        3\n"), "{}", ran.stdout());
    assert!(ran.stdout().contains("\nrecall                 66.67 %\n"), "{}", ran.stdout());
    assert!(!ran.stderr.contains("not among the inputs"), "{}", ran.stderr);
    // What a detector would find there is unknown.
    let reference = ["--reference", "two.onnx", "--reference-confidence", "0.5"];
    let ran = here.run(&[&args[..], &reference].concat()).ended_with(1);
    assert!(ran.stdout().contains("\nreference faces        2\n"), "{}", ran.stdout());
}

#[test]
fn detections_are_evaluated_against_reference_detector() {
    let here = test_dir();
    here.write("one.onnx", onnx::yunet(&faces()[..1]));
    let run = |args: &[&str]| here.run(&[&["detect", "a.png", "--evaluate"], args].concat());
    let ran = run(&[
        "--detector",
        "one.onnx",
        "--reference",
        "two.onnx",
        "--reference-confidence",
        "0.5",
    ]);
    let ran = ran.ended_with(0);
    assert!(ran.stdout().contains("\nrecall                 50.00 %\n"), "{}", ran.stdout());
    assert!(ran.stdout().contains("\nprecision              100.00 %\n"), "{}", ran.stdout());
    let ran = run(&["--detector", "one.onnx", "--reference", "none.onnx"]).ended_with(0);
    assert!(
        ran.stdout().contains("\nrecall                 none to measure\n"),
        "{}",
        ran.stdout()
    );
    run(&["--detector", "one.onnx"]).refused_with("--reference");
}

#[test]
fn malformed_ground_truth_is_rejected() {
    let here = test_dir();
    let run = |file: &str| {
        here.write("truth.csv", file);
        here.run(&["detect", "a.png", "--evaluate", "--truth", "truth.csv"])
    };
    run("path,x,y\n").refused_with("the heading has no column 'width'");
    let bad = truth("a.png", faces()[0], 0.0).replace(",60,", ",wide,");
    run(&format!("{TRUTH}{bad}")).refused_with("line 2: 'wide' is not a number");
    let no_eyes = format!("{TRUTH}a.png,20,30,60,60{}\n", ",0".repeat(10));
    run(&no_eyes).refused_with("line 2: both eyes are at the same point");
    run(&format!("{TRUTH}a.png{}\n", ",".repeat(14))).ended_with(0);
}
