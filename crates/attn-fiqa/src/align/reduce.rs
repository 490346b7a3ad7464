//! The part of an image that a crop covers, reduced by block averaging.

use super::Similarity;
use crate::pixels::Image;

const CHANNELS: usize = 3;

/// Means of square pixel blocks over the part of an image that a crop covers. Pixels outside the
/// image count as black.
#[derive(Debug)]
pub(super) struct Reduced {
    columns: usize,
    rows: usize,
    /// `[row, column, channel]`, 0 to 255.
    levels: Vec<f32>,
    /// Maps pixels of the crop to blocks.
    pub(super) from_crop: Similarity,
}

impl Reduced {
    /// Averages the blocks of `factor × factor` pixels that a crop of `side` pixels samples.
    ///
    /// `from_crop` maps the crop's pixels to the image's and enlarges by at least `factor`, so that
    /// there are at most about `(2·√2·side)²` blocks.
    pub(super) fn new(image: &Image, from_crop: &Similarity, side: usize, factor: usize) -> Self {
        let last = side.saturating_sub(1) as f64;
        let corners = [[0.0, 0.0], [last, 0.0], [0.0, last], [last, last]];
        let corners = corners.map(|corner| from_crop.apply(corner));
        let (x, columns) = blocks(corners.map(|corner| corner[0]), factor);
        let (y, rows) = blocks(corners.map(|corner| corner[1]), factor);

        let step = factor as i64;
        let across = inside(x, columns, step, image.width());
        let down = inside(y, rows, step, image.height());
        let mut levels = vec![0.0_f32; columns * rows * CHANNELS];
        let weight = (factor as f32).powi(-2);
        let mut sums = vec![0_u64; columns * CHANNELS];
        for row in 0..rows {
            sums.fill(0);
            let first = y + row as i64 * step;
            for line in first.max(down.0)..(first + step).min(down.1) {
                let line = line as usize * image.width();
                let pixels = &image.rgb()[(line + across.0 as usize) * CHANNELS..]
                    [..(across.1 - across.0) as usize * CHANNELS];
                add_line(&mut sums, pixels, (across.0 - x) as usize, factor);
            }
            let levels = &mut levels[row * columns * CHANNELS..][..columns * CHANNELS];
            for (level, &sum) in levels.iter_mut().zip(&sums) {
                *level = sum as f32 * weight;
            }
        }
        // A block's centre is the mean of its pixels' centres.
        let middle = (factor as f64 - 1.0) / 2.0;
        let factor = factor as f64;
        let shift = [
            (from_crop.shift[0] - x as f64 - middle) / factor,
            (from_crop.shift[1] - y as f64 - middle) / factor,
        ];
        let from_crop = Similarity { a: from_crop.a / factor, b: from_crop.b / factor, shift };
        Self { columns, rows, levels, from_crop }
    }

    /// A block's values; black outside.
    pub(super) fn block(&self, column: i64, row: i64) -> [f32; CHANNELS] {
        match (usize::try_from(column), usize::try_from(row)) {
            (Ok(column), Ok(row)) if column < self.columns && row < self.rows => {
                let at = (row * self.columns + column) * CHANNELS;
                std::array::from_fn(|channel| self.levels[at + channel])
            }
            _ => [0.0; CHANNELS],
        }
    }
}

/// The first pixel and the number of blocks along one axis, with a margin of one block on either
/// side. The block grid is anchored to the crop and not to the image's edge, so that a face shifted
/// by whole pixels gives the same crop.
fn blocks(positions: [f64; 4], factor: usize) -> (i64, usize) {
    let least = positions.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = positions.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let first = least.floor() as i64 - factor as i64;
    let count = ((greatest - least) / factor as f64).ceil() as usize + 3;
    (first, count)
}

/// The range of pixels covered by both the blocks and the image.
fn inside(first: i64, count: usize, step: i64, length: usize) -> (i64, i64) {
    let length = length as i64;
    let from = first.clamp(0, length);
    (from, (first + count as i64 * step).clamp(from, length))
}

/// Adds a row of pixels to the block sums; its first pixel is pixel `offset` of the blocks.
fn add_line(sums: &mut [u64], pixels: &[u8], offset: usize, factor: usize) {
    let (mut block, mut left) = (offset / factor, factor - offset % factor);
    for pixel in pixels.chunks_exact(CHANNELS) {
        if left == 0 {
            (block, left) = (block + 1, factor);
        }
        left -= 1;
        let sums = &mut sums[block * CHANNELS..][..CHANNELS];
        for (sum, &level) in sums.iter_mut().zip(pixel) {
            *sum += u64::from(level);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reduced_size_is_bounded_by_crop_size() {
        let image = Image::from_rgb(900, 700, vec![200; 900 * 700 * 3]).expect("an image");
        for (angle, shrink) in [(0.0_f64, 2.0), (0.7, 2.99), (0.8, 5.5), (2.0, 60.0)] {
            let from_crop = Similarity {
                a: shrink * angle.cos(),
                b: shrink * angle.sin(),
                shift: [100.0, 100.0],
            };
            let reduced = Reduced::new(&image, &from_crop, 112, shrink as usize);
            // Rotated by 45°, with a 1.5-fold reduction left to do.
            let most = (112.0 * 1.5 * f64::sqrt(2.0)) as usize + 4;
            assert!(reduced.columns <= most && reduced.rows <= most, "{shrink}: {reduced:?}");
        }
    }

    #[test]
    fn block_means_are_invariant_to_whole_pixel_shifts() {
        let (width, height) = (300, 260);
        let noise = |x: usize, y: usize| ((x * 7919 + y * 104_729 + x * y) % 251) as u8;
        let image = |dx: usize, dy: usize| {
            let pixels = (0..width * height)
                .flat_map(|i| [noise(i % width + 10 - dx, i / width + 10 - dy); CHANNELS]);
            Image::from_rgb(width, height, pixels.collect()).expect("an image")
        };
        let reduced = |dx: usize, dy: usize| {
            let shift = [40.3 + dx as f64, 35.8 + dy as f64];
            let from_crop = Similarity { a: 3.3, b: 0.4, shift };
            Reduced::new(&image(dx, dy), &from_crop, 40, 3).levels
        };
        assert_eq!(reduced(0, 0), reduced(7, 4));
    }
}
