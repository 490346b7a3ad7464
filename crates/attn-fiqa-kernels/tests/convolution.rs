//! Compares filters and patches on every instruction set with nested loops, for sizes around every
//! block size and with windows across every border.

mod numbers;

use attn_fiqa_kernels::{Depthwise, Features, Isa, PatchShape, patches};
use numbers::values;

/// One cell of the output, tap by tap.
fn filtered(
    x: &[f32],
    [rows, columns, channels]: [usize; 3],
    filter: &[f32],
    [side, stride]: [usize; 2],
    [row, column, channel]: [usize; 3],
) -> f64 {
    let mut sum = 0.0;
    for down in 0..side {
        for across in 0..side {
            let (Some(y), Some(x_at)) = (
                (row * stride + down).checked_sub(side / 2),
                (column * stride + across).checked_sub(side / 2),
            ) else {
                continue;
            };
            if y < rows && x_at < columns {
                let tap = filter[(channel * side + down) * side + across];
                sum += f64::from(x[(y * columns + x_at) * channels + channel]) * f64::from(tap);
            }
        }
    }
    sum
}

#[test]
fn filters_match_nested_loops_on_awkward_sizes() {
    let sizes = [[1, 1], [1, 9], [2, 3], [4, 4], [5, 6], [7, 13], [3, 17]];
    for (side, stride) in [(1, 1), (3, 1), (3, 2), (5, 1), (5, 2), (7, 3)] {
        for [rows, columns] in sizes {
            for channels in [1, 7, 16, 19, 48] {
                let x = values(rows * columns * channels, 1);
                let filter = values(channels * side * side, 2);
                let bias = values(channels, 3);
                let (out_rows, out_columns) = (rows.div_ceil(stride), columns.div_ceil(stride));
                let found = Isa::available().into_iter().map(|isa| {
                    let layer = Depthwise::new(isa, &filter, &bias, side, stride);
                    assert_eq!(layer.windows(columns), out_columns);
                    let mut out = vec![f32::NAN; out_rows * out_columns * channels];
                    let features = Features::new(&x, rows, columns, channels);
                    // One row alone, the others together.
                    let (first, others) = out.split_at_mut(out_columns * channels);
                    layer.apply(features, 0..1, first);
                    layer.apply(features, 1..out_rows, others);
                    out
                });
                let found: Vec<Vec<f32>> = found.collect();
                assert!(found.iter().all(|out| *out == found[0]));
                for (at, &found) in found[0].iter().enumerate() {
                    let (cell, channel) = (at / channels, at % channels);
                    let place = [cell / out_columns, cell % out_columns, channel];
                    let sum =
                        filtered(&x, [rows, columns, channels], &filter, [side, stride], place);
                    let expected = (sum + f64::from(bias[channel])).max(0.0);
                    assert!(
                        (f64::from(found) - expected).abs() < 1e-5,
                        "{side}×{side} at stride {stride} of {rows}×{columns}×{channels} at \
                         {place:?}: {found} is not {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn nan_stays_nan() {
    for isa in Isa::available() {
        let layer = Depthwise::new(isa, &[1.0; 9 * 17], &[0.0; 17], 3, 1);
        let mut x = values(5 * 5 * 17, 4);
        x[12 * 17] = f32::NAN;
        let mut out = vec![0.0; x.len()];
        layer.apply(Features::new(&x, 5, 5, 17), 0..5, &mut out);
        let of_first_channel: Vec<bool> = out.iter().step_by(17).map(|v| v.is_nan()).collect();
        assert_eq!(of_first_channel.iter().filter(|nan| **nan).count(), 9);
        assert_eq!(out.iter().filter(|v| v.is_nan()).count(), 9);
    }
}

#[test]
#[should_panic(expected = "rows beyond the output")]
fn rows_beyond_output_panic() {
    let layer = Depthwise::new(Isa::widest(), &[1.0; 9], &[0.0], 3, 2);
    layer.apply(Features::new(&[0.0; 25], 5, 5, 1), 2..4, &mut [0.0; 6]);
}

#[test]
fn patches_copy_pixels_and_pad_with_zeros() {
    let shapes = [(4, 4, 0), (3, 2, 1), (3, 1, 1), (4, 2, 3)];
    let sizes = [(1, 1), (2, 2), (4, 4), (5, 3), (16, 9), (23, 8)];
    for (shape, (width, height)) in shapes.iter().flat_map(|s| sizes.map(|size| (s, size))) {
        let &(side, stride, padding) = shape;
        let shape = PatchShape { side, stride, padding };
        let rgb: Vec<u8> = (0..3 * width * height).map(|i| (i * 37 % 251 + 1) as u8).collect();
        for (columns, patch_row) in [1, 2, 6, 8, 14].iter().flat_map(|&c| [(c, 0), (c, 1), (c, 4)])
        {
            for isa in Isa::available() {
                let mut out = vec![f32::NAN; columns * shape.levels()];
                patches(isa, &rgb, width, shape, patch_row, &mut out);
                for (at, &found) in out.iter().enumerate() {
                    let (patch, row) = (at / shape.levels(), at % shape.levels() / (3 * side));
                    let (column, colour) = (at % (3 * side) / 3, at % 3);
                    let x = (patch * stride + column).wrapping_sub(padding);
                    let y = (patch_row * stride + row).wrapping_sub(padding);
                    let inside = x < width && y < height;
                    let expected = if inside { rgb[(y * width + x) * 3 + colour] } else { 0 };
                    let place = format!("{width}×{height} {shape:?} {isa:?} {patch_row} {at}");
                    assert_eq!(found, f32::from(expected), "{place}");
                }
            }
        }
    }
}
