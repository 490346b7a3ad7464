//! Samples the pixels of a crop from an image through a similarity transform.

use super::Similarity;
use super::reduce::Reduced;
use crate::crop::Crop;
use crate::pixels::Image;

const CHANNELS: usize = 3;

/// Where the low-pass filter starts: a transform that shrinks less than this is a plain bilinear
/// warp, as OpenCV's `warpAffine` computes it and as the usual training crops were made. From here
/// on, the part of the image that the crop covers is first reduced by averaging whole blocks of
/// pixels, so that the remaining reduction is below this factor.
///
/// Below a factor of two, bilinear sampling still uses every pixel; above it some would be skipped,
/// and detail finer than the crop's pixels would alias.
const REDUCE_FROM: f64 = 2.0;

/// No image extends this far: a crop that does is black.
const REACH: f64 = (1_u64 << 31) as f64;

/// Warps an image into a crop of `side × side` pixels: bilinear, black outside the image, rounded
/// to the nearest integer.
///
/// A crop pixel with centre `(x, y)` is sampled at the inverse of `to_crop` applied to `(x, y)`. If
/// `to_crop` shrinks by a factor of two or more, the covered part of the image is first reduced by
/// the integer factor `⌊1 / scale⌋`, by block means; memory does not depend on the image, and time
/// only on the covered part. A transform without inverse gives a black crop.
pub fn warp(image: &Image, to_crop: &Similarity, side: usize) -> Crop {
    let mut rgb = vec![0_u8; side * side * CHANNELS];
    if let Some(from_crop) = to_crop.inverse().filter(|from_crop| within_reach(from_crop, side)) {
        let factor = reduction(from_crop.scale());
        if factor == 1 {
            fill(&mut rgb, side, &from_crop, |x, y| neighbours(image, x, y));
        } else {
            let reduced = Reduced::new(image, &from_crop, side, factor);
            fill(&mut rgb, side, &reduced.from_crop, |x, y| {
                square(x, y, |x, y| reduced.block(x, y))
            });
        }
    }
    Crop::from_rgb(side, rgb).expect("three bytes per pixel: this is a bug")
}

fn within_reach(from_crop: &Similarity, side: usize) -> bool {
    let last = side as f64;
    let corners = [[0.0, 0.0], [last, 0.0], [0.0, last], [last, last]];
    let mut corners = corners.into_iter().flat_map(|corner| from_crop.apply(corner));
    from_crop.scale() < REACH && corners.all(|value| value.abs() < REACH)
}

/// Side of the averaged blocks, in pixels; 1 means no reduction.
fn reduction(shrink: f64) -> usize {
    if shrink < REDUCE_FROM { 1 } else { shrink as usize }
}

/// A pixel's values, and one that does not matter: a register's width.
type Lanes = [f32; CHANNELS + 1];
/// The values of four places: upper left, upper right, lower left and lower right.
type Square = [Lanes; 4];

fn square(x: i64, y: i64, level: impl Fn(i64, i64) -> [f32; CHANNELS]) -> Square {
    [(x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1)].map(|(x, y)| {
        let [red, green, blue] = level(x, y);
        [red, green, blue, 0.0]
    })
}

/// A pixel and its neighbours to the right and below; black outside the image.
fn neighbours(image: &Image, x: i64, y: i64) -> Square {
    /// Two pixels and the first value of the next.
    const VALUES: usize = 2 * CHANNELS + 1;
    if let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y))
        && x + 2 < image.width()
        && y + 1 < image.height()
    {
        let at = (y * image.width() + x) * CHANNELS;
        let [upper, lower] = [at, at + image.width() * CHANNELS].map(|at| {
            let values = &image.rgb()[at..at + VALUES];
            [0, CHANNELS].map(|first| std::array::from_fn(|lane| f32::from(values[first + lane])))
        });
        return [upper[0], upper[1], lower[0], lower[1]];
    }
    square(x, y, |x, y| pixel(image, x, y))
}

/// A pixel's values; black outside the image.
fn pixel(image: &Image, x: i64, y: i64) -> [f32; CHANNELS] {
    let inside = |value: i64, length: usize| usize::try_from(value).ok().filter(|&v| v < length);
    let (Some(x), Some(y)) = (inside(x, image.width()), inside(y, image.height())) else {
        return [0.0; CHANNELS];
    };
    let at = (y * image.width() + x) * CHANNELS;
    std::array::from_fn(|channel| f32::from(image.rgb()[at + channel]))
}

fn fill(rgb: &mut [u8], side: usize, from_crop: &Similarity, square: impl Fn(i64, i64) -> Square) {
    for (row, out) in rgb.chunks_exact_mut((side * CHANNELS).max(1)).enumerate() {
        for (column, out) in out.chunks_exact_mut(CHANNELS).enumerate() {
            let [x, y] = from_crop.apply([column as f64, row as f64]);
            let (left, top) = (floor(x), floor(y));
            let (across, down) = ((x - left as f64) as f32, (y - top as f64) as f32);
            let [a, b, c, d] = square(left, top);
            let levels: [u8; CHANNELS + 1] = std::array::from_fn(|lane| {
                let upper = a[lane] + (b[lane] - a[lane]) * across;
                let lower = c[lane] + (d[lane] - c[lane]) * across;
                nearest(upper + (lower - upper) * down)
            });
            out.copy_from_slice(&levels[..CHANNELS]);
        }
    }
}

/// `f64::floor` of a number within reach. That one calls libm where the build assumes no SSE 4.1, and
/// a cast checks its range.
fn floor(value: f64) -> i64 {
    /// Adding 1.5·2⁵² rounds to the nearest integer and leaves it in the low bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let shifted = value + ROUND;
    let nearest = shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i64;
    nearest - i64::from(shifted - ROUND > value)
}

/// The nearest level of 0 to 255, as `f32::round` gives it, which calls libm, too.
fn nearest(level: f32) -> u8 {
    /// Adding 1.5·2²³ rounds to the nearest integer and leaves it in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let shifted = level + ROUND;
    // A half is rounded to the even level.
    shifted.to_bits() as u8 + u8::from(level - (shifted - ROUND) >= 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_and_floor_match_std() {
        for step in 0..2600 {
            let level = step as f32 / 10.0;
            for level in [level, level.next_down(), level.next_up()].map(|v| v.clamp(0.0, 255.0)) {
                assert_eq!(nearest(level), level.round() as u8, "{level}");
            }
        }
        assert_eq!(nearest(-1e-6), 0);
        for value in [-2.0, -1.5, -1e-300, -0.0, 0.0, 0.7, 1.0, -2_147_483_647.5, 2_147_483_647.5] {
            assert_eq!(floor(value), value.floor() as i64, "{value}");
        }
    }

    #[test]
    fn remaining_shrink_after_reduction_is_below_two() {
        for tenth in 1..2000 {
            let shrink = f64::from(tenth) / 10.0;
            let rest = shrink / reduction(shrink) as f64;
            assert!(rest < REDUCE_FROM, "{shrink} leaves {rest}");
            assert!(shrink < REDUCE_FROM || rest >= 1.0, "{shrink} is reduced too far");
        }
    }
}
