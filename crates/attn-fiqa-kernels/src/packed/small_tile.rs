//! Products in tiles of a few rows and half a panel: what 16 registers of eight values
//! or 32 of four hold. The kernels leave sums; what becomes of them is the portable
//! code's.

use std::cell::RefCell;

use super::portable::finish_with;
#[cfg(target_arch = "x86_64")]
use super::portable::unscale;
use super::{PANEL, PackedWeights, Rows, Step, widen};
use crate::precision::{Finish, Precision};

/// Rows of a tile of f32: twelve AVX2 registers of sums, or 24 of NEON.
pub(super) const FLOAT_ROWS: usize = 6;
/// Rows of a tile of bytes, which needs more registers for the weights.
#[cfg(target_arch = "x86_64")]
pub(super) const BYTE_ROWS: usize = 4;
/// Outputs of a tile.
pub(super) const WIDTH: usize = 16;

/// What a kernel multiplies, `sums[row] += x[row] · weights`.
pub(super) struct SmallTile<'a, T, const ROWS: usize> {
    /// The words of each row, as many as there are steps; behind the last row it is
    /// repeated.
    pub(super) x: [&'a [u32]; ROWS],
    pub(super) steps: &'a [Step],
    /// The first of the tile's outputs within the panel.
    pub(super) first: usize,
    pub(super) sums: [[T; WIDTH]; ROWS],
}

thread_local! {
    /// A widened panel; kept by every thread, so that a steady run allocates nothing here.
    static WIDE: RefCell<Vec<Step>> = const { RefCell::new(Vec::new()) };
}

/// A product whose sums are f32. Steps of bf16 are widened for the kernel.
pub(super) fn floats(
    weights: &PackedWeights,
    rows: Rows<'_>,
    out: &mut [f32],
    finish: Finish,
    run: impl Fn(&mut SmallTile<'_, f32, FLOAT_ROWS>),
) {
    let bf16 = weights.precision == Precision::Bf16;
    WIDE.with_borrow_mut(|wide| {
        if bf16 {
            wide.resize(weights.row_words(), Step([0; PANEL]));
        }
        for panel in 0..weights.bias.len() / PANEL {
            let steps = weights.panel(panel);
            let steps = if bf16 { widen(steps, wide) } else { steps };
            let store = |_, outputs, product: &[f32], out: &mut [f32]| {
                finish_with(finish, product, &weights.bias[outputs..], out);
            };
            one_panel(weights, rows, out, (panel, steps), &run, store);
        }
    });
}

/// A product of bytes.
#[cfg(target_arch = "x86_64")]
pub(super) fn bytes(
    weights: &PackedWeights,
    rows: Rows<'_>,
    out: &mut [f32],
    finish: Finish,
    run: impl Fn(&mut SmallTile<'_, i32, BYTE_ROWS>),
) {
    for panel in 0..weights.bias.len() / PANEL {
        let store = |row: usize, outputs, sums: &[i32], out: &mut [f32]| {
            let mut product = [0.0; WIDTH];
            unscale(weights, outputs..outputs + WIDTH, rows.scales[row], sums, &mut product);
            finish_with(finish, &product, &weights.bias[outputs..], out);
        };
        one_panel(weights, rows, out, (panel, weights.panel(panel)), &run, store);
    }
}

/// Runs every tile of a panel and hands each of its rows on: `(row, first output, sums,
/// out)`.
fn one_panel<T: Copy + Default, const ROWS: usize>(
    weights: &PackedWeights,
    rows: Rows<'_>,
    out: &mut [f32],
    (panel, steps): (usize, &[Step]),
    run: impl Fn(&mut SmallTile<'_, T, ROWS>),
    store: impl Fn(usize, usize, &[T], &mut [f32]),
) {
    let width = weights.row_words();
    for first in (0..PANEL).step_by(WIDTH) {
        let outputs = panel * PANEL + first;
        if outputs >= weights.outputs {
            continue;
        }
        let count = WIDTH.min(weights.outputs - outputs);
        for first_row in (0..rows.count).step_by(ROWS) {
            let last = rows.count - 1;
            let x = |row: usize| &rows.words[(first_row + row).min(last) * width..][..width];
            let sums = [[T::default(); WIDTH]; ROWS];
            let mut tile = SmallTile { x: std::array::from_fn(x), steps, first, sums };
            run(&mut tile);
            for (row, sums) in (first_row..rows.count).zip(&tile.sums) {
                let out = &mut out[row * weights.outputs + outputs..][..count];
                store(row, outputs, sums, out);
            }
        }
    }
}
