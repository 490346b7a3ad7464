//! Depthwise convolution.
//!
//! Channels are contiguous, so they are the lanes of a register, and one tap of a filter is
//! one multiplication for all of them. Four neighbouring cells are summed at once, so that
//! each loaded tap is used four times. Taps beyond the border are skipped, which is the same
//! as padding with zeros.

use std::ops::Range;

use crate::Isa;
use crate::features::Features;
use crate::isa::for_every_isa;

/// Cells summed together.
const CELLS: usize = 4;
/// Channels summed together: one AVX-512 register, two of AVX2 or four of SSE2 and NEON.
const LANES: usize = 16;

/// A depthwise convolution with bias and ReLU: one filter of odd side per channel, padded by
/// half its side.
#[derive(Debug, Clone)]
pub struct Depthwise {
    isa: Isa,
    channels: usize,
    side: usize,
    stride: usize,
    /// `[row, column, channel]`.
    weights: Vec<f32>,
    /// `[channel]`.
    bias: Vec<f32>,
}

impl Depthwise {
    /// Packs filters `[channel, row, column]` of `side` × `side` taps and a bias `[channel]`.
    /// Windows are `stride` cells apart.
    ///
    /// # Panics
    ///
    /// If `side` is even, `stride` is zero, or the weights are not one filter for each value of the
    /// bias.
    pub fn new(isa: Isa, weight: &[f32], bias: &[f32], side: usize, stride: usize) -> Self {
        assert!(side % 2 == 1 && stride > 0, "side {side} is even or stride {stride} is 0");
        let (channels, taps) = (bias.len(), side * side);
        assert_eq!(weight.len(), channels * taps, "expected one filter per channel");
        let weights = (0..taps * channels)
            .map(|place| weight[place % channels * taps + place / channels])
            .collect();
        Self { isa, channels, side, stride, weights, bias: bias.to_vec() }
    }

    /// Number of channels of the input and of the output.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Rows (or columns) of a filter.
    pub fn side(&self) -> usize {
        self.side
    }

    /// Cells from one window to the next.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Number of output rows (or columns) for `cells` input rows (or columns): windows are centred
    /// at every `stride`-th cell from the first.
    pub fn windows(&self, cells: usize) -> usize {
        cells.div_ceil(self.stride)
    }

    /// Computes the given rows of the output, `[row, column, channel]`. The bits of a row depend
    /// neither on the instruction set nor on the other rows.
    ///
    /// # Panics
    ///
    /// If `x` has another number of channels, `rows` exceed the output, or `out` has the wrong
    /// length.
    pub fn apply(&self, x: Features<'_>, rows: Range<usize>, out: &mut [f32]) {
        assert_eq!(x.channels, self.channels, "features and filters differ in channels");
        assert!(rows.end <= self.windows(x.rows), "rows beyond the output");
        let row_length = self.windows(x.columns) * self.channels;
        assert_eq!(out.len(), rows.len() * row_length, "out does not have the length of its rows");
        if !out.is_empty() {
            filter_rows(self.isa, self, x, rows.start, out);
        }
    }

    /// The taps of the window at `place` that lie within `length` cells.
    #[inline(always)]
    fn taps(&self, place: usize, length: usize) -> Range<usize> {
        let (first, half) = (place * self.stride, self.side / 2);
        half.saturating_sub(first)..self.side.min(length + half - first)
    }
}

for_every_isa! {
    fn filter_rows(layer: &Depthwise, x: Features<'_>, first_row: usize, out: &mut [f32]) {
        let columns = layer.windows(x.columns);
        let rows = out.chunks_exact_mut(columns * layer.channels);
        for (row, out) in (first_row..).zip(rows) {
            let down = layer.taps(row, x.rows);
            let mut column = 0;
            while column < columns {
                let across = layer.taps(column, x.columns);
                let last = column + CELLS - 1;
                let whole = |taps: &Range<usize>| taps.len() == layer.side;
                let together = whole(&across)
                    && last < columns
                    && whole(&layer.taps(last, x.columns));
                let window = Window { row, column, down: down.clone(), across };
                let out = &mut out[column * layer.channels..];
                if together {
                    every_channel::<CELLS>(layer, x, &window, out);
                    column += CELLS;
                } else {
                    every_channel::<1>(layer, x, &window, out);
                    column += 1;
                }
            }
        }
    }
}

