//! Alignment compared with OpenCV's images and a naive solver, and checked algebraically.

use std::f64::consts::PI;
use std::path::Path;

use attn_fiqa::align::{
    LandmarkError, Landmarks, Similarity, TEMPLATE_112, align, similarity_to_template, warp,
};
use attn_fiqa::decode::{DecodeLimits, decode};
use attn_fiqa::pixels::Image;
use proptest::prelude::*;

fn read(path: &Path) -> Image {
    let bytes = std::fs::read(path).unwrap();
    decode(&bytes, &DecodeLimits::default()).unwrap().image
}

#[test]
fn crops_match_opencv_and_matrices_match_skimage() {
    let here = attn_fiqa_testing::golden("image");
    // The same three, plus two more.
    let beside = attn_fiqa_testing::shared("golden/image");
    for folder in [Some(here), beside].into_iter().flatten() {
        check_golden_alignment(&folder);
    }
}

fn check_golden_alignment(folder: &Path) {
    let index = std::fs::read(folder.join("index.json")).unwrap();
    let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
    let cases = index["align"].as_array().unwrap();
    assert!(cases.len() >= 3);
    for case in cases {
        let name = case["input"].as_str().unwrap();
        let points: [[f64; 2]; 5] = serde_json::from_value(case["landmarks_xy"].clone()).unwrap();
        let matrix: [[f64; 3]; 2] = serde_json::from_value(case["matrix_2x3"].clone()).unwrap();
        let landmarks = Landmarks(points.map(|point| point.map(|value| value as f32)));
        let aligned = align(&read(&folder.join(name)), &landmarks, 112).unwrap();
        let Similarity { a, b, shift } = aligned.to_crop;
        let found = [[a, -b, shift[0]], [b, a, shift[1]]];
        for (found, expected) in found.as_flattened().iter().zip(matrix.as_flattened()) {
            assert!((found - expected).abs() < 1e-4, "{name}: {found} ≠ {expected}");
        }
        let in_crop = aligned.crop.landmarks().unwrap();
        for (found, [x, y]) in in_crop.iter().zip(points) {
            for (found, [a, b, shift]) in found.iter().zip(matrix) {
                let expected = a * x + b * y + shift;
                assert!(
                    (f64::from(*found) - expected).abs() < 0.05,
                    "{name}: {found} ≠ {expected}"
                );
            }
        }
        let expected = read(&folder.join(case["expected"].as_str().unwrap()));
        let pixels = aligned.crop.rgb().chunks_exact(3).zip(expected.rgb().chunks_exact(3));
        let off = |(found, expected): (&[u8], &[u8])| {
            found.iter().zip(expected).any(|(f, e)| f.abs_diff(*e) > 1)
        };
        let off = pixels.map(off).filter(|&off| off).count();
        assert!(off * 1000 <= 112 * 112, "{name}: {off} pixels are off by more than one level");
    }
}

/// A least-squares fit of `a, b, tx, ty` by normal equations and Gaussian elimination, without
/// using the special structure of a similarity transform.
fn naive_fit(from: &[[f64; 2]; 5], to: &[[f64; 2]; 5]) -> [f64; 4] {
    let mut system = [[0.0_f64; 5]; 4];
    for (&[x, y], &[u, v]) in from.iter().zip(to) {
        for (row, target) in [([x, -y, 1.0, 0.0], u), ([y, x, 0.0, 1.0], v)] {
            for i in 0..4 {
                for j in 0..4 {
                    system[i][j] += row[i] * row[j];
                }
                system[i][4] += row[i] * target;
            }
        }
    }
    for pivot in 0..4 {
        let largest = (pivot..4)
            .max_by(|&i, &j| system[i][pivot].abs().total_cmp(&system[j][pivot].abs()))
            .unwrap();
        system.swap(pivot, largest);
        for row in 0..4 {
            if row != pivot {
                let factor = system[row][pivot] / system[pivot][pivot];
                let from = system[pivot];
                for (value, from) in system[row].iter_mut().zip(from) {
                    *value -= factor * from;
                }
            }
        }
    }
    std::array::from_fn(|i| system[i][4] / system[i][i])
}

/// An image of noise.
fn noise(width: usize, height: usize, seed: u32) -> Image {
    let mut state = seed | 1;
    let mut level = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 24) as u8
    };
    Image::from_rgb(width, height, (0..width * height * 3).map(|_| level()).collect()).unwrap()
}

