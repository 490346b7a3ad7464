//! Underexposure, overexposure, low contrast, and noise.
//!
//! All operate on the grey levels of the file, not on linear light: the strengths are comparable
//! with those usually applied to test images.

use attn_fiqa::crop::Crop;

use super::raster::crop_of;
use attn_fiqa::random::Random;

/// Standard deviation of a sensor's read noise, in grey levels of 255.
const READ_NOISE: f64 = 1.5;

/// Reduces the light to `fraction` on the same sensor, whose noise stays the same.
///
/// Darkening reduces the noise already in the image; the noise added is the difference, with
/// variance `σ²·(1 − fraction²)`, so that full light adds nothing.
pub(super) fn darken(crop: &Crop, fraction: f64, seed: u64) -> Crop {
    let mut random = Random::new(seed, "darkness");
    let deviation = READ_NOISE * libm::sqrt(1.0 - fraction * fraction);
    let levels = crop.rgb().iter();
    crop_of(
        crop.side(),
        levels.map(|&level| (f64::from(level) * fraction + random.normal() * deviation) as f32),
    )
}

/// Multiplies the grey levels by `gain` and clips at white.
pub(super) fn expose(crop: &Crop, gain: f64) -> Crop {
    crop_of(crop.side(), crop.rgb().iter().map(|&level| (f64::from(level) * gain) as f32))
}

/// Reduces the differences from the crop's mean grey to `fraction`.
pub(super) fn flatten(crop: &Crop, fraction: f64) -> Crop {
    let sum: u64 = crop.rgb().iter().map(|&level| u64::from(level)).sum();
    let mean = sum as f64 / crop.rgb().len() as f64;
    let levels = crop.rgb().iter();
    crop_of(crop.side(), levels.map(|&level| (mean + (f64::from(level) - mean) * fraction) as f32))
}

/// Adds Gaussian noise with a standard deviation of `deviation` grey levels to every channel of
/// every pixel; one seed gives one pattern, whatever the strength.
pub(super) fn noise(crop: &Crop, deviation: f64, seed: u64) -> Crop {
    let mut random = Random::new(seed, "noise");
    let levels = crop.rgb().iter();
    crop_of(
        crop.side(),
        levels.map(|&level| (f64::from(level) + random.normal() * deviation) as f32),
    )
}
