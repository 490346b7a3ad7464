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
            fill(&mut rgb, side, &from_crop, |x, y| pixel(image, x, y));
        } else {
            let reduced = Reduced::new(image, &from_crop, side, factor);
            fill(&mut rgb, side, &reduced.from_crop, |x, y| reduced.block(x, y));
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

/// A pixel's values; black outside the image.
fn pixel(image: &Image, x: i64, y: i64) -> [f32; CHANNELS] {
    let inside = |value: i64, length: usize| usize::try_from(value).ok().filter(|&v| v < length);
    let (Some(x), Some(y)) = (inside(x, image.width()), inside(y, image.height())) else {
        return [0.0; CHANNELS];
    };
    let at = (y * image.width() + x) * CHANNELS;
    std::array::from_fn(|channel| f32::from(image.rgb()[at + channel]))
}

fn fill(
    rgb: &mut [u8],
    side: usize,
    from_crop: &Similarity,
    level: impl Fn(i64, i64) -> [f32; CHANNELS],
) {
    for (index, out) in rgb.chunks_exact_mut(CHANNELS).enumerate() {
        let [x, y] = from_crop.apply([(index % side) as f64, (index / side) as f64]);
        let (left, top) = (x.floor(), y.floor());
        let (across, down) = ((x - left) as f32, (y - top) as f32);
        // The cast saturates, so a point far outside stays far outside.
        let (column, row) = (left as i64, top as i64);
        let next = (column.saturating_add(1), row.saturating_add(1));
        let (a, b) = (level(column, row), level(next.0, row));
        let (c, d) = (level(column, next.1), level(next.0, next.1));
        for channel in 0..CHANNELS {
            let upper = a[channel] + (b[channel] - a[channel]) * across;
            let lower = c[channel] + (d[channel] - c[channel]) * across;
            out[channel] = (upper + (lower - upper) * down).round() as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_leave_less_than_a_twofold_shrink() {
        for tenth in 1..2000 {
            let shrink = f64::from(tenth) / 10.0;
            let rest = shrink / reduction(shrink) as f64;
            assert!(rest < REDUCE_FROM, "{shrink} leaves {rest}");
            assert!(shrink < REDUCE_FROM || rest >= 1.0, "{shrink} is reduced too far");
        }
    }
}
