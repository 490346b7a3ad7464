//! Bilinear resizing as OpenCV does it (`INTER_LINEAR`).
//!
//! Pixel centres lie at half-integers, so output column `x` samples input column
//! `(x + 0.5) · in / out − 0.5`; beyond the border the edge is repeated. There is no smoothing
//! before shrinking: the networks were trained on images made this way, and smoother ones would
//! score differently.

use crate::pixels::Image;

pub use area::shrink_area;

mod area;

const CHANNELS: usize = 3;

/// The two input positions that one output position mixes.
struct Tap {
    near: usize,
    far: usize,
    /// The fraction of `far`, in 0 … 1.
    weight: f32,
}

/// One tap per output position along one axis; both lengths are positive.
fn taps(input: usize, output: usize) -> Vec<Tap> {
    let scale = input as f64 / output as f64;
    let last = input - 1;
    (0..output)
        .map(|position| {
            let centre = ((position as f64 + 0.5) * scale - 0.5).clamp(0.0, last as f64);
            let near = (centre.floor() as usize).min(last);
            Tap { near, far: (near + 1).min(last), weight: (centre - near as f64) as f32 }
        })
        .collect()
}

fn mix(a: f32, b: f32, weight: f32) -> f32 {
    a + (b - a) * weight
}

/// Resizes to `width × height` pixels; each side is scaled independently, so the aspect ratio may
/// change.
///
/// Levels are rounded to the nearest integer and lie within one level of OpenCV's `INTER_LINEAR`,
/// which rounds its weights to 11 bits. Returns `None` if a side is zero or the image would not fit
/// in the address space.
pub fn resize_bilinear(image: &Image, width: usize, height: usize) -> Option<Image> {
    let length = width.checked_mul(height)?.checked_mul(CHANNELS)?;
    if length == 0 || isize::try_from(length).is_err() {
        return None;
    }
    if (width, height) == (image.width(), image.height()) {
        return Some(image.clone());
    }
    let columns = taps(image.width(), width);
    let row_length = image.width() * CHANNELS;
    let row = |index: usize| &image.rgb()[index * row_length..][..row_length];
    let mut rgb = Vec::with_capacity(length);
    for vertical in taps(image.height(), height) {
        let (upper, lower) = (row(vertical.near), row(vertical.far));
        for column in &columns {
            for channel in 0..CHANNELS {
                let (left, right) =
                    (column.near * CHANNELS + channel, column.far * CHANNELS + channel);
                let level = |pixels: &[u8]| {
                    mix(f32::from(pixels[left]), f32::from(pixels[right]), column.weight)
                };
                let value = mix(level(upper), level(lower), vertical.weight);
                rgb.push(value.round() as u8);
            }
        }
    }
    Image::from_rgb(width, height, rgb)
}

/// Resizes a grid of one number per cell, row-major, from `(rows, columns)` to
/// `(rows, columns)`, with the geometry of [`resize_bilinear`].
///
/// The caller ensures that both shapes are positive and that `values` fills the first.
#[cfg(feature = "visualize")]
pub(crate) fn resize_bilinear_grid(
    values: &[f32],
    (rows, columns): (usize, usize),
    (out_rows, out_columns): (usize, usize),
) -> Vec<f32> {
    assert!(
        rows * columns > 0 && values.len() == rows * columns,
        "a grid of {rows}×{columns} cells has {} values: this is a bug",
        values.len()
    );
    let horizontal = taps(columns, out_columns);
    let row = |index: usize| &values[index * columns..][..columns];
    let mut resized = Vec::with_capacity(out_rows * out_columns);
    for vertical in taps(rows, out_rows) {
        let (upper, lower) = (row(vertical.near), row(vertical.far));
        resized.extend(horizontal.iter().map(|column| {
            let value = |cells: &[f32]| mix(cells[column.near], cells[column.far], column.weight);
            mix(value(upper), value(lower), vertical.weight)
        }));
    }
    resized
}

#[cfg(test)]
mod tests {
    use super::resize_bilinear_grid;

    /// Bilinear interpolation written out at one point, in f64.
    fn at(values: &[f32], rows: usize, columns: usize, y: f64, x: f64) -> f64 {
        let cell = |row: f64, column: f64| {
            let row = row.clamp(0.0, rows as f64 - 1.0) as usize;
            let column = column.clamp(0.0, columns as f64 - 1.0) as usize;
            f64::from(values[row * columns + column])
        };
        let (top, left) = (y.floor(), x.floor());
        let (down, right) = (y - top, x - left);
        (1.0 - down) * (1.0 - right) * cell(top, left)
            + (1.0 - down) * right * cell(top, left + 1.0)
            + down * (1.0 - right) * cell(top + 1.0, left)
            + down * right * cell(top + 1.0, left + 1.0)
    }

    #[test]
    fn grids_are_interpolated_at_half_pixel_centres() {
        let (rows, columns, out_rows, out_columns) = (3, 5, 16, 7);
        let values: Vec<f32> = (0..rows * columns).map(|i| ((i * 37 % 11) as f32) - 4.5).collect();
        let resized = resize_bilinear_grid(&values, (rows, columns), (out_rows, out_columns));
        assert_eq!(resized.len(), out_rows * out_columns);
        for row in 0..out_rows {
            for column in 0..out_columns {
                let y = (row as f64 + 0.5) * rows as f64 / out_rows as f64 - 0.5;
                let x = (column as f64 + 0.5) * columns as f64 / out_columns as f64 - 0.5;
                let expected = at(&values, rows, columns, y, x);
                let found = f64::from(resized[row * out_columns + column]);
                assert!((found - expected).abs() < 1e-5, "{found} ≠ {expected}");
            }
        }
    }

    #[test]
    fn a_grid_keeps_its_values_at_its_own_size() {
        let values = [1.5, -2.0, 0.25, 8.0, 3.0, -1.0];
        assert_eq!(resize_bilinear_grid(&values, (2, 3), (2, 3)), values);
    }
}