/// A level of the crop by definition: bilinear from the four surrounding pixels, black outside.
fn naive_level(image: &Image, [x, y]: [f64; 2], channel: usize) -> f64 {
    let level = |column: f64, row: f64| {
        let inside = column >= 0.0
            && row >= 0.0
            && column < image.width() as f64
            && row < image.height() as f64;
        if !inside {
            return 0.0;
        }
        f64::from(image.rgb()[(row as usize * image.width() + column as usize) * 3 + channel])
    };
    let (left, top) = (x.floor(), y.floor());
    let (across, down) = (x - left, y - top);
    (1.0 - down) * (1.0 - across) * level(left, top)
        + (1.0 - down) * across * level(left + 1.0, top)
        + down * (1.0 - across) * level(left, top + 1.0)
        + down * across * level(left + 1.0, top + 1.0)
}

fn similarities(scale: std::ops::Range<f64>) -> impl Strategy<Value = Similarity> {
    (scale, -PI..PI, -500.0..500.0_f64, -500.0..500.0_f64).prop_map(|(scale, angle, x, y)| {
        Similarity { a: scale * angle.cos(), b: scale * angle.sin(), shift: [x, y] }
    })
}

fn as_landmarks(points: [[f64; 2]; 5]) -> Landmarks {
    Landmarks(points.map(|point| point.map(|value| value as f32)))
}

