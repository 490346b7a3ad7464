//! Each degradation against a slow, explicit implementation of its definition, and the properties
//! that all of them share.

use attn_fiqa::crop::Crop;
use attn_fiqa_eval::degrade::{Degradation, Level, apply_together};

const SIDE: usize = 112;

fn level(level: f64) -> Level {
    Level::new(level).expect("a level in 0 … 1")
}

/// A smooth image with an edge and some texture, grey levels 8 … 235.
fn picture(side: usize) -> Crop {
    let mut rgb = Vec::new();
    for row in 0..side {
        for column in 0..side {
            let (x, y) = (column as f64 / side as f64, row as f64 / side as f64);
            let wave = (x * 23.0).sin() * (y * 31.0).cos();
            let step = if x > 0.6 && y > 0.3 { 40.0 } else { 0.0 };
            for channel in 0..3 {
                let value = 20.0 + 140.0 * x + 30.0 * wave + step + 10.0 * f64::from(channel);
                rgb.push(value.clamp(8.0, 235.0) as u8);
            }
        }
    }
    Crop::from_rgb(side, rgb).expect("a crop")
}

fn flat(grey: u8) -> Crop {
    Crop::from_rgb(SIDE, vec![grey; SIDE * SIDE * 3]).expect("a crop")
}

fn at(crop: &Crop, row: usize, column: usize, channel: usize) -> f64 {
    f64::from(crop.rgb()[(row * crop.side() + column) * 3 + channel])
}

/// Mean absolute difference in grey levels.
fn difference(a: &Crop, b: &Crop) -> f64 {
    let pairs = a.rgb().iter().zip(b.rgb());
    pairs.map(|(&a, &b)| f64::from(a.abs_diff(b))).sum::<f64>() / a.rgb().len() as f64
}

#[test]
fn level_zero_is_identity_and_names_round_trip() {
    let crop = picture(SIDE);
    for kind in Degradation::ALL {
        assert_eq!(kind.apply(&crop, Level::NONE, 1), crop, "{kind}");
        assert_eq!(kind.name().parse(), Ok(kind));
    }
    let message = "blurr".parse::<Degradation>().expect_err("no such kind").to_string();
    assert!(message.contains("'blurr'") && message.contains("blur, downsample"), "{message}");
    assert_eq!(Level::new(1.01), None);
    assert_eq!(Level::new(f64::NAN), None);
    let grid: Vec<f64> = Level::grid(11).into_iter().map(Level::get).collect();
    assert_eq!((grid.len(), grid[0], grid[3], grid[10]), (11, 0.0, 0.3, 1.0));
}

#[test]
fn strength_grows_with_every_level() {
    let crop = picture(SIDE);
    for kind in Degradation::ALL {
        let rising = kind.parameter(Level::FULL) > kind.parameter(Level::NONE);
        let steps = Level::grid(11);
        for pair in steps.windows(2) {
            let (weak, strong) = (kind.parameter(pair[0]), kind.parameter(pair[1]));
            assert!(weak != strong && (weak < strong) == rising, "{kind}: {weak} then {strong}");
        }
        // Where a face is moved, pixel differences do not measure the strength, and a coarser JPEG
        // may by chance approximate a level better.
        let moved = [Degradation::Rotation, Degradation::Shift, Degradation::Yaw];
        if kind == Degradation::Jpeg || moved.contains(&kind) {
            continue;
        }
        let made = steps.iter().map(|&step| difference(&crop, &kind.apply(&crop, step, 5)));
        let made: Vec<f64> = made.collect();
        // The waves of the image cancel at some motion lengths more than at others.
        let falls = made.windows(2).filter(|pair| pair[1] < 0.95 * pair[0]).count();
        assert_eq!(falls, 0, "{kind}: {made:?}");
        assert!(made[10] > made[5] && made[5] > made[1] && made[1] > 0.0, "{kind}: {made:?}");
    }
}

