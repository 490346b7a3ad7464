//! Faces in groups, close-ups, masks and images on their side: each face is found once.

use std::path::{Path, PathBuf};

use attn_fiqa::decode::{DecodeLimits, Note, decode};
use attn_fiqa::detect::{DEFAULT_MIN_CONFIDENCE, Detector, Face};
use attn_fiqa::engine::Precision;
use attn_fiqa::pixels::Image;
use attn_fiqa::resize::{resize_bilinear, shrink_area};
use attn_fiqa::threads::{Isa, Threads};
use attn_fiqa_testing::shared;

fn detector() -> Detector {
    Detector::builtin(&Threads::new(None).unwrap()).unwrap()
}

fn read(path: &Path) -> Image {
    decode(&std::fs::read(path).unwrap(), &DecodeLimits::default()).unwrap().image
}

fn portrait() -> Image {
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/astronaut.png"))
}

fn found(image: &Image) -> Vec<Face> {
    detector().detect(image, DEFAULT_MIN_CONFIDENCE).unwrap()
}

fn sized(image: &Image, side: usize) -> Image {
    shrink_area(Isa::widest(), image, side, side)
        .or_else(|| resize_bilinear(image, side, side))
        .unwrap()
}

/// The portrait repeated `across × down` times, each `side` pixels per side.
fn group(side: usize, across: usize, down: usize) -> Image {
    let one = sized(&portrait(), side);
    let lines: Vec<u8> =
        one.rgb().chunks_exact(3 * side).flat_map(|line| line.repeat(across)).collect();
    Image::from_rgb(side * across, side * down, lines.repeat(down)).unwrap()
}

/// The portrait's face is 0.21 of its width: 38, 25 and 19 pixels.
#[test]
fn every_face_of_a_group_is_found() {
    for side in [180, 120, 90] {
        let faces = found(&group(side, 4, 3));
        assert_eq!(faces.len(), 12, "portraits of {side} pixels");
    }
}

#[test]
fn a_close_up_is_one_face() {
    for side in [1024, 1536, 2048] {
        assert_eq!(found(&sized(&portrait(), side)).len(), 1, "{side} pixels");
    }
}

/// int8 is too coarse for coordinates, so it finds what bf16 or f32 finds, and bf16x2 what f32
/// finds.
#[test]
fn detection_is_stable_across_precisions() {
    let image = group(180, 2, 2);
    let of = |precision: Precision| {
        let detector = detector().with_precision(precision).unwrap();
        detector.detect(&image, DEFAULT_MIN_CONFIDENCE).unwrap()
    };
    let exact = found(&image);
    assert_eq!(of(Precision::F32), exact);
    let close = |faces: &[Face]| {
        assert_eq!(faces.len(), 4);
        for face in &exact {
            let near = |other: &&Face| other.bounds.iou(&face.bounds) > 0.97;
            let other = faces.iter().find(near).unwrap();
            assert!((face.confidence - other.confidence).abs() < 0.01);
            for (a, b) in face.landmarks.0.iter().zip(&other.landmarks.0) {
                let moved = (a[0] - b[0]).hypot(a[1] - b[1]);
                assert!(moved < 0.03 * face.landmarks.inter_eye_distance(), "{a:?} {b:?}");
            }
        }
    };
    assert_eq!(of(Precision::Bf16x2), exact);
    let rounded = of(Precision::Bf16);
    close(&rounded);
    assert_ne!(rounded, exact, "computed in f32");
    let bytes = of(Precision::Int8);
    assert!([&exact, &rounded].contains(&&bytes));
}

/// The precision of the landmark network does not depend on the order in which a detector is built.
#[test]
fn landmark_precision_is_independent_of_builder_order() {
    let image = portrait();
    let bare = || detector().with_own_landmarks();
    let refine = |detector: Detector| detector.with_refined_landmarks().unwrap();
    let rounded = |detector: Detector| detector.with_precision(Precision::Bf16).unwrap();
    let faces = |detector: Detector| detector.detect(&image, DEFAULT_MIN_CONFIDENCE).unwrap();
    let first = faces(rounded(refine(bare())));
    assert!(first[0].refined);
    assert_eq!(first, faces(refine(rounded(bare()))));
    assert!(!faces(rounded(bare()))[0].refined);
}

