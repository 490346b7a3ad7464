//! Which faces of an image become rows, and what the rows say about them.
//!
//! The detector always finds the faces that the test defines.

use crate::support::onnx::{self, FakeFace, SIDE};
use crate::support::{CommandResult, HEADING, Table, TestDir, assert_near};

/// Three faces, unsorted; the largest is not the most confident.
fn faces() -> Vec<FakeFace> {
    vec![
        FakeFace::new(20.0, 30.0, 60.0, 0.95),
        FakeFace::new(100.0, 90.0, 140.0, 0.8),
        FakeFace::new(180.0, 10.0, 40.0, 0.7),
    ]
}

/// An image without uniform regions.
fn photo() -> Vec<u8> {
    let picture = image::RgbImage::from_fn(SIDE as u32, SIDE as u32, |x, y| {
        image::Rgb([(x ^ y) as u8, (x / 2 + y / 3) as u8, (x * y / 97) as u8])
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn test_dir() -> TestDir {
    let here = TestDir::with_faces(&["blur-1.png"]);
    here.write("photo.png", photo());
    here.write("three.onnx", onnx::yunet(&faces()));
    here.write("none.onnx", onnx::yunet(&[]));
    here
}

fn score(here: &TestDir, args: &[&str]) -> CommandResult {
    here.run(&[&["score", "photo.png", "--detector", "three.onnx"], args].concat())
}

#[test]
fn faces_are_listed_largest_first_with_geometry() {
    let here = test_dir();
    let ran = score(&here, &["--columns", "landmarks"]).ended_with(0);
    let table = ran.table();
    assert_eq!(table.column("path"), ["photo.png"; 3]);
    assert_eq!(table.column("face"), ["0", "1", "2"]);
    assert_eq!(table.column("crop_origin"), ["detected"; 3]);
    let by_size = [faces()[1], faces()[0], faces()[2]];
    for (row, face) in by_size.iter().enumerate() {
        let cell = |name: &str| table.numbers(name)[row];
        let bounds = ["box_x", "box_y", "box_width", "box_height"].map(cell);
        for (found, expected) in bounds.into_iter().zip(face.bounds) {
            assert_near(found, expected, 1e-2);
        }
        assert_near(cell("detection_score"), face.confidence, 1e-4);
        assert_near(cell("inter_eye_distance"), 0.4 * face.bounds[2], 1e-2);
        assert_near(cell("roll"), 0.0, 1e-2);
        assert_near(cell("yaw"), 0.0, 1e-2);
        let names = ["left_eye", "right_eye", "nose", "left_mouth", "right_mouth"];
        for (name, [x, y]) in names.into_iter().zip(face.points) {
            assert_near(cell(&format!("{name}_x")), x, 1e-2);
            assert_near(cell(&format!("{name}_y")), y, 1e-2);
        }
    }
    let scores = table.numbers("score");
    assert!(scores[0] != scores[1] && scores[1] != scores[2], "{scores:?}");
    assert_eq!(ran.said(), "3 faces of 1 image scored\n");
    assert_eq!(score(&here, &[]).table().heading.join(","), HEADING);
}

#[test]
fn scrfd_detector_matches_yunet() {
    let here = test_dir();
    here.write("scrfd.onnx", onnx::scrfd(&faces()));
    let expected = score(&here, &[]).ended_with(0).table();
    let args = ["score", "photo.png", "--detector", "scrfd.onnx", "-v"];
    let ran = here.run(&args).ended_with(0);
    assert!(
        ran.stderr.contains("detector scrfd.onnx: outputs as SCRFD's, its own landmarks\n"),
        "{}",
        ran.stderr
    );
    let found = ran.table();
    for name in ["score", "box_x", "box_height", "inter_eye_distance"] {
        for (found, expected) in found.numbers(name).into_iter().zip(expected.numbers(name)) {
            assert_near(found, expected, 0.05);
        }
    }
}

#[test]
fn face_selection_options_are_applied() {
    let here = test_dir();
    let all = score(&here, &[]).table();
    let chosen = |args: &[&str]| -> Vec<String> {
        let table = score(&here, args).ended_with(0).table();
        table.column("detection_score").into_iter().map(|text| text[..3].to_owned()).collect()
    };
    assert_eq!(chosen(&["--largest"]), ["0.8"]);
    assert_eq!(chosen(&["--max-faces", "2"]), ["0.8", "0.9"]);
    assert_eq!(chosen(&["--min-confidence", "0.75"]), ["0.8", "0.9"]);
    assert_eq!(chosen(&["--min-size", "20"]), ["0.8", "0.9"]);

    let scores = all.numbers("score");
    let best = (0..3).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap();
    let table = score(&here, &["--best"]).ended_with(0).table();
    assert_eq!(table.rows, [all.rows[best].clone()]);
}

#[test]
fn no_face_images_become_failed_rows() {
    let here = test_dir();
    let ran = here.run(&["score", "photo.png", "blur-1.png", "--detector", "none.onnx"]);
    let ran = ran.ended_with(1);
    let table = ran.table();
    assert_eq!(
        table.outcomes(),
        [["photo.png", "no-face", "no face was found in the image"], ["blur-1.png", "ok", ""],]
    );
    assert_eq!(table.column("face"), ["", "0"]);
    assert_eq!(table.column("crop_origin"), ["", "aligned"]);
    assert!(ran.said().contains("1 scored, 1 failed (1 no-face)\n"), "{}", ran.stderr);
    let table = score(&here, &["--min-size", "70"]).ended_with(1).table();
    assert_eq!(
        table.outcomes(),
        [[
            "photo.png",
            "no-face",
            "3 faces were found, but the eyes are at most 56.0 pixels apart and at least 70 are \
             required",
        ]]
    );
}

#[test]
fn crop_sized_image_is_scored_without_detection() {
    let here = test_dir();
    let as_it_is = here.run(&["score", "blur-1.png", "--detector", "three.onnx"]).ended_with(0);
    let aligned = here.run(&["score", "blur-1.png", "--aligned"]).ended_with(0);
    assert_eq!(as_it_is.table().column("score"), aligned.table().column("score"));
    assert_eq!(as_it_is.table().column("crop_origin"), ["aligned"]);
    here.run(&["score", "photo.png", "--resize"]).refused_with("--aligned");
    let options: [&[&str]; 4] =
        [&["--best"], &["--largest"], &["--min-size", "3"], &["--detector", "three.onnx"]];
    for option in options {
        here.run(&[&["score", "blur-1.png", "--aligned"], option].concat())
            .refused_with("cannot be used with");
    }
}

#[test]
fn additional_faces_are_numbered_in_txt_and_table() {
    let here = test_dir();
    let scores = score(&here, &[]).table();
    let ran = score(&here, &["--format", "txt"]).ended_with(0);
    let lines: Vec<(&str, f32)> = ran
        .stdout()
        .lines()
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(path, score)| (path, score.parse().unwrap()))
        .collect();
    let paths = ["photo.png", "photo.png#1", "photo.png#2"];
    for ((line, path), score) in lines.iter().zip(paths).zip(scores.numbers("score")) {
        assert_eq!(line.0, path);
        assert_near(line.1, score, 1e-5);
    }
    let ran = score(&here, &["--format", "table"]).ended_with(0);
    assert!(ran.stdout().contains("\nphoto.png#2  "), "{}", ran.stdout());
    // One face per image is the usual case, and the row has the image's path.
    let ran = score(&here, &["--format", "txt", "--best"]).ended_with(0);
    assert!(ran.stdout().starts_with("photo.png "), "{}", ran.stdout());
}

#[test]
fn output_is_independent_of_jobs_and_batch_size() {
    let here = test_dir();
    let run = |options: &[&str]| {
        let args = ["score", "photo.png", "blur-1.png", "photo.png", "gone.png", "photo.png"];
        let detector = ["--detector", "three.onnx", "--jitter", "3"];
        here.run(&[&args[..], &detector, options].concat()).ended_with(1).bytes
    };
    let expected = run(&["--jobs", "1"]);
    for options in [&["--jobs", "3", "--batch", "2"][..], &["--jobs", "2", "--batch", "1"], &[]] {
        assert_eq!(run(options), expected, "{options:?}");
    }
}

#[test]
fn jitter_std_is_positive_except_for_aligned_crops() {
    let here = test_dir();
    let args = ["score", "photo.png", "blur-1.png", "--detector", "three.onnx", "--jitter", "8"];
    let table = here.run(&args).ended_with(0).table();
    let spread = table.column("jitter_std");
    assert!(spread[..3].iter().all(|std| std.parse::<f32>().unwrap() > 0.0), "{spread:?}");
    assert_eq!(spread[3], "");
    assert_eq!(table.column("score"), {
        let plain = here.run(&args[..5]).ended_with(0).table();
        plain.column("score").iter().map(|s| s.to_string()).collect::<Vec<_>>()
    });
}

#[test]
fn landmark_file_replaces_the_detector() {
    let here = test_dir();
    let detected = score(&here, &[]).table();
    let points = |face: FakeFace| {
        face.points.iter().flatten().map(f32::to_string).collect::<Vec<_>>().join(",")
    };
    let mut file = String::new();
    for face in faces() {
        file += &format!("photo.png,{}\n", points(face));
    }
    here.write("points.csv", file);
    let ran = here.run(&["score", "photo.png", "blur-1.png", "--landmarks", "points.csv"]);
    let table = ran.ended_with(1).table();
    assert_eq!(table.column("crop_origin"), ["landmarks", "landmarks", "landmarks", ""]);
    assert_eq!(table.column("status")[3], "no-landmarks");
    assert_eq!(table.column("box_x"), [""; 4]);
    for row in 0..3 {
        let found: f32 = table.column("score")[row].parse().unwrap();
        assert_near(found, detected.numbers("score")[row], 0.05);
    }
}

#[test]
fn each_face_has_its_own_map_file() {
    let here = test_dir();
    let args = ["map", "photo.png", "--detector", "three.onnx", "-o", "maps", "--max-faces", "2"];
    here.run(&args).ended_with(0);
    let manifest = Table::parse(&here.read_text("maps/manifest.csv"));
    assert_eq!(manifest.column("face"), ["0", "1"]);
    assert_eq!(manifest.column("map"), ["photo.png.face-0.map.png", "photo.png.face-1.map.png"]);
    for file in manifest.column("map") {
        assert!(here.path("maps").join(file).is_file(), "{file}");
    }
}

#[test]
fn detections_are_reported_in_original_pixels() {
    let here = test_dir();
    let large = image::RgbImage::from_pixel(3 * SIDE as u32, SIDE as u32, image::Rgb([9, 9, 9]));
    large.save(here.path("large.png")).unwrap();
    let table = here.run(&["detect", "large.png", "--detector", "three.onnx"]).table();
    let face = faces()[1];
    assert_near(table.numbers("box_x")[0], (face.bounds[0] + 0.5) * 3.0 - 0.5, 0.05);
    assert_near(table.numbers("box_width")[0], face.bounds[2] * 3.0, 0.05);
    assert_near(table.numbers("inter_eye_distance")[0], 0.4 * face.bounds[2] * 3.0, 0.05);
}

#[test]
fn non_detector_networks_are_rejected() {
    let here = test_dir();
    here.write("text.onnx", "this is a text");
    here.write("cut.onnx", &onnx::yunet(&faces())[..5000]);
    here.write("other.onnx", onnx::network(&[("fc1".to_owned(), vec![1, 3], vec![0.0; 3])]));
    let refused = |file: &str, part: &str| {
        here.run(&["score", "photo.png", "--detector", file]).refused_with(part);
    };
    refused("gone.onnx", "cannot read the file (");
    refused("text.onnx", "not an ONNX model: ");
    refused("cut.onnx", "not an ONNX model: ");
    refused("other.onnx", "at an input of 256×256 this network gives fc1 [1, 3]");
    let mut nan = faces();
    nan[0].points[2][0] = f32::NAN;
    here.write("nan.onnx", onnx::yunet(&nan));
    refused("nan.onnx", "nan.onnx: a box or landmark is not a finite number");
}
