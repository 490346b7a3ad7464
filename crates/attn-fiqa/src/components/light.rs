//! Luminance components.

use std::ops::RangeInclusive;
use std::sync::LazyLock;

use super::face_area::FaceArea;

/// Fewer pixels than this, out of about 47,000 in a whole face, say nothing about its light.
const MIN_PIXELS: usize = 1000;

/// Converts an sRGB level, 0 to 1, to linear light (IEC 61966-2-1).
pub(super) fn linear(level: f64) -> f64 {
    if level <= 0.04045 { level / 12.92 } else { ((level + 0.055) / 1.055).powf(2.4) }
}

/// Luminance of a colour, 0 to 255.
fn luminance(rgb: [u8; 3]) -> u8 {
    /// The linear value of each 8-bit level.
    static LINEAR: LazyLock<[f64; 256]> =
        LazyLock::new(|| std::array::from_fn(|level| linear(level as f64 / 255.0)));
    let [r, g, b] = rgb.map(|level| LINEAR[usize::from(level)]);
    let luminance = 0.2126 * r + 0.7152 * g + 0.0722 * b;
    (luminance * 255.0).round() as u8
}

/// The fraction of pixels at each of 256 levels of luminance.
pub(super) struct Light([f64; 256]);

impl Light {
    /// The histogram of the face; `None` if too little of it lies in the image.
    pub(super) fn of(area: &FaceArea<'_>) -> Option<Self> {
        let pixels = area.outline();
        (pixels.len() >= MIN_PIXELS).then(|| Self::of_pixels(pixels))
    }

    fn of_pixels(pixels: &[[u8; 3]]) -> Self {
        let mut counts = [0_u64; 256];
        for &pixel in pixels {
            counts[usize::from(luminance(pixel))] += 1;
        }
        Self(counts.map(|count| count as f64 / pixels.len() as f64))
    }

    fn levels(&self) -> impl Iterator<Item = (f64, f64)> {
        self.0.iter().enumerate().map(|(level, &fraction)| (level as f64 / 255.0, fraction))
    }

    /// The mean, 0 to 1.
    pub(super) fn mean(&self) -> f64 {
        self.levels().map(|(level, fraction)| level * fraction).sum()
    }

    /// The variance, for values from 0 to 1.
    pub(super) fn variance(&self) -> f64 {
        let mean = self.mean();
        self.levels().map(|(level, fraction)| (level - mean).powi(2) * fraction).sum()
    }

    /// The fraction of pixels whose luminance, 0 to 255, is in the range.
    pub(super) fn fraction(&self, levels: RangeInclusive<usize>) -> f64 {
        self.0[levels].iter().sum()
    }

    /// The entropy, in bits.
    pub(super) fn entropy(&self) -> f64 {
        let used = self.0.iter().filter(|&&fraction| fraction > 0.0);
        -used.map(|fraction| fraction * fraction.log2()).sum::<f64>()
    }
}

/// Intersection of the histograms of the squares below the eyes, 0 to 1.
pub(super) fn uniformity(area: &FaceArea<'_>) -> Option<f64> {
    let [left, right] = area.cheeks()?.map(|pixels| Light::of_pixels(&pixels));
    Some(left.0.iter().zip(right.0).map(|(a, b)| a.min(b)).sum())
}