#[test]
fn a_masked_face_is_found() {
    let portrait = portrait();
    let width = portrait.width();
    let mut rgb = portrait.into_rgb();
    // From the bridge of the nose to the chin.
    for (y, x) in (122..172).flat_map(|y| (190..260).map(move |x| (y, x))) {
        rgb[3 * (y * width + x)..][..3].copy_from_slice(&[200, 215, 225]);
    }
    let faces = found(&Image::from_rgb(width, 512, rgb).unwrap());
    assert_eq!(faces.len(), 1);
    let bounds = faces[0].bounds;
    assert!((bounds.x..bounds.x + bounds.width).contains(&224.0), "{bounds:?}");
    assert!((bounds.y..bounds.y + bounds.height).contains(&125.0), "{bounds:?}");
}

#[test]
fn faces_in_rotated_images_are_detected() {
    let portrait = portrait();
    let side = portrait.width();
    let at = |x: usize, y: usize| &portrait.rgb()[3 * (y * side + x)..][..3];
    type Source = fn(usize, usize, usize) -> (usize, usize);
    let turns: [(u16, Source); 3] = [
        (90, |x, y, last| (y, last - x)),
        (180, |x, y, last| (last - x, last - y)),
        (270, |x, y, last| (last - y, x)),
    ];
    let upright = found(&portrait)[0];
    for (degrees, source) in turns {
        let mut rgb = Vec::new();
        for (y, x) in (0..side).flat_map(|y| (0..side).map(move |x| (y, x))) {
            let (x, y) = source(x, y, side - 1);
            rgb.extend_from_slice(at(x, y));
        }
        let turned = Image::from_rgb(side, side, rgb).unwrap();
        let faces = found(&turned);
        assert_eq!(faces.len(), 1, "{degrees}°");
        let roll = faces[0].landmarks.pose().roll;
        let expected = upright.landmarks.pose().roll + f32::from(degrees);
        let off = (roll - expected).rem_euclid(360.0);
        assert!(off.min(360.0 - off) < 5.0, "{degrees}°: roll {roll}");
        assert_eq!(detector().notes(&turned, &faces), [Note::FacesTurned(degrees)]);
        let as_it_stands = detector().upright_only();
        let faces = as_it_stands.detect(&turned, DEFAULT_MIN_CONFIDENCE).unwrap();
        assert!(faces.iter().all(|face| face.landmarks.pose().roll.abs() < 45.0));
    }
}

/// A turned image is searched at the sizes at which it is searched upright, so the same faces are
/// found, to the last bit.
#[test]
fn small_turned_images_are_searched_like_upright_ones() {
    let crop =
        read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/faces/astronaut.png"));
    for side in [40, 56, 64] {
        let upright = sized(&crop, side);
        let at = |x: usize, y: usize| &upright.rgb()[3 * (y * side + x)..][..3];
        let turned: Vec<u8> = (0..side)
            .flat_map(|y| (0..side).map(move |x| (x, y)))
            .flat_map(|(x, y)| at(y, side - 1 - x).to_vec())
            .collect();
        let turned = found(&Image::from_rgb(side, side, turned).unwrap());
        let upright = found(&upright);
        assert_eq!(turned.len(), 1, "{side} pixels");
        assert_eq!(turned[0].confidence, upright[0].confidence, "{side} pixels");
        let (turned, upright) = (turned[0].bounds, upright[0].bounds);
        assert!((turned.height - upright.width).abs() < 1e-3, "{side}: {turned:?} {upright:?}");
        assert!((turned.y - upright.x).abs() < 1e-3, "{side}: {turned:?} {upright:?}");
    }
}

/// Real inputs that failed, and the number of faces in each.
#[test]
fn regression_photos_yield_expected_face_counts() {
    let Some(cases) = shared("cases") else { return };
    let expected = [
        ("group-small-faces/twelve-90.jpg", 12),
        ("group-small-faces/twelve-120.jpg", 12),
        ("group-small-faces/twelve-180.jpg", 12),
        ("one-face-several-rows/close-up-x4.jpg", 1),
        ("one-face-several-rows/portrait-x3.jpg", 1),
        ("one-face-several-rows/portrait-x4.jpg", 1),
        ("masked-face/mask.png", 1),
        ("masked-face/mask-x2.jpg", 1),
        ("masked-face/sunglasses.png", 1),
        ("turned-without-exif/turned-90.jpg", 1),
        ("turned-without-exif/turned-180.jpg", 1),
        ("turned-without-exif/turned-270.jpg", 1),
    ];
    for (name, faces) in expected {
        assert_eq!(found(&read(&cases.join(name))).len(), faces, "{name}");
    }
    // 29 people; YuNet detects the same number with confidence.
    let group: PathBuf = cases.join("group-small-faces/solvay-1927.jpg");
    assert!(found(&read(&group)).len() >= 27);
}