#[test]
fn degradations_are_deterministic_per_seed() {
    let crop = picture(SIDE);
    let seeded = [
        Degradation::Noise,
        Degradation::Darkness,
        Degradation::Occlusion,
        Degradation::Motion,
        Degradation::Rotation,
        Degradation::Shift,
        Degradation::Yaw,
    ];
    for kind in Degradation::ALL {
        let apply = |seed| kind.apply(&crop, level(0.7), seed);
        assert_eq!(apply(11), apply(11), "{kind}");
        let differs = (12..20).any(|seed| apply(seed) != apply(11));
        assert_eq!(differs, seeded.contains(&kind), "{kind}");
    }
}

/// The pixels that each degradation gave when this was written: a recorded seed must keep its
/// meaning, on every machine.
#[test]
fn degraded_pixels_match_pinned_hashes() {
    // Made from integers only: a sine may differ between machines.
    let levels = (0..48 * 48 * 3).map(|i| 20 + ((i / 144 * 7 + i * 13) ^ (i / 11)) as u8 % 216);
    let crop = Crop::from_rgb(48, levels.collect()).expect("a crop");
    let found = Degradation::ALL.map(|kind| {
        let made = kind.apply(&crop, level(0.55), 2026);
        let start = 0xCBF2_9CE4_8422_2325_u64;
        made.rgb()
            .iter()
            .fold(start, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3))
    });
    let expected: [u64; 12] = [
        0xE995_8D40_7B37_440C,
        0xEC49_8325_D3A3_9401,
        0x1FBD_D5E6_8A7D_099A,
        0x7A31_EF1F_2971_705D,
        0x9082_9CC2_33A1_FA92,
        0x21D0_10B3_DCBB_3C0E,
        0x4C67_6152_0D65_F998,
        0x0B72_2EED_18B4_C169,
        0x3F9D_190C_6CC9_0C09,
        0x9B95_3C9A_B0E3_7A44,
        0xE0DF_6936_D258_F6C8,
        0x9625_E9D1_7844_60BE,
    ];
    assert_eq!(found, expected, "{:?}", found.map(|hash| format!("{hash:#018X}")));
}

#[test]
fn blur_matches_gaussian_convolution() {
    let crop = picture(40);
    // At side 40 the full strength is 8 · 40/112 pixels.
    let sigma: f64 = 8.0 * 0.6 * 40.0 / 112.0;
    let blurred = Degradation::Blur.apply(&crop, level(0.6), 0);
    let reach = (4.0 * sigma).ceil() as isize;
    let weight = |d: isize| (-0.5 * (d as f64 / sigma).powi(2)).exp();
    let clamp = |position: usize, d: isize| position.saturating_add_signed(d).min(39);
    for (row, column) in [(0, 0), (7, 39), (20, 21), (39, 5)] {
        for channel in 0..3 {
            let (mut sum, mut total) = (0.0, 0.0);
            for dy in -reach..=reach {
                for dx in -reach..=reach {
                    let share = weight(dy) * weight(dx);
                    sum += share * at(&crop, clamp(row, dy), clamp(column, dx), channel);
                    total += share;
                }
            }
            let found = at(&blurred, row, column, channel);
            assert!((found - sum / total).abs() <= 0.51, "{found} ≠ {}", sum / total);
        }
    }
}

#[test]
fn flat_images_stay_flat_without_noise_or_border() {
    for kind in [
        Degradation::Blur,
        Degradation::Downsample,
        Degradation::Jpeg,
        Degradation::Motion,
        Degradation::Contrast,
    ] {
        let found = kind.apply(&flat(117), level(0.8), 3);
        let spread = found.rgb().iter().map(|&level| level.abs_diff(117)).max();
        // The coarsest JPEG has steps of its own; the image is still flat.
        let allowed = if kind == Degradation::Jpeg { 12 } else { 0 };
        assert!(spread <= Some(allowed), "{kind}: {spread:?}");
        let first = found.rgb()[..3].to_vec();
        assert!(found.rgb().chunks_exact(3).all(|pixel| pixel == first), "{kind}");
    }
}

