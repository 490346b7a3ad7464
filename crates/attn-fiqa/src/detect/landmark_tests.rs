//! The landmark network on the portrait of `examples/`: compared with ONNX Runtime, and whether its
//! landmarks move with the face and do not depend on the starting points.

#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

use attn_fiqa_kernels::{Isa, Precision};

use super::landmark_network::{LandmarkNetwork, VIEW};
use super::refine::refined;
use crate::align::{Landmarks, Similarity};
use crate::decode::{DecodeLimits, decode};
use crate::pixels::Image;

/// The portrait's landmarks by YuNet.
const PORTRAIT: Landmarks =
    Landmarks([[203.4, 103.6], [247.5, 104.4], [224.1, 127.7], [204.0, 143.1], [242.9, 143.7]]);

/// Output of `training/landmarks/golden.py` for the middle of `examples/faces/astronaut.png`.
const GOLDEN: Landmarks = Landmarks([
    [21.8574, 35.4791],
    [57.9079, 35.7678],
    [39.3951, 54.4252],
    [22.2904, 67.5570],
    [54.1904, 67.7366],
]);

/// The two libraries sum the same products in different orders.
const GOLDEN_TOLERANCE: f32 = 2e-3;

fn network() -> LandmarkNetwork {
    LandmarkNetwork::load(attn_fiqa_models::LANDMARKS, Isa::widest(), Precision::F32).unwrap()
}

fn example(bytes: &[u8]) -> Image {
    decode(bytes, &DecodeLimits::default()).unwrap().image
}

fn portrait() -> Image {
    example(include_bytes!("../../../../examples/astronaut.png"))
}

/// Mean distance of the points, as a fraction of the inter-eye distance of the second set.
fn error(found: &Landmarks, expected: &Landmarks) -> f32 {
    let pairs = found.0.iter().zip(&expected.0);
    let sum: f32 = pairs.map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1])).sum();
    sum / 5.0 / expected.inter_eye_distance()
}

/// Rotates by degrees and scales about the face's centre, then translates by fractions of the
/// inter-eye distance.
fn about_the_face(degrees: f64, scale: f64, shift: [f64; 2]) -> Similarity {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (a, b) = (scale * cos, scale * sin);
    let [x, y] = [224.4, 124.5];
    let eyes = f64::from(PORTRAIT.inter_eye_distance());
    let shift = [x - (a * x - b * y) + shift[0] * eyes, y - (b * x + a * y) + shift[1] * eyes];
    Similarity { a, b, shift }
}

fn moved(landmarks: &Landmarks, by: &Similarity) -> Landmarks {
    Landmarks(landmarks.0.map(|point| by.apply(point.map(f64::from)).map(|v| v as f32)))
}

#[test]
fn landmarks_match_onnx_runtime() {
    let crop = example(include_bytes!("../../../../examples/faces/astronaut.png"));
    let edge = (crop.width() - VIEW) / 2;
    let rows = crop.rgb().chunks_exact(3 * crop.width()).skip(edge).take(VIEW);
    let rgb = rows.flat_map(|row| row[3 * edge..3 * (edge + VIEW)].to_vec()).collect();
    let found = network().points(&Image::from_rgb(VIEW, VIEW, rgb).unwrap());
    for (found, expected) in found.0.iter().flatten().zip(GOLDEN.0.iter().flatten()) {
        assert!((found - expected).abs() < GOLDEN_TOLERANCE, "{found} {expected}");
    }
}

#[test]
fn refinement_converges_from_perturbed_landmarks() {
    let (network, image) = (network(), portrait());
    let exact = refined(&network, &image, &PORTRAIT).unwrap();
    assert!(error(&exact, &PORTRAIT) < 0.06, "off by {}", error(&exact, &PORTRAIT));
    for (degrees, scale, shift) in [
        (0.0, 1.0, [0.1, 0.0]),
        (0.0, 1.0, [-0.05, 0.12]),
        (8.0, 1.0, [0.0, 0.0]),
        (-10.0, 1.05, [0.05, -0.05]),
        (0.0, 0.88, [0.0, 0.0]),
        (4.0, 1.12, [-0.08, 0.04]),
    ] {
        let rough = moved(&exact, &about_the_face(degrees, scale, shift));
        let found = refined(&network, &image, &rough).unwrap();
        let (before, after) = (error(&rough, &exact), error(&found, &exact));
        assert!(after < 0.02 && after < before / 3.0, "{degrees}° {scale} {shift:?}: {after}");
    }
}

#[test]
fn points_move_with_the_face() {
    let (network, image) = (network(), portrait());
    let exact = refined(&network, &image, &PORTRAIT).unwrap();
    for (degrees, scale, shift) in [
        (0.0, 1.0, [1.3, 0.4]),
        (20.0, 1.0, [0.0, 0.0]),
        (-35.0, 0.7, [0.2, 0.6]),
        (90.0, 1.4, [0.5; 2]),
    ] {
        let by = about_the_face(degrees, scale, shift);
        let back = by.inverse().unwrap();
        let there = drawn_through(&image, &back);
        let expected = moved(&exact, &by);
        let found = refined(&network, &there, &expected).unwrap();
        assert!(error(&found, &expected) < 0.02, "{degrees}° {scale} {shift:?}");
    }
    let width = image.width();
    let pixels: Vec<&[u8]> = image.rgb().chunks_exact(3).collect();
    let rows = pixels.chunks_exact(width);
    let rgb = rows.flat_map(|row| row.iter().rev().flat_map(|pixel| pixel.to_vec())).collect();
    let in_mirror = Image::from_rgb(width, image.height(), rgb).unwrap();
    let mirror = |points: &Landmarks| {
        Landmarks([1, 0, 2, 4, 3].map(|index: usize| {
            let [x, y] = points.0[index];
            [width as f32 - 1.0 - x, y]
        }))
    };
    let found = refined(&network, &in_mirror, &mirror(&PORTRAIT)).unwrap();
    assert!(error(&found, &mirror(&exact)) < 0.005, "{}", error(&found, &mirror(&exact)));
}

/// An image of the same size, each pixel sampled bilinearly at the position given by `back`.
fn drawn_through(image: &Image, back: &Similarity) -> Image {
    let (width, height) = (image.width(), image.height());
    let level = |x: f64, y: f64, channel: usize| {
        let inside = x >= 0.0 && y >= 0.0 && x < width as f64 && y < height as f64;
        if inside {
            f64::from(image.rgb()[(y as usize * width + x as usize) * 3 + channel])
        } else {
            0.0
        }
    };
    let mut rgb = Vec::with_capacity(3 * width * height);
    for pixel in 0..width * height {
        let [x, y] = back.apply([(pixel % width) as f64, (pixel / width) as f64]);
        let (left, top) = (x.floor(), y.floor());
        let (u, v) = (x - left, y - top);
        for channel in 0..3 {
            let at = |dx: f64, dy: f64| level(left + dx, top + dy, channel);
            let above = at(0.0, 0.0) * (1.0 - u) + at(1.0, 0.0) * u;
            let below = at(0.0, 1.0) * (1.0 - u) + at(1.0, 1.0) * u;
            rgb.push((above * (1.0 - v) + below * v).round() as u8);
        }
    }
    Image::from_rgb(width, height, rgb).unwrap()
}
