//! Shrinks by averaging the footprint of each output pixel: no aliasing, however large the factor.

use attn_fiqa_kernels::{Footprints, Isa, add_levels, average_pixels};
use rayon::prelude::*;

use super::CHANNELS;
use crate::pixels::Image;

/// The input positions `first..first + weights.len()` that an output position
/// covers, with the fraction of each; the fractions add up to one.
struct Footprint {
    first: usize,
    weights: Vec<f32>,
}

fn footprints(input: usize, output: usize) -> Vec<Footprint> {
    let scale = input as f64 / output as f64;
    (0..output)
        .map(|position| {
            let (start, end) = (position as f64 * scale, (position + 1) as f64 * scale);
            let first = (start.floor() as usize).min(input - 1);
            let last = (end.ceil() as usize).clamp(first + 1, input);
            let covered = |index: usize| end.min((index + 1) as f64) - start.max(index as f64);
            let weights = (first..last).map(|index| (covered(index) / scale) as f32).collect();
            Footprint { first, weights }
        })
        .collect()
}

/// Shrinks to `width × height` pixels, each output pixel the mean of the area that it covers,
/// rounded to the nearest level.
///
/// Rows are shared among the threads of the current pool; the result depends neither on their
/// number nor on the instruction set. Returns `None` if a side is zero or larger than the image's:
/// averaging does not enlarge.
pub fn shrink_area(isa: Isa, image: &Image, width: usize, height: usize) -> Option<Image> {
    if width == 0 || height == 0 || width > image.width() || height > image.height() {
        return None;
    }
    if (width, height) == (image.width(), image.height()) {
        return Some(image.clone());
    }
    let columns = footprints(image.width(), width);
    let rows = footprints(image.height(), height);
    let columns = Footprints::new(columns.iter().map(|of| (of.first, &of.weights[..])));
    let row_length = image.width() * CHANNELS;
    let mut rgb = vec![0; width * height * CHANNELS];
    let out_rows = rgb.par_chunks_exact_mut(width * CHANNELS).zip(&rows);
    out_rows.for_each_init(
        || vec![0.0f32; columns.needed().max(row_length)],
        |sum, (out, footprint)| {
            let levels = &mut sum[..row_length];
            levels.fill(0.0);
            let input = &image.rgb()[footprint.first * row_length..];
            for (row, weight) in input.chunks_exact(row_length).zip(&footprint.weights) {
                add_levels(isa, row, *weight, levels);
            }
            average_pixels(isa, sum, &columns, out);
        },
    );
    Image::from_rgb(width, height, rgb)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn image(width: usize, height: usize, seed: u32) -> Image {
        let levels = 0..(width * height * CHANNELS) as u32;
        let rgb = levels.map(|i| ((i ^ seed).wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        Image::from_rgb(width, height, rgb).unwrap()
    }

    /// The mean over a footprint by its definition: every pixel of the image, weighted by
    /// the area that it shares with the output pixel.
    fn naive_mean(image: &Image, (out_w, out_h): (usize, usize), x: usize, y: usize) -> [f64; 3] {
        let (width, height) = (image.width(), image.height());
        // The length of the overlap of a pixel and the output pixel at `position` along one axis,
        // in pixels of the image.
        let common = |pixel: usize, position: usize, input: usize, output: usize| {
            let edge = |position: usize| (position * input) as f64 / output as f64;
            let end = edge(position + 1).min((pixel + 1) as f64);
            (end - edge(position).max(pixel as f64)).max(0.0)
        };
        let mut sum = [0.0; 3];
        for (at, levels) in image.rgb().chunks_exact(CHANNELS).enumerate() {
            let area = common(at % width, x, width, out_w) * common(at / width, y, height, out_h);
            for (sum, level) in sum.iter_mut().zip(levels) {
                *sum += f64::from(*level) * area;
            }
        }
        sum.map(|sum| sum * (out_w * out_h) as f64 / (width * height) as f64)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn shrink_area_matches_naive_mean(
            (width, height) in (1usize..24, 1usize..24),
            fractions in (0.05f64..=1.0, 0.05f64..=1.0),
            seed: u32,
        ) {
            let input = image(width, height, seed);
            let out = |length: usize, fraction: f64| ((length as f64 * fraction) as usize).max(1);
            let size = (out(width, fractions.0), out(height, fractions.1));
            let shrunk = shrink_area(Isa::widest(), &input, size.0, size.1).unwrap();
            for y in 0..size.1 {
                for x in 0..size.0 {
                    let expected = naive_mean(&input, size, x, y);
                    let found = &shrunk.rgb()[(y * size.0 + x) * 3..][..3];
                    for (found, expected) in found.iter().zip(expected) {
                        // Half a level from rounding, and the last digits of f32.
                        let off = (f64::from(*found) - expected).abs();
                        prop_assert!(off <= 0.501, "{found} is not {expected}");
                    }
                }
            }
        }

        #[test]
        fn whole_factors_give_exact_means(columns in 1usize..6, rows in 1usize..6, seed: u32) {
            let input = image(columns * 3, rows * 2, seed);
            let shrunk = shrink_area(Isa::widest(), &input, columns, rows).unwrap();
            for (at, &found) in shrunk.rgb().iter().enumerate() {
                let (channel, column, row) = (at % 3, at / 3 % columns, at / 3 / columns);
                let level = |x: usize, y: usize| {
                    u32::from(input.rgb()[((row * 2 + y) * columns * 3 + column * 3 + x) * 3 + channel])
                };
                let sum: u32 = (0..6).map(|i| level(i % 3, i / 3)).sum();
                prop_assert!((f64::from(found) - f64::from(sum) / 6.0).abs() <= 0.501);
            }
        }
    }

    #[test]
    fn fine_stripes_are_averaged() {
        let stripes: Vec<u8> =
            (0..900 * 30).flat_map(|i| [if i % 2 == 0 { 0 } else { 255 }; 3]).collect();
        let shrunk =
            shrink_area(Isa::widest(), &Image::from_rgb(900, 30, stripes).unwrap(), 300, 10)
                .unwrap();
        // Three columns become one: one white of three, then two of three.
        let expected = (0..300 * 10).flat_map(|i| [if i % 2 == 0 { 85 } else { 170 }; 3]);
        assert!(shrunk.rgb().iter().copied().eq(expected));
    }

    #[test]
    fn nothing_is_enlarged() {
        let input = image(4, 4, 7);
        assert_eq!(shrink_area(Isa::widest(), &input, 5, 4), None);
        assert_eq!(shrink_area(Isa::widest(), &input, 0, 4), None);
        assert_eq!(shrink_area(Isa::widest(), &input, 4, 4), Some(input));
    }
}
