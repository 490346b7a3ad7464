//! Averaging of pixels, for downscaling by area.

use crate::isa::for_every_isa;

/// Channels of a pixel.
const CHANNELS: usize = 3;
/// Values summed together: those of a pixel and one more, to fill a register.
const LANES: usize = CHANNELS + 1;

for_every_isa! {
    /// `sums[i] += weight · levels[i]`, where levels are pixel values of 0 to 255.
    ///
    /// # Panics
    ///
    /// If `levels` and `sums` differ in length.
    pub fn add_levels(levels: &[u8], weight: f32, sums: &mut [f32]) {
        assert_eq!(levels.len(), sums.len(), "levels and sums differ in length");
        for (sum, &level) in sums.iter_mut().zip(levels) {
            *sum += weight * f32::from(level);
        }
    }
}

/// The pixels of a row that are averaged into each pixel of a shorter row.
#[derive(Debug, Clone)]
pub struct Footprints {
    /// The first pixel of each footprint.
    first: Vec<usize>,
    /// `[output pixel, pixel]`, each padded with zeros to the size of the largest footprint.
    weights: Vec<f32>,
    /// Pixels per footprint, including the padding.
    taps: usize,
    /// Values that a row must have; those beyond the last pixel do not affect the result.
    needed: usize,
}

impl Footprints {
    /// Creates footprints from the first pixel and the weights of each.
    pub fn new<'a>(footprints: impl IntoIterator<Item = (usize, &'a [f32])> + Clone) -> Self {
        let taps = footprints.clone().into_iter().map(|(_, weights)| weights.len()).max();
        let taps = taps.unwrap_or(0);
        let (mut first, mut padded) = (Vec::new(), Vec::new());
        for (pixel, weights) in footprints {
            first.push(pixel);
            padded.extend_from_slice(weights);
            padded.resize(first.len() * taps, 0.0);
        }
        let last = first.iter().max().map_or(0, |first| first + taps);
        Self { first, weights: padded, taps, needed: CHANNELS * last + LANES }
    }

    /// Values that the row given to [`average_pixels`] must have. Values beyond the image do not
    /// affect the result if they are finite.
    pub fn needed(&self) -> usize {
        self.needed
    }
}

for_every_isa! {
    /// Averages the pixels of a row, `[pixel, channel]` with three channels, over each footprint
    /// and rounds to the nearest level. Levels are 0 to 255.
    ///
    /// # Panics
    ///
    /// If `row` is shorter than [`Footprints::needed`], or `out` is not one pixel per footprint.
    pub fn average_pixels(row: &[f32], footprints: &Footprints, out: &mut [u8]) {
        let Footprints { first, weights, taps, needed } = footprints;
        assert!(row.len() >= *needed, "a row is shorter than its footprints");
        assert_eq!(out.len(), CHANNELS * first.len(), "a pixel for every footprint");
        let (pixels, _) = out.as_chunks_mut::<CHANNELS>();
        let weights = weights.chunks_exact((*taps).max(1));
        for ((pixel, &first), weights) in pixels.iter_mut().zip(first).zip(weights) {
            let covered = &row[CHANNELS * first..][..CHANNELS * taps + LANES];
            let mut mean = [0.0f32; LANES];
            for (tap, weight) in weights.iter().enumerate() {
                let levels = &covered[CHANNELS * tap..][..LANES];
                for (mean, level) in mean.iter_mut().zip(levels) {
                    *mean += weight * level;
                }
            }
            // Means are not negative, and `f32::round` calls libm in builds without SSE 4.1.
            let [red, green, blue, _] = mean.map(|mean| (mean + 0.5) as i32 as u8);
            *pixel = [red, green, blue];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;

    #[test]
    fn average_pixels_matches_definition_on_every_isa() {
        for taps in 1..8 {
            let weights: Vec<Vec<f32>> = (0..9)
                .map(|pixel| vec![1.0 / (1 + pixel % taps) as f32; 1 + pixel % taps])
                .collect();
            let footprints =
                Footprints::new(weights.iter().enumerate().map(|(i, w)| (2 * i, &w[..])));
            let row: Vec<f32> =
                (0..footprints.needed()).map(|i| (i * 7919 % 2551) as f32 / 10.0).collect();
            for isa in Isa::available() {
                let mut out = [0; 27];
                average_pixels(isa, &row, &footprints, &mut out);
                for (at, &found) in out.iter().enumerate() {
                    let (pixel, channel) = (at / 3, at % 3);
                    let covered = weights[pixel].iter().enumerate();
                    let mean = covered.map(|(tap, weight)| {
                        f64::from(*weight) * f64::from(row[3 * (2 * pixel + tap) + channel])
                    });
                    let mean: f64 = mean.sum();
                    assert!((f64::from(found) - mean).abs() < 0.501, "{taps}: {found} of {mean}");
                }
            }
        }
        let nothing = Footprints::new(std::iter::empty());
        average_pixels(Isa::widest(), &vec![0.0; nothing.needed()], &nothing, &mut []);
    }

    #[test]
    #[should_panic(expected = "shorter than its footprints")]
    fn average_pixels_panics_on_short_row() {
        let footprints = Footprints::new([(3, &[1.0][..])]);
        average_pixels(Isa::widest(), &[0.0; 12], &footprints, &mut [0; 3]);
    }
}
