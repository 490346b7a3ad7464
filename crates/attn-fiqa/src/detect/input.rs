//! Converts an image's pixels to a network's input.

use super::format::{InputPixels, InputSize};
use crate::pixels::Image;

/// Width and height are multiples of this, the largest stride.
pub(super) const ALIGNMENT: usize = 32;

/// The smallest input that holds an image.
pub(super) fn input_size(width: usize, height: usize) -> InputSize {
    InputSize {
        width: width.next_multiple_of(ALIGNMENT),
        height: height.next_multiple_of(ALIGNMENT),
    }
}

/// `[1, 3, row, column]`: the image in the top-left corner, black elsewhere.
pub(super) fn planes(image: &Image, size: InputSize, pixels: InputPixels) -> Vec<f32> {
    let InputPixels { blue_first, mean, scale } = pixels;
    let level: [f32; 256] = std::array::from_fn(|level| (level as f32 - mean) * scale);
    let plane_length = size.width * size.height;
    let mut planes = vec![level[0]; 3 * plane_length];
    for (plane, out) in planes.chunks_exact_mut(plane_length).enumerate() {
        let channel = if blue_first { 2 - plane } else { plane };
        let rows = image.rgb().chunks_exact(3 * image.width());
        for (row, out) in rows.zip(out.chunks_exact_mut(size.width)) {
            for (pixel, out) in row.chunks_exact(3).zip(out) {
                *out = level[usize::from(pixel[channel])];
            }
        }
    }
    planes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_are_rgb_or_bgr_padded_with_black() {
        let rgb: Vec<u8> = (0..2 * 3 * 3).collect();
        let image = Image::from_rgb(3, 2, rgb).unwrap();
        let size = input_size(3, 2);
        assert_eq!((size.width, size.height), (32, 32));
        for blue_first in [false, true] {
            let pixels = InputPixels { blue_first, mean: 127.5, scale: 1.0 / 128.0 };
            let planes = planes(&image, size, pixels);
            assert_eq!(planes.len(), 3 * 32 * 32);
            for plane in 0..3 {
                for row in 0..32 {
                    for column in 0..32 {
                        let channel = if blue_first { 2 - plane } else { plane };
                        let inside = row < 2 && column < 3;
                        let level = if inside { (row * 3 + column) * 3 + channel } else { 0 };
                        let found = planes[(plane * 32 + row) * 32 + column];
                        assert_eq!(found, (level as f32 - 127.5) / 128.0);
                    }
                }
            }
        }
    }
}