#[test]
fn downsampling_averages_areas_and_interpolates_back() {
    // 112 → 28 pixels: each the mean of 4×4, which reappears in the middle of its area.
    let crop = picture(SIDE);
    // 29.93 pixels, rounded.
    assert_eq!(Degradation::Downsample.parameter(level(0.5)), 30.0);
    let quarter = (28.0f64 / 112.0).ln() / (8.0f64 / 112.0).ln();
    assert_eq!(Degradation::Downsample.parameter(level(quarter)), 28.0);
    let found = Degradation::Downsample.apply(&crop, level(quarter), 0);
    let mean = |row: usize, column: usize| {
        let cells = (0..16).map(|i| at(&crop, row * 4 + i / 4, column * 4 + i % 4, 1));
        (cells.sum::<f64>() / 16.0).round()
    };
    for (row, column) in [(1, 1), (9, 17), (20, 3)] {
        // Column 4c + 1 lies at c − 0.125 in the small image, 4c + 2 at c + 0.125.
        let expected = 0.875 * (0.875 * mean(row, column) + 0.125 * mean(row, column - 1))
            + 0.125 * (0.875 * mean(row - 1, column) + 0.125 * mean(row - 1, column - 1));
        let value = at(&found, row * 4 + 1, column * 4 + 1, 1);
        assert!((value - expected).abs() <= 0.51, "{value} ≠ {expected}");
    }
}

#[test]
fn light_and_noise_match_their_parameters() {
    let deviation = |crop: &Crop, mean: f64| {
        let squares = crop.rgb().iter().map(|&level| (f64::from(level) - mean).powi(2));
        (squares.sum::<f64>() / crop.rgb().len() as f64).sqrt()
    };
    let noisy = Degradation::Noise.apply(&flat(128), level(0.3), 9);
    assert!((deviation(&noisy, 128.0) - 14.4).abs() < 0.3, "{}", deviation(&noisy, 128.0));

    let share = Degradation::Darkness.parameter(level(0.25));
    let dark = Degradation::Darkness.apply(&flat(200), level(0.25), 9);
    let found = deviation(&dark, 200.0 * share);
    // Rounding to integer levels adds a twelfth of a squared level.
    let expected = (2.25 * (1.0 - share * share) + 1.0 / 12.0).sqrt();
    assert!((found - expected).abs() < 0.05, "{found} ≠ {expected}");

    let bright = Degradation::Overexposure.apply(&flat(50), level(0.5), 0);
    assert_eq!(bright.rgb()[0], 200, "50 times 16^0.5");
    let white = Degradation::Overexposure.apply(&flat(50), level(0.6), 0);
    assert_eq!(white.rgb()[0], 255);

    let crop = picture(SIDE);
    let grey = Degradation::Contrast.apply(&crop, level(0.5), 0);
    let mean =
        crop.rgb().iter().map(|&level| f64::from(level)).sum::<f64>() / crop.rgb().len() as f64;
    let expected = (mean + 0.1 * (at(&crop, 3, 90, 2) - mean)).round();
    assert_eq!(at(&grey, 3, 90, 2), expected);
}

#[test]
fn occlusion_covers_its_fraction_from_one_edge() {
    let crop = picture(SIDE);
    for seed in 0..12 {
        let found = Degradation::Occlusion.apply(&crop, level(0.5), seed);
        let cover = found
            .rgb()
            .chunks_exact(3)
            .zip(crop.rgb().chunks_exact(3))
            .filter(|(found, before)| found != before)
            .count();
        // 0.425 of 112 rows or columns; a pixel may by chance have the occluder's colour.
        assert!((48 * 112 - 40..=48 * 112).contains(&cover), "{cover}");
        let weaker = Degradation::Occlusion.apply(&crop, level(0.3), seed);
        let grows = weaker.rgb().iter().zip(found.rgb()).zip(crop.rgb());
        assert!(grows.into_iter().all(|((weak, strong), clean)| weak == clean || weak == strong));
    }
}

