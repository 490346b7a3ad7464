//! Loss of detail: defocus, motion blur, low resolution.

use std::collections::BTreeMap;

use attn_fiqa::crop::Crop;
use attn_fiqa::pixels::Image;
use attn_fiqa::resize::resize_bilinear;

use super::raster::{CHANNELS, crop_of};
use attn_fiqa::random::Random;

/// Beyond four standard deviations a Gaussian contributes less than a grey level.
const REACH: f64 = 4.0;

/// A Gaussian blur of `sigma` pixels, truncated at four sigma, with replicated borders.
pub(super) fn blur(crop: &Crop, sigma: f64) -> Crop {
    let kernel = gaussian(sigma);
    let reach = kernel.len() / 2;
    let side = crop.side();
    let row_length = side * CHANNELS;
    let within = |position: usize| position.saturating_sub(reach).min(side - 1);

    let mut rows = vec![0.0f32; side * row_length];
    let mut padded = vec![0.0f32; (side + 2 * reach) * CHANNELS];
    for (row, blurred) in crop.rgb().chunks_exact(row_length).zip(rows.chunks_exact_mut(row_length))
    {
        for (position, pixel) in padded.chunks_exact_mut(CHANNELS).enumerate() {
            let from = &row[within(position) * CHANNELS..][..CHANNELS];
            pixel.iter_mut().zip(from).for_each(|(level, &from)| *level = f32::from(from));
        }
        for (tap, &weight) in kernel.iter().enumerate() {
            add(blurred, &padded[tap * CHANNELS..][..row_length], weight);
        }
    }

    let mut both = vec![0.0f32; side * row_length];
    for (row, blurred) in both.chunks_exact_mut(row_length).enumerate() {
        for (tap, &weight) in kernel.iter().enumerate() {
            add(blurred, &rows[within(row + tap) * row_length..][..row_length], weight);
        }
    }
    crop_of(side, both.into_iter())
}

fn add(sum: &mut [f32], values: &[f32], weight: f32) {
    sum.iter_mut().zip(values).for_each(|(sum, &value)| *sum += weight * value);
}

/// An odd number of weights with sum 1.
fn gaussian(sigma: f64) -> Vec<f32> {
    let reach = libm::ceil(REACH * sigma);
    let weights: Vec<f64> = (0..=2 * reach as usize)
        .map(|index| libm::exp(-0.5 * ((index as f64 - reach) / sigma).powi(2)))
        .collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| (weight / sum) as f32).collect()
}

/// The mean along a straight line of `length` pixels in a direction that depends on the seed, with
/// replicated borders.
pub(super) fn motion(crop: &Crop, length: f64, seed: u64) -> Crop {
    let angle = std::f64::consts::PI * Random::new(seed, "motion").uniform();
    let taps = line(length, libm::cos(angle), libm::sin(angle));
    let (side, row_length) = (crop.side(), crop.side() * CHANNELS);
    let reach = libm::ceil(length / 2.0) as usize + 1;
    let padded_side = side + 2 * reach;
    let within = |position: usize| position.saturating_sub(reach).min(side - 1);
    let mut padded = Vec::with_capacity(padded_side * padded_side * CHANNELS);
    for row in 0..padded_side {
        let row = &crop.rgb()[within(row) * row_length..][..row_length];
        let pixels = (0..padded_side).map(|column| &row[within(column) * CHANNELS..][..CHANNELS]);
        padded.extend(pixels.flatten().map(|&level| f32::from(level)));
    }
    let mut sums = vec![0.0f32; side * row_length];
    for (row, sum) in sums.chunks_exact_mut(row_length).enumerate() {
        for (&(down, right), &weight) in &taps {
            let from_row = (row + reach).wrapping_add_signed(down);
            let from_column = reach.wrapping_add_signed(right);
            let start = (from_row * padded_side + from_column) * CHANNELS;
            add(sum, &padded[start..][..row_length], weight);
        }
    }
    crop_of(side, sums.into_iter())
}

/// The weights of whole pixels `(down, right)` that give the mean along a centred line, sampled
/// bilinearly; their sum is 1.
fn line(length: f64, dx: f64, dy: f64) -> BTreeMap<(isize, isize), f32> {
    // Two samples per pixel leave no gap.
    let steps = libm::ceil(length) as usize * 2;
    let mut taps = BTreeMap::new();
    for step in 0..=steps {
        let offset = length * (step as f64 / steps as f64 - 0.5);
        let (x, y) = (offset * dx, offset * dy);
        let (left, top) = (x.floor(), y.floor());
        let (right_share, lower_share) = (x - left, y - top);
        for (down, vertical) in [(0, 1.0 - lower_share), (1, lower_share)] {
            for (right, horizontal) in [(0, 1.0 - right_share), (1, right_share)] {
                let weight = vertical * horizontal / (steps + 1) as f64;
                let tap = taps.entry((top as isize + down, left as isize + right)).or_insert(0.0);
                *tap += weight as f32;
            }
        }
    }
    taps
}

/// Reduces to `small` pixels per side by area averaging, and enlarges again bilinearly.
pub(super) fn downsample(crop: &Crop, small: usize) -> Crop {
    let side = crop.side();
    let areas = areas(side, small);
    // First across, then down: [row, small column], then [small row, small column].
    let mut across = vec![0.0f32; side * small * CHANNELS];
    for (pixels, means) in
        crop.rgb().chunks_exact(side * CHANNELS).zip(across.chunks_exact_mut(small * CHANNELS))
    {
        for (area, mean) in areas.iter().zip(means.chunks_exact_mut(CHANNELS)) {
            for &(column, weight) in area {
                let pixel = &pixels[column * CHANNELS..][..CHANNELS];
                mean.iter_mut().zip(pixel).for_each(|(m, &level)| *m += weight * f32::from(level));
            }
        }
    }
    let mut means = vec![0.0f32; small * small * CHANNELS];
    for (area, row) in areas.iter().zip(means.chunks_exact_mut(small * CHANNELS)) {
        for &(from, weight) in area {
            add(row, &across[from * small * CHANNELS..][..small * CHANNELS], weight);
        }
    }
    let rgb = means.into_iter().map(|level| level.round() as u8).collect();
    let small = Image::from_rgb(small, small, rgb);
    let enlarged = small.and_then(|small| resize_bilinear(&small, side, side));
    let enlarged = enlarged.expect("a reduced image has pixels: this is a bug");
    Crop::from_rgb(side, enlarged.into_rgb()).expect("enlarged to its own size: this is a bug")
}

/// For each of `small` equal parts of `side` pixels, its pixels and their fractions of it.
fn areas(side: usize, small: usize) -> Vec<Vec<(usize, f32)>> {
    let length = side as f64 / small as f64;
    (0..small)
        .map(|part| {
            let (start, end) = (part as f64 * length, (part + 1) as f64 * length);
            let pixels = start as usize..(libm::ceil(end) as usize).min(side);
            pixels
                .map(|pixel| {
                    let inside = end.min(pixel as f64 + 1.0) - start.max(pixel as f64);
                    (pixel, (inside.max(0.0) / length) as f32)
                })
                .collect()
        })
        .collect()
}