/// A cell of the output, and the taps of its filter that lie within the input.
struct Window {
    row: usize,
    column: usize,
    down: Range<usize>,
    across: Range<usize>,
}

/// Neighbouring windows with the same taps; `out` begins at the first one's cell.
#[inline(always)]
fn every_channel<const WINDOWS: usize>(
    layer: &Depthwise,
    x: Features<'_>,
    window: &Window,
    out: &mut [f32],
) {
    let mut channel = 0;
    while channel + LANES <= layer.channels {
        some_channels::<WINDOWS, LANES>(layer, x, window, channel, out);
        channel += LANES;
    }
    while channel < layer.channels {
        some_channels::<WINDOWS, 1>(layer, x, window, channel, out);
        channel += 1;
    }
}

/// `WIDTH` channels, from `channel` on.
#[inline(always)]
fn some_channels<const WINDOWS: usize, const WIDTH: usize>(
    layer: &Depthwise,
    x: Features<'_>,
    window: &Window,
    channel: usize,
    out: &mut [f32],
) {
    let &Depthwise { channels, side, stride, ref weights, ref bias, .. } = layer;
    let Window { row, column, down, across } = window;
    // Offsets of the first tap in the input and in the weights.
    let top = row * stride + down.start - side / 2;
    let left = column * stride + across.start - side / 2;
    let from = (top * x.columns + left) * channels + channel;
    let weights_from = (down.start * side + across.start) * channels + channel;
    let (rows, columns) = (down.len(), across.len());
    assert!(rows > 0 && columns > 0, "a window outside the features: this is a bug");
    let last = (rows - 1) * x.columns + (WINDOWS - 1) * stride + columns - 1;
    assert!(from + last * channels + WIDTH <= x.values.len(), "a tap outside the features");
    let last = (rows - 1) * side + columns - 1;
    assert!(weights_from + last * channels + WIDTH <= weights.len(), "a tap outside the filter");

    let bias: [f32; WIDTH] = std::array::from_fn(|lane| bias[channel + lane]);
    let mut sums = [bias; WINDOWS];
    for tap_row in 0..rows {
        for tap_column in 0..columns {
            let at = weights_from + (tap_row * side + tap_column) * channels;
            // SAFETY: no tap comes after the last one, which the assertion above found
            // among the weights.
            let tap = unsafe { lanes::<WIDTH>(weights, at) };
            for (place, sums) in sums.iter_mut().enumerate() {
                let cell = tap_row * x.columns + place * stride + tap_column;
                // SAFETY: no tap comes after the last window's last one, which the
                // assertion above found among the values.
                let input = unsafe { lanes::<WIDTH>(x.values, from + cell * channels) };
                for ((sum, input), tap) in sums.iter_mut().zip(input).zip(tap) {
                    *sum += input * tap;
                }
            }
        }
    }
    for (place, sums) in sums.iter().enumerate() {
        let out = &mut out[place * channels + channel..][..WIDTH];
        for (out, &sum) in out.iter_mut().zip(sums) {
            *out = if sum < 0.0 { 0.0 } else { sum };
        }
    }
}

/// # Safety
///
/// `values` must hold `at + WIDTH` values.
#[inline(always)]
unsafe fn lanes<const WIDTH: usize>(values: &[f32], at: usize) -> &[f32; WIDTH] {
    // SAFETY: by the contract; an array is aligned as its elements are.
    unsafe { &*values.as_ptr().add(at).cast() }
}
