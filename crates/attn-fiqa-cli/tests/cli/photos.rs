//! Ordinary photos through the built-in detector.
//!
//! All are derived from the portrait in `examples/`, so that the expected result is known: its
//! landmarks according to YuNet, the teacher of the built-in detector.

use std::io::Cursor;

use image::imageops::{FilterType, replace, resize};
use image::{ImageFormat, Rgb, RgbImage};

use crate::support::{self, Table, TestDir, wide_image};

/// Eyes, nose tip and mouth corners in the portrait of 512×512 pixels.
const LANDMARKS: [[f32; 2]; 5] =
    [[203.4, 103.6], [247.5, 104.4], [224.1, 127.7], [204.0, 143.1], [242.9, 143.7]];
const NAMES: [&str; 5] = ["left_eye", "right_eye", "nose", "left_mouth", "right_mouth"];

/// Mean distance of landmarks from their expected positions, as a fraction of the inter-eye
/// distance; a misplaced or swapped point costs far more.
const TOLERANCE: f32 = 0.12;

fn portrait() -> RgbImage {
    image::load_from_memory(&wide_image()).unwrap().into_rgb8()
}

fn encoded(picture: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn detect(here: &TestDir, name: &str) -> Table {
    here.run(&["detect", name]).ended_with(0).table()
}

/// Whether a row's face is the portrait's, reduced by `scale` and placed at `at`.
#[track_caller]
fn assert_is_portrait(table: &Table, row: usize, scale: f32, at: [f32; 2]) {
    let eyes = 44.2 * scale;
    let mut error = 0.0;
    for (name, [x, y]) in NAMES.into_iter().zip(LANDMARKS) {
        let expected = [(x + 0.5) * scale - 0.5 + at[0], (y + 0.5) * scale - 0.5 + at[1]];
        let found = ["x", "y"].map(|axis| table.numbers(&format!("{name}_{axis}"))[row]);
        error += (found[0] - expected[0]).hypot(found[1] - expected[1]) / 5.0 / eyes;
    }
    assert!(error < TOLERANCE, "landmarks are off by {error} of the distance between the eyes");
}

#[test]
fn portrait_score_is_close_to_aligned_crop_score() {
    let here = TestDir::with_faces(&["astronaut.png"]);
    here.write("photo.png", wide_image());
    let table = detect(&here, "photo.png");
    assert_eq!(table.rows.len(), 1, "{:?}", table.rows);
    assert_is_portrait(&table, 0, 1.0, [0.0, 0.0]);

    let table =
        here.run(&["score", "photo.png", "astronaut.png", "--largest"]).ended_with(0).table();
    assert_eq!(table.column("crop_origin"), ["refined", "aligned"]);
    let scores = table.numbers("score");
    let blurred =
        here.run(&["score", support::examples().join("faces/blur-4.png").to_str().unwrap()]);
    let blurred = blurred.ended_with(0).table().numbers("score")[0];
    assert!(
        (scores[0] - scores[1]).abs() < (scores[1] - blurred).abs() / 2.0,
        "found and aligned: {}, aligned before: {}, blurred: {blurred}",
        scores[0],
        scores[1]
    );
}

#[test]
fn exif_orientation_is_applied_before_detection() {
    let here = TestDir::new();
    // Orientation 6: the stored image must be rotated to the right.
    let stored = image::imageops::rotate270(&portrait());
    let jpeg = encoded(&stored, ImageFormat::Jpeg);
    let mut exif = b"\xff\xe1\x00\x22Exif\0\0II*\0\x08\0\0\0\x01\0".to_vec();
    exif.extend(b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0");
    here.write("turned.jpg", [&jpeg[..2], &exif, &jpeg[2..]].concat());
    let table = detect(&here, "turned.jpg");
    assert_eq!(table.rows.len(), 1, "{:?}", table.rows);
    assert!(table.column("message")[0].contains("EXIF orientation 6"), "{:?}", table.rows);
    assert_is_portrait(&table, 0, 1.0, [0.0, 0.0]);
}

#[test]
fn multiple_faces_are_found_largest_first() {
    let here = TestDir::new();
    let mut group = RgbImage::from_pixel(1024, 512, Rgb([96, 104, 112]));
    replace(&mut group, &resize(&portrait(), 460, 460, FilterType::Triangle), 0, 0);
    replace(&mut group, &portrait(), 512, 0);
    here.write("group.png", encoded(&group, ImageFormat::Png));
    let table = detect(&here, "group.png");
    assert_eq!(table.rows.len(), 2, "{:?}", table.rows);
    assert_is_portrait(&table, 0, 1.0, [512.0, 0.0]);
    assert_is_portrait(&table, 1, 460.0 / 512.0, [0.0, 0.0]);
}

/// The portrait rotated by `degrees` about its face, which is moved to the middle of an image of
/// `side` pixels, and scaled by `scale`; and the resulting positions of its landmarks.
fn turned(degrees: f32, scale: f32, side: u32) -> (RgbImage, [[f32; 2]; 5]) {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let middle = side as f32 / 2.0;
    let [face_x, face_y] = [224.0, 122.0];
    let portrait = portrait();
    let picture = RgbImage::from_fn(side, side, |x, y| {
        let (dx, dy) = ((x as f32 - middle) / scale, (y as f32 - middle) / scale);
        let from = [face_x + cos * dx + sin * dy, face_y - sin * dx + cos * dy];
        let [left, top] = from.map(f32::floor);
        let level = |x: f32, y: f32, channel: usize| {
            let place = |at: f32| at.clamp(0.0, 511.0) as u32;
            f32::from(portrait.get_pixel(place(x), place(y))[channel])
        };
        Rgb(std::array::from_fn(|channel| {
            let (u, v) = (from[0] - left, from[1] - top);
            let above = level(left, top, channel) * (1.0 - u) + level(left + 1.0, top, channel) * u;
            let below = level(left, top + 1.0, channel) * (1.0 - u)
                + level(left + 1.0, top + 1.0, channel) * u;
            (above * (1.0 - v) + below * v).round() as u8
        }))
    });
    let landmarks = LANDMARKS.map(|[x, y]| {
        let (dx, dy) = (scale * (x - face_x), scale * (y - face_y));
        [middle + cos * dx - sin * dy, middle + sin * dx + cos * dy]
    });
    (picture, landmarks)
}

/// Mean error of the only face's landmarks, as a fraction of the inter-eye distance.
fn error(table: &Table, expected: &[[f32; 2]; 5]) -> f32 {
    assert_eq!(table.rows.len(), 1, "{:?}", table.rows);
    let distance = |a: [f32; 2], b: [f32; 2]| (a[0] - b[0]).hypot(a[1] - b[1]);
    let ways = NAMES.iter().zip(expected).map(|(name, &expected)| {
        distance(["x", "y"].map(|axis| table.numbers(&format!("{name}_{axis}"))[0]), expected)
    });
    ways.sum::<f32>() / 5.0 / distance(expected[0], expected[1])
}

#[test]
fn refinement_improves_landmarks_of_rotated_faces() {
    let here = TestDir::new();
    let (mut first, mut second) = (0.0, 0.0);
    for (degrees, scale) in [(0.0, 1.0), (25.0, 1.0), (-20.0, 1.6), (12.0, 0.8), (-12.0, 1.3)] {
        let (picture, landmarks) = turned(degrees, scale, 300);
        here.write("turned.png", encoded(&picture, ImageFormat::Png));
        let refined = error(&detect(&here, "turned.png"), &landmarks);
        assert!(refined < TOLERANCE, "{degrees}° {scale}: off by {refined}");
        let own = here.run(&["detect", "turned.png", "--refine", "never"]).ended_with(0).table();
        (first, second) = (first + error(&own, &landmarks), second + refined);
    }
    assert!(second < first, "off by {second} in all, {first} before");
}

#[test]
fn refinement_defaults_to_builtin_detector_only() {
    let here = TestDir::new();
    here.write("photo.png", wide_image());
    let ours = support::examples().join("../models/detector.onnx");
    let ours = ours.to_str().unwrap();
    let run = |args: &[&str]| {
        let ran = here.run(&[&["score", "photo.png"], args].concat()).ended_with(0);
        (
            ran.table().column("crop_origin")[0].to_owned(),
            ran.table().numbers("inter_eye_distance")[0],
        )
    };
    let (own, refined) = (run(&["--refine", "never"]), run(&[]));
    assert_eq!((own.0.as_str(), refined.0.as_str()), ("detected", "refined"));
    assert_ne!(own.1, refined.1);
    // The same weights on another runtime, which sums in a different order.
    let same = |found: (String, f32), expected: &(String, f32)| {
        assert_eq!(found.0, expected.0);
        assert!((found.1 - expected.1).abs() < 1e-2, "{found:?} is not {expected:?}");
    };
    assert!((own.1 - refined.1).abs() > 1e-1, "{own:?} and {refined:?} are hard to tell apart");
    same(run(&["--detector", ours]), &own);
    same(run(&["--detector", ours, "--refine", "always"]), &refined);
    // Given landmarks are not refined.
    here.run(&["detect", "photo.png", "--refine", "never", "-o", "own.csv"]).ended_with(0);
    let given = run(&["--landmarks", "own.csv"]);
    assert_eq!((given.0.as_str(), given.1), ("landmarks", own.1));
    here.run(&["score", "photo.png", "--landmarks", "own.csv", "--refine", "always"])
        .refused_with("--refine");
}

#[test]
fn one_face_is_found_in_enlarged_portrait() {
    let here = TestDir::new();
    let large = resize(&portrait(), 1800, 1800, FilterType::Triangle);
    here.write("large.png", encoded(&large, ImageFormat::Png));
    let table = detect(&here, "large.png");
    assert_eq!(table.rows.len(), 1, "{:?}", table.rows);
    assert_is_portrait(&table, 0, 1800.0 / 512.0, [0.0, 0.0]);
}

#[test]
fn one_face_is_found_in_small_portrait() {
    let here = TestDir::new();
    let small = resize(&portrait(), 256, 256, FilterType::Triangle);
    here.write("small.png", encoded(&small, ImageFormat::Png));
    let table = detect(&here, "small.png");
    assert_eq!(table.rows.len(), 1, "{:?}", table.rows);
    assert_is_portrait(&table, 0, 256.0 / 512.0, [0.0, 0.0]);
}

#[test]
fn face_is_found_in_fifty_megapixel_photo() {
    let here = TestDir::new();
    let mut photo = RgbImage::from_pixel(8000, 6250, Rgb([90, 100, 110]));
    let large = resize(&portrait(), 1536, 1536, FilterType::Triangle);
    replace(&mut photo, &large, 3000, 2000);
    let mut bytes = Vec::new();
    let encoder = image::codecs::png::PngEncoder::new_with_quality(
        &mut bytes,
        image::codecs::png::CompressionType::Fast,
        image::codecs::png::FilterType::NoFilter,
    );
    photo.write_with_encoder(encoder).unwrap();
    here.write("large.png", bytes);
    // Reduced to the working size, the face has 66 pixels, and the confidence is lower.
    let table = here.run(&["detect", "large.png", "--min-confidence", "0.6"]).ended_with(0).table();
    assert_eq!(table.rows.len(), 1, "{:?}", table.rows);
    assert_is_portrait(&table, 0, 3.0, [3000.0, 2000.0]);
}

#[test]
fn images_without_faces_have_status_no_face() {
    let here = TestDir::new();
    let noise = |x: u32, y: u32| (x.wrapping_mul(7919) ^ y.wrapping_mul(104_729)) as u8;
    let pictures = [
        RgbImage::from_pixel(300, 200, Rgb([120, 110, 100])),
        RgbImage::from_fn(400, 300, |x, y| Rgb([noise(x, y), noise(y, x), noise(x + y, y)])),
        RgbImage::from_fn(400, 300, |x, y| Rgb([(x / 2) as u8, (y / 2) as u8, 128])),
        // The portrait without its head.
        image::imageops::crop_imm(&portrait(), 0, 250, 512, 262).to_image(),
        RgbImage::from_pixel(1, 1, Rgb([0; 3])),
    ];
    for (index, picture) in pictures.iter().enumerate() {
        here.write(&format!("{index}.png"), encoded(picture, ImageFormat::Png));
    }
    let table = detect(&here, ".");
    assert_eq!(table.column("status"), ["no-face"; 5], "{:?}", table.rows);
    let ran = here.run(&["score", "0.png"]).ended_with(1);
    assert_eq!(ran.table().column("status"), ["no-face"]);
}

#[test]
fn bad_files_fail_and_animations_use_first_frame() {
    let here = TestDir::new();
    here.bad_images("bad");
    let mut huge = encoded(&RgbImage::new(2, 2), ImageFormat::Bmp);
    huge[18..26].copy_from_slice(&[0x30, 0x75, 0, 0, 0x30, 0x75, 0, 0]);
    here.write("bad/huge.bmp", huge);
    let mut gif = Vec::new();
    let frame = image::DynamicImage::ImageRgb8(portrait()).into_rgba8();
    let blank = image::RgbaImage::from_pixel(512, 512, image::Rgba([9, 9, 9, 255]));
    let mut encoder = image::codecs::gif::GifEncoder::new_with_speed(&mut gif, 30);
    encoder.encode_frames([frame, blank].map(image::Frame::new)).unwrap();
    drop(encoder);
    here.write("bad/film.gif", gif);
    let table = here.run(&["score", "bad", "--largest"]).ended_with(1).table();
    let statuses: Vec<[&str; 2]> =
        table.outcomes().iter().map(|[path, status, _]| [*path, *status]).collect();
    assert_eq!(
        statuses,
        [
            ["bad/cut.png", "broken-image"],
            ["bad/empty.png", "broken-image"],
            ["bad/film.gif", "ok"],
            ["bad/huge.bmp", "too-large"],
            ["bad/text.png", "not-an-image"],
            ["bad/wide.png", "ok"],
        ]
    );
    assert!(table.column("message")[2].contains("first frame"), "{:?}", table.rows[2]);
}
