//! How far the luminance spectrum of the face extends.

use std::f64::consts::PI;
use std::sync::LazyLock;

use crate::align::Landmarks;
use crate::pixels::Image;

/// Side, in photo pixels, of the blocks whose spectra are averaged.
const BLOCK: usize = 64;

/// The maximum number of blocks along one side of the face; on larger faces they are spread out.
const MAX_BLOCKS: usize = 4;

/// Number of frequency rings.
const RINGS: usize = 32;

/// The fraction of the gradient's energy that lies below the result.
const BELOW: f64 = 0.9;

/// The frequency, as a fraction of the highest along an axis, below which nine tenths of the energy
/// of the luma gradient lie, over the face at the photo's own resolution; `None` if the face is
/// smaller than one block or has no detail at all.
pub(super) fn extent(photo: &Image, landmarks: &Landmarks) -> Option<f64> {
    /// The same for every face.
    static COSINES: LazyLock<Cosines> = LazyLock::new(Cosines::new);
    let mut power = vec![0.0; BLOCK * BLOCK];
    for [x, y] in places(photo, landmarks)? {
        for (sum, coefficient) in power.iter_mut().zip(COSINES.transform(&luma(photo, x, y))) {
            *sum += coefficient * coefficient;
        }
    }
    let mut rings = [0.0; RINGS];
    for (index, power) in power.iter().enumerate() {
        let frequency = |index: usize| index as f64 / BLOCK as f64;
        let (across, down) = (frequency(index % BLOCK), frequency(index / BLOCK));
        let squared = across * across + down * down;
        let ring = ((squared.sqrt() * RINGS as f64) as usize).min(RINGS - 1);
        rings[ring] += squared * power;
    }
    let total: f64 = rings.iter().sum();
    // Rounding error, which is all that a flat face leaves.
    if total < 1e-6 {
        return None;
    }
    let mut sum = 0.0;
    let ring = rings.iter().position(|energy| {
        sum += energy;
        sum >= BELOW * total
    })?;
    Some((ring + 1) as f64 / RINGS as f64)
}

/// The top-left pixels of the blocks: half a block apart, or farther on large faces, over the part
/// in the image of a square around the face with a side of three inter-eye distances.
fn places(photo: &Image, landmarks: &Landmarks) -> Option<Vec<[usize; 2]>> {
    let centre = landmarks.0[2].map(f64::from);
    let half = 1.5 * f64::from(landmarks.inter_eye_distance());
    let along = |axis: usize, length: usize| -> Option<Vec<usize>> {
        let first = (centre[axis] - half).max(0.0) as usize;
        let end = ((centre[axis] + half).max(0.0) as usize).min(length);
        let room = end.checked_sub(first)?.checked_sub(BLOCK)?;
        let count = (room / (BLOCK / 2) + 1).min(MAX_BLOCKS);
        let place = |index: usize| first + room * index / (count - 1).max(1);
        Some((0..count).map(place).collect())
    };
    let (columns, rows) = (along(0, photo.width())?, along(1, photo.height())?);
    Some(rows.iter().flat_map(|&y| columns.iter().map(move |&x| [x, y])).collect())
}

fn luma(photo: &Image, x: usize, y: usize) -> Vec<f64> {
    let row = |row: usize| {
        let at = ((y + row) * photo.width() + x) * 3;
        photo.rgb()[at..at + BLOCK * 3].chunks_exact(3)
    };
    let luma = |pixel: &[u8]| {
        let [r, g, b] = [0, 1, 2].map(|channel| f64::from(pixel[channel]));
        0.299 * r + 0.587 * g + 0.114 * b
    };
    (0..BLOCK).flat_map(row).map(luma).collect()
}

/// The orthonormal discrete cosine transform of a block: `[place, frequency]`.
struct Cosines(Vec<f64>);

impl Cosines {
    fn new() -> Self {
        let side = BLOCK as f64;
        let entry = |index: usize| {
            let (place, frequency) = ((index / BLOCK) as f64, (index % BLOCK) as f64);
            let scale = if frequency == 0.0 { (1.0 / side).sqrt() } else { (2.0 / side).sqrt() };
            scale * (PI * (2.0 * place + 1.0) * frequency / (2.0 * side)).cos()
        };
        Self((0..BLOCK * BLOCK).map(entry).collect())
    }

    /// `[row, column]` to `[vertical frequency, horizontal frequency]`.
    fn transform(&self, block: &[f64]) -> Vec<f64> {
        self.along_rows(&self.along_rows(block))
    }

    /// The transform of every row, transposed.
    fn along_rows(&self, block: &[f64]) -> Vec<f64> {
        let mut transposed = vec![0.0; BLOCK * BLOCK];
        for (row, values) in block.chunks_exact(BLOCK).enumerate() {
            // All frequencies are summed at once, so that the compiler vectorises the loop.
            let mut sums = [0.0; BLOCK];
            for (value, cosines) in values.iter().zip(self.0.chunks_exact(BLOCK)) {
                for (sum, cosine) in sums.iter_mut().zip(cosines) {
                    *sum += value * cosine;
                }
            }
            for (frequency, sum) in sums.into_iter().enumerate() {
                transposed[frequency * BLOCK + row] = sum;
            }
        }
        transposed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The extent for a face in an image of 256×256 pixels with the given levels.
    fn extent_of(level: impl Fn(usize, usize) -> u8) -> Option<f64> {
        let side = 256;
        let pixels = (0..side * side).flat_map(|index| [level(index % side, index / side); 3]);
        let photo = Image::from_rgb(side, side, pixels.collect()).expect("an image");
        let landmarks = Landmarks([
            [98.0, 100.0],
            [158.0, 100.0],
            [128.0, 135.0],
            [103.0, 170.0],
            [153.0, 170.0],
        ]);
        extent(&photo, &landmarks)
    }

    #[test]
    fn spectrum_extent_matches_wave_frequency() {
        for fraction in [0.25, 0.5, 0.75] {
            let wave = |x: usize, _| (128.0 + 100.0 * (PI * fraction * x as f64).cos()) as u8;
            let found = extent_of(wave).expect("a spectrum");
            assert!((found - fraction).abs() <= 2.0 / RINGS as f64, "{fraction}: {found}");
        }
        assert_eq!(extent_of(|_, _| 77), None);
    }

    #[test]
    fn upscaled_image_has_smaller_spectrum_extent() {
        // White noise, and the same noise enlarged four times with bilinear interpolation.
        let noise = |x: usize, y: usize| {
            ((x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)).wrapping_mul(2_246_822_519)
                >> 16) as u8
        };
        let enlarged = |x: usize, y: usize| {
            let blend =
                |a: u8, b: u8, t: usize| (usize::from(a) * (4 - t) + usize::from(b) * t) / 4;
            let row = |row: usize| blend(noise(x / 4, row), noise(x / 4 + 1, row), x % 4) as u8;
            blend(row(y / 4), row(y / 4 + 1), y % 4) as u8
        };
        let (sharp, soft) = (extent_of(noise).unwrap_or(0.0), extent_of(enlarged).unwrap_or(1.0));
        assert!(sharp > 0.9 && soft < 0.8, "{sharp} {soft}");
    }
}