#[test]
fn quarter_turn_moves_pixels_exactly() {
    let crop = picture(SIDE);
    let turned = Degradation::Rotation.apply(&crop, Level::FULL, 4);
    let last = SIDE - 1;
    let clockwise = (0..SIDE).all(|i| at(&turned, i, last, 0) == at(&crop, 0, i, 0));
    for row in 0..SIDE {
        for column in 0..SIDE {
            let (from_row, from_column) =
                if clockwise { (last - column, row) } else { (column, last - row) };
            let (found, expected) =
                (at(&turned, row, column, 1), at(&crop, from_row, from_column, 1));
            // Sine and cosine of a right angle are off by 1e-16: an edge may become black.
            let edge = [row, column].iter().any(|&i| i == 0 || i == last);
            assert!(edge || found == expected, "{row} {column}: {found} ≠ {expected}");
        }
    }
}

#[test]
fn shift_moves_centroid_by_its_distance() {
    let mut rgb = vec![0; SIDE * SIDE * 3];
    for (index, pixel) in rgb.chunks_exact_mut(3).enumerate() {
        let (row, column) = (index / SIDE, index % SIDE);
        if (54..58).contains(&row) && (54..58).contains(&column) {
            pixel.fill(240);
        }
    }
    let spot = Crop::from_rgb(SIDE, rgb).expect("a crop");
    for seed in 0..6 {
        let found = Degradation::Shift.apply(&spot, level(0.6), seed);
        let (mut mass, mut x, mut y) = (0.0, 0.0, 0.0);
        for row in 0..SIDE {
            for column in 0..SIDE {
                let value = at(&found, row, column, 0);
                mass += value;
                x += value * column as f64;
                y += value * row as f64;
            }
        }
        let moved = ((x / mass - 55.5).powi(2) + (y / mass - 55.5).powi(2)).sqrt();
        assert!((moved - 0.3 * 112.0).abs() < 0.1, "{moved}");
    }
}

#[test]
fn motion_blur_spreads_point_into_line() {
    let mut rgb = vec![0; SIDE * SIDE * 3];
    let middle = (56 * SIDE + 56) * 3;
    rgb[middle..middle + 3].fill(255);
    let point = Crop::from_rgb(SIDE, rgb).expect("a crop");
    for seed in 0..6 {
        let strength = level(0.5);
        assert_eq!(Degradation::Motion.parameter(strength), 10.0);
        let found = Degradation::Motion.apply(&point, strength, seed);
        let mut lit: Vec<(f64, f64)> = Vec::new();
        for row in 0..SIDE {
            for column in 0..SIDE {
                if at(&found, row, column, 0) > 3.0 {
                    lit.push((column as f64 - 56.0, row as f64 - 56.0));
                }
            }
        }
        let far = lit.iter().map(|(x, y)| x.hypot(*y)).fold(0.0, f64::max);
        assert!((4.0..=6.5).contains(&far), "the line reaches {far} from its middle, not 5");
        // All of it lies along one direction.
        let (fx, fy) =
            *lit.iter().max_by(|a, b| a.0.hypot(a.1).total_cmp(&b.0.hypot(b.1))).expect("lit");
        let across = lit.iter().map(|(x, y)| (x * fy - y * fx).abs() / fx.hypot(fy));
        assert!(across.fold(0.0, f64::max) < 1.6);
    }
}

#[test]
fn combined_degradations_apply_in_fixed_order() {
    let crop = picture(SIDE);
    let (dark, jpeg, turn) = (Degradation::Darkness, Degradation::Jpeg, Degradation::Rotation);
    let level = level(0.4);
    let expected = [dark, jpeg, turn].iter().fold(crop.clone(), |c, kind| kind.apply(&c, level, 7));
    for order in [[dark, jpeg, turn], [turn, jpeg, dark], [jpeg, turn, dark]] {
        assert_eq!(apply_together(&crop, &order.map(|kind| (kind, level)), 7), expected);
    }
    assert_eq!(apply_together(&crop, &[(jpeg, level)], 7), jpeg.apply(&crop, level, 7));
    assert_eq!(apply_together(&crop, &[], 7), crop);
}

#[test]
fn degradations_map_one_to_one_to_causes() {
    let mut causes: Vec<_> = Degradation::ALL.map(Degradation::cause).to_vec();
    causes.sort();
    assert_eq!(causes, attn_fiqa::causes::Cause::ALL);
}
