//! An image full of faces: all are found, or a note says what limits them.

use std::path::Path;

use attn_fiqa::decode::{DecodeLimits, Note, decode};
use attn_fiqa::detect::{DEFAULT_MIN_CONFIDENCE, Detector};
use attn_fiqa::pixels::Image;
use attn_fiqa::threads::Threads;

/// The same aligned face, repeated in columns and rows.
fn wall(across: usize, down: usize) -> Image {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/faces/astronaut.png");
    let bytes = std::fs::read(path).unwrap();
    let face = decode(&bytes, &DecodeLimits::default()).unwrap().image;
    let row = face.width() * 3;
    let lines: Vec<u8> =
        face.rgb().chunks_exact(row).flat_map(|line| line.repeat(across)).collect();
    Image::from_rgb(face.width() * across, face.height() * down, lines.repeat(down)).unwrap()
}

#[test]
fn most_faces_in_a_dense_grid_are_detected() {
    let detector = Detector::builtin(&Threads::new(None).unwrap()).unwrap().with_own_landmarks();
    // No wider than the size at which detection needs no downscaling.
    let (across, down) = (17, 10);
    let wall = wall(across, down);
    let found = detector.detect(&wall, DEFAULT_MIN_CONFIDENCE).unwrap();
    let missed = (across * down).saturating_sub(found.len());
    assert!(missed <= across * down / 20, "{} of {} faces found", found.len(), across * down);
}

#[test]
fn detection_limits_are_reported_as_notes() {
    let detector = Detector::builtin(&Threads::new(None).unwrap()).unwrap().with_own_landmarks();
    let notes = |wall: &Image| {
        let found = detector.detect(wall, DEFAULT_MIN_CONFIDENCE).unwrap();
        (found.len(), detector.notes(wall, &found))
    };
    assert_eq!(notes(&wall(2, 2)), (4, Vec::new()));
    // 13440×224 pixels: faces of 85 pixels are 12 pixels where the detector sees them.
    let (found, notes) = notes(&wall(120, 2));
    assert!(found < 240);
    let expected = Note::FacesLookedForReduced { to: (1920, 32), often_missed_below: Some(112) };
    assert_eq!(notes, [expected]);
    let text = "faces searched at 1920×32, ones below about 112 pixels are often missed";
    assert_eq!(notes[0].to_string(), text);
}