proptest! {
    #[test]
    fn transformed_template_is_mapped_back(moved in similarities(0.05..60.0)) {
        let landmarks = as_landmarks(TEMPLATE_112.map(|point| moved.apply(point)));
        let found = similarity_to_template(&landmarks, 112).unwrap();
        for point in TEMPLATE_112 {
            let back = found.apply(moved.apply(point));
            // Landmarks are f32, with values up to some thousands.
            let tolerance = 2e-4 / moved.scale().min(1.0);
            prop_assert!((back[0] - point[0]).hypot(back[1] - point[1]) < tolerance, "{back:?}");
        }
    }

    #[test]
    fn the_fit_matches_a_naive_solver(moved in similarities(0.2..20.0), jitter in prop::array::uniform5(prop::array::uniform2(-6.0..6.0_f64)), side in 32..256_usize) {
        let points: [[f64; 2]; 5] = std::array::from_fn(|i| {
            moved.apply([TEMPLATE_112[i][0] + jitter[i][0], TEMPLATE_112[i][1] + jitter[i][1]])
        });
        let landmarks = as_landmarks(points);
        let to = TEMPLATE_112.map(|point| point.map(|value| value * side as f64 / 112.0));
        let [a, b, x, y] = naive_fit(&landmarks.0.map(|point| point.map(f64::from)), &to);
        let found = similarity_to_template(&landmarks, side).unwrap();
        prop_assert!((found.a - a).abs() < 1e-6 && (found.b - b).abs() < 1e-6);
        prop_assert!((found.shift[0] - x).abs() < 1e-4 && (found.shift[1] - y).abs() < 1e-4);
    }

    #[test]
    fn a_round_trip_is_the_identity(similarity in similarities(0.01..100.0), point in prop::array::uniform2(-1e3..1e3_f64)) {
        let inverse = similarity.inverse().unwrap();
        let back = inverse.apply(similarity.apply(point));
        prop_assert!((back[0] - point[0]).hypot(back[1] - point[1]) < 1e-6);
        prop_assert!((inverse.scale() * similarity.scale() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn warp_matches_naive_bilinear_sampling(seed in any::<u32>(), width in 1..40_usize, height in 1..40_usize, scale in 0.51..3.0_f64, angle in -3.0..3.0_f64) {
        let image = noise(width, height, seed);
        let (a, b) = (scale * angle.cos(), scale * angle.sin());
        // Around the centre of the image, so that image and crop overlap.
        let (mx, my) = (width as f64 / 2.0, height as f64 / 2.0);
        let to_crop = Similarity { a, b, shift: [10.0 - a * mx + b * my, 10.0 - b * mx - a * my] };
        let side = 20;
        let crop = warp(&image, &to_crop, side);
        let from_crop = to_crop.inverse().unwrap();
        for (at, &found) in crop.rgb().iter().enumerate() {
            let (x, y) = ((at / 3 % side) as f64, (at / 3 / side) as f64);
            let expected = naive_level(&image, from_crop.apply([x, y]), at % 3);
            prop_assert!((f64::from(found) - expected).abs() <= 0.51, "{found} ≠ {expected}");
        }
    }

    #[test]
    fn roll_is_the_rotation_in_the_image_plane(angle in -179.0..179.0_f64, scale in 0.5..20.0_f64) {
        let upright = as_landmarks(TEMPLATE_112).pose();
        let (a, b) = (scale * angle.to_radians().cos(), scale * angle.to_radians().sin());
        let turned = Similarity { a, b, shift: [40.0, -7.0] };
        let landmarks = as_landmarks(TEMPLATE_112.map(|point| turned.apply(point)));
        let pose = landmarks.pose();
        let difference = f64::from(pose.roll - upright.roll) - angle;
        prop_assert!(((difference + 540.0).rem_euclid(360.0) - 180.0).abs() < 0.01, "{difference}");
        prop_assert!((pose.yaw - upright.yaw).abs() < 0.01);
        let eyes = f64::from(as_landmarks(TEMPLATE_112).inter_eye_distance());
        prop_assert!((f64::from(landmarks.inter_eye_distance()) / (eyes * scale) - 1.0).abs() < 1e-4);
    }

    #[test]
    fn arbitrary_landmarks_and_transforms_never_panic(points in prop::array::uniform5(prop::array::uniform2(any::<f32>())), a in any::<f64>(), b in any::<f64>(), x in any::<f64>(), y in any::<f64>()) {
        let image = noise(9, 7, 3);
        let _ = align(&image, &Landmarks(points), 16);
        let _ = warp(&image, &Similarity { a, b, shift: [x, y] }, 5);
    }
}

/// A head of the assumed shape, seen from far away, has the yaw it was rotated by.
#[test]
fn yaw_is_the_rotation_about_the_vertical_axis() {
    for degrees in [-75.0_f32, -30.0, 0.0, 10.0, 45.0, 80.0] {
        let (sine, cosine) = degrees.to_radians().sin_cos();
        let seen = |across: f32, towards: f32, down: f32| {
            [200.0 + 30.0 * (across * cosine + towards * sine), 200.0 + 30.0 * down]
        };
        let landmarks = Landmarks([
            seen(-1.0, 0.0, 0.0),
            seen(1.0, 0.0, 0.0),
            seen(0.0, 1.0, 1.1),
            seen(-0.8, 0.3, 2.3),
            seen(0.8, 0.3, 2.3),
        ]);
        assert!((landmarks.pose().yaw - degrees).abs() < 0.01, "{degrees}: {:?}", landmarks.pose());
        // Such landmarks are accepted as those of a face, up to the profile.
        assert!(similarity_to_template(&landmarks, 112).is_ok(), "{degrees}");
    }
}

/// The mean and the standard deviation of a crop's levels, without its outermost pixels.
fn mean_and_deviation(rgb: &[u8], side: usize) -> (f64, f64) {
    let inner = |&(at, _): &(usize, &u8)| {
        let (x, y) = (at / 3 % side, at / 3 / side);
        (2..side - 2).contains(&x) && (2..side - 2).contains(&y)
    };
    let levels: Vec<f64> =
        rgb.iter().enumerate().filter(inner).map(|(_, &level)| f64::from(level)).collect();
    let mean = levels.iter().sum::<f64>() / levels.len() as f64;
    let variance = levels.iter().map(|level| (level - mean).powi(2)).sum::<f64>();
    (mean, (variance / levels.len() as f64).sqrt())
}

#[test]
fn fine_detail_is_averaged_without_aliasing() {
    let side = 1500;
    // Stripes a few pixels wide, too fine for a crop that is twelve times smaller.
    for period in [2, 3, 5, 7, 11] {
        let stripe = |i: usize| if (i % side + i / side) % period < period / 2 { 0 } else { 250 };
        let rgb = (0..side * side).flat_map(|i| [stripe(i); 3]).collect();
        let image = Image::from_rgb(side, side, rgb).unwrap();
        let expected = 250.0 * (period - period / 2) as f64 / period as f64;
        for degrees in [0.0_f64, 20.0, 45.0] {
            let (sine, cosine) = degrees.to_radians().sin_cos();
            let middle = side as f64 / 2.0;
            let (a, b) = (cosine / 12.4, sine / 12.4);
            let shift = [28.0 - a * middle + b * middle, 28.0 - b * middle - a * middle];
            let to_crop = Similarity { a, b, shift };
            let (mean, deviation) = mean_and_deviation(warp(&image, &to_crop, 56).rgb(), 56);
            assert!((mean - expected).abs() < 2.0, "{period}: mean {mean}, not {expected}");
            assert!(deviation < 12.0, "{period}, {degrees}°: a pattern of {deviation} levels");

            // Sampling single pixels would show the stripes almost in full.
            let from_crop = to_crop.inverse().unwrap();
            let plain = (0..56 * 56 * 3).map(|at| {
                let place = [(at / 3 % 56) as f64, (at / 3 / 56) as f64];
                naive_level(&image, from_crop.apply(place), at % 3).round() as u8
            });
            let (_, aliased) = mean_and_deviation(&plain.collect::<Vec<_>>(), 56);
            assert!(aliased > 40.0, "{period}: the pattern of this test does not alias: {aliased}");
        }
    }
}

/// Levels follow a plane: block means and bilinear samples are exact on it, so that an offset of
/// half a pixel between the two code paths would show.
#[test]
fn warp_downscaling_does_not_shift_pixels() {
    let (width, height) = (700, 600);
    let level = |x: f64, y: f64| 20.0 + 0.2 * x + 0.11 * y;
    let rgb = (0..width * height)
        .flat_map(|i| [level((i % width) as f64, (i / width) as f64).round() as u8; 3])
        .collect();
    let image = Image::from_rgb(width, height, rgb).unwrap();
    for shrink in [1.0, 1.9, 2.0, 2.7, 3.0, 4.2, 5.9] {
        let (a, b) = (0.95 / shrink, -f64::sqrt(1.0 - 0.95 * 0.95) / shrink);
        let shift = [28.0 - a * 350.0 + b * 300.0, 28.0 - b * 350.0 - a * 300.0];
        let to_crop = Similarity { a, b, shift };
        let from_crop = to_crop.inverse().unwrap();
        let crop = warp(&image, &to_crop, 56);
        for (at, &found) in crop.rgb().iter().enumerate() {
            let [x, y] = from_crop.apply([(at / 3 % 56) as f64, (at / 3 / 56) as f64]);
            let expected = level(x, y);
            assert!((f64::from(found) - expected).abs() <= 1.1, "{shrink}: {found} ≠ {expected}");
        }
    }
}

#[test]
fn crop_outside_the_image_is_black() {
    let image = Image::from_rgb(400, 400, vec![200; 400 * 400 * 3]).unwrap();
    for (scale, shift) in [(1.0, 40.0), (3.0, 150.0)] {
        // The left part of the crop lies outside.
        let points = TEMPLATE_112.map(|[x, y]| [scale * x - shift, scale * y]);
        let crop = align(&image, &as_landmarks(points), 112).unwrap().crop;
        let row: Vec<u8> =
            crop.rgb().chunks_exact(3).skip(56 * 112).take(112).map(|p| p[0]).collect();
        let edge = (shift / scale) as usize;
        assert!(row[..edge - 1].iter().all(|&level| level == 0), "{row:?}");
        assert!(row[edge + 1..].iter().all(|&level| level == 200), "{row:?}");
    }
}

#[test]
fn invalid_landmarks_are_rejected() {
    let image = Image::from_rgb(120, 112, vec![9; 120 * 112 * 3]).unwrap();
    let good = as_landmarks(TEMPLATE_112);
    assert!(align(&image, &good, 112).is_ok());
    let refused = |change: &dyn Fn(&mut [[f32; 2]; 5])| {
        let mut points = good.0;
        change(&mut points);
        align(&image, &Landmarks(points), 112).unwrap_err()
    };
    let error = refused(&|points| points[2][1] = f32::NAN);
    assert!(matches!(error, LandmarkError::NotFinite { name: "nose", .. }), "{error}");
    let error = refused(&|points| *points = [[50.0, 50.0]; 5]);
    assert!(matches!(error, LandmarkError::Coincident { .. }), "{error}");
    // Coordinates as fractions of the image instead of pixels: all points are in the first pixel.
    let error = refused(&|points| *points = points.map(|[x, y]| [x / 112.0, y / 112.0]));
    assert!(matches!(error, LandmarkError::Coincident { .. }), "{error}");
    let error = refused(&|points| points[4] = [9000.0, 3.0]);
    assert!(matches!(error, LandmarkError::Outside { name: "right_mouth", .. }), "{error}");
    let error = refused(&|points| *points = points.map(|[x, y]| [x + 100.0, y]));
    assert!(matches!(error, LandmarkError::Outside { name: "left_eye", .. }), "{error}");
    let error = refused(&|points| {
        points.swap(0, 1);
        points.swap(3, 4);
    });
    assert_eq!(error, LandmarkError::Mirrored);
    // The same points in the wrong order.
    let error = refused(&|points| *points = [2, 3, 1, 4, 0].map(|index| points[index]));
    assert!(matches!(error, LandmarkError::NoFace { .. }), "{error}");
}

/// The limit of eyes that approach each other.
#[test]
fn eyes_at_one_position_are_a_profile() {
    let pose = |apart: f32, nose: f32| {
        let points = [[50.0, 40.0], [50.0 + apart, 40.0], [nose, 60.0], [48.0, 80.0], [49.0, 80.0]];
        Landmarks(points).pose()
    };
    for (nose, yaw) in [(35.0, -90.0), (65.0, 90.0)] {
        assert_eq!((pose(0.0, nose).yaw, pose(0.0, nose).roll), (yaw, 0.0));
        assert!((pose(1e-3, nose).yaw - yaw).abs() < 0.01);
    }
    assert_eq!(pose(0.0, 50.0).yaw, 0.0);
}
