//! Too little light, too much of it, too little difference, and noise.
//!
//! All of it happens to the grey levels of the file, not to linear light: the
//! strengths compare with what others do to test images.

use attn_fiqa::crop::Crop;

use super::raster::crop_of;
use attn_fiqa::random::Random;

/// Deviation of a sensor's read noise, in grey levels of 255.
const READ_NOISE: f64 = 1.5;

/// `fraction` of the light on the same sensor, whose noise stays as large.
///
/// Darkening shrinks the noise that the picture holds already; what is added is
/// the rest, of variance `σ²·(1 − fraction²)`, so that all the light adds nothing.
pub(super) fn darken(crop: &Crop, fraction: f64, seed: u64) -> Crop {
    let mut random = Random::new(seed, "darkness");
    let deviation = READ_NOISE * libm::sqrt(1.0 - fraction * fraction);
    let levels = crop.rgb().iter();
    crop_of(
        crop.side(),
        levels.map(|&level| (f64::from(level) * fraction + random.normal() * deviation) as f32),
    )
}

/// `gain` times the grey levels; what exceeds white is white.
pub(super) fn expose(crop: &Crop, gain: f64) -> Crop {
    crop_of(crop.side(), crop.rgb().iter().map(|&level| (f64::from(level) * gain) as f32))
}

/// Differences from the crop's mean grey, shrunk to `fraction` of what they are.
pub(super) fn flatten(crop: &Crop, fraction: f64) -> Crop {
    let sum: u64 = crop.rgb().iter().map(|&level| u64::from(level)).sum();
    let mean = sum as f64 / crop.rgb().len() as f64;
    let levels = crop.rgb().iter();
    crop_of(crop.side(), levels.map(|&level| (mean + (f64::from(level) - mean) * fraction) as f32))
}

/// Gaussian noise of `deviation` grey levels on every channel of every pixel; one
/// seed gives one pattern, whatever the strength.
pub(super) fn noise(crop: &Crop, deviation: f64, seed: u64) -> Crop {
    let mut random = Random::new(seed, "noise");
    let levels = crop.rgb().iter();
    crop_of(
        crop.side(),
        levels.map(|&level| (f64::from(level) + random.normal() * deviation) as f32),
    )
}
