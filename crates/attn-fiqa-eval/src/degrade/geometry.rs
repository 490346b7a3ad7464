//! A face shifted, rotated, or occluded.

use attn_fiqa::crop::Crop;

use super::raster::{CHANNELS, warp};
use attn_fiqa::random::Random;

/// Rotates by `degrees` about the centre of the crop, clockwise or anticlockwise depending on the
/// seed; black outside the original.
pub(super) fn rotate(crop: &Crop, degrees: f64, seed: u64) -> Crop {
    let clockwise = Random::new(seed, "rotation").uniform() < 0.5;
    let angle = degrees.to_radians() * if clockwise { 1.0 } else { -1.0 };
    let (sine, cosine) = (libm::sin(angle), libm::cos(angle));
    let middle = (crop.side() - 1) as f64 / 2.0;
    warp(crop, |column, row| {
        let (x, y) = (column - middle, row - middle);
        // The inverse rotation gives the position before the rotation.
        (middle + cosine * x + sine * y, middle - sine * x + cosine * y)
    })
}

/// Shifts by `fraction` of the side in a direction that depends on the seed; black outside the
/// original.
pub(super) fn shift(crop: &Crop, fraction: f64, seed: u64) -> Crop {
    let angle = 2.0 * std::f64::consts::PI * Random::new(seed, "shift").uniform();
    let distance = fraction * crop.side() as f64;
    let (dx, dy) = (distance * libm::cos(angle), distance * libm::sin(angle));
    warp(crop, |column, row| (column - dx, row - dy))
}

/// Covers `fraction` of the side with one colour, from an edge that depends on the seed; so does
/// the colour, so that no particular colour indicates occlusion.
pub(super) fn occlude(crop: &Crop, fraction: f64, seed: u64) -> Crop {
    let side = crop.side();
    let covered = (fraction * side as f64).round() as usize;
    let mut random = Random::new(seed, "occlusion");
    let edge = random.below(4);
    let colour: [u8; CHANNELS] = std::array::from_fn(|_| random.below(256) as u8);
    let mut rgb = crop.rgb().to_vec();
    for (index, pixel) in rgb.chunks_exact_mut(CHANNELS).enumerate() {
        let (row, column) = (index / side, index % side);
        let from_edge = [row, side - 1 - row, column, side - 1 - column][edge];
        if from_edge < covered {
            pixel.copy_from_slice(&colour);
        }
    }
    Crop::from_rgb(side, rgb).expect("as many pixels as the crop had: this is a bug")
}
