//! The driver of the AVX2 and NEON kernels: tiles of a few rows and half a panel, which fit
//! into 16 registers of eight values or 32 of four. The kernels compute sums; the epilogue is
//! the reference's.

use std::cell::RefCell;

use super::reference::apply_epilogue;
#[cfg(target_arch = "x86_64")]
use super::reference::dequantize;
use super::{KStep, NR, PackedWeights, Rows, widen};
use crate::precision::{Epilogue, Precision};

/// Rows of an f32 tile: twelve AVX2 registers of sums, or 24 of NEON.
pub(super) const MR_F32: usize = 6;
/// Rows of an int8 tile, which needs more registers for the weights.
#[cfg(target_arch = "x86_64")]
pub(super) const MR_INT8: usize = 4;
/// Outputs of a tile.
pub(super) const TILE_NR: usize = 16;

/// The operands of a kernel, `sums[row] += x[row] · weights`.
pub(super) struct MicroTile<'a, T, const ROWS: usize> {
    /// The words of each row, one per step. The last row is repeated to fill the tile.
    pub(super) x: [&'a [u32]; ROWS],
    pub(super) steps: &'a [KStep],
    /// The tile's first output within the panel.
    pub(super) first: usize,
    pub(super) sums: [[T; TILE_NR]; ROWS],
}

thread_local! {
    /// A widened panel, one per thread, so that a steady run allocates nothing.
    static WIDE: RefCell<Vec<KStep>> = const { RefCell::new(Vec::new()) };
}

/// A product with f32 sums; bf16 weights are widened for the kernel.
pub(super) fn f32_tiles(
    weights: &PackedWeights,
    rows: Rows<'_>,
    out: &mut [f32],
    epilogue: Epilogue,
    run: impl Fn(&mut MicroTile<'_, f32, MR_F32>),
) {
    let bf16 = weights.precision == Precision::Bf16;
    WIDE.with_borrow_mut(|wide| {
        if bf16 {
            wide.resize(weights.row_words(), KStep([0; NR]));
        }
        for panel in 0..weights.bias.len() / NR {
            let steps = weights.panel(panel);
            let steps = if bf16 { widen(steps, wide) } else { steps };
            let store = |_, outputs, product: &[f32], out: &mut [f32]| {
                apply_epilogue(epilogue, product, &weights.bias[outputs..], out);
            };
            one_panel(weights, rows, out, (panel, steps), &run, store);
        }
    });
}

/// A product of int8.
#[cfg(target_arch = "x86_64")]
pub(super) fn int8_tiles(
    weights: &PackedWeights,
    rows: Rows<'_>,
    out: &mut [f32],
    epilogue: Epilogue,
    run: impl Fn(&mut MicroTile<'_, i32, MR_INT8>),
) {
    for panel in 0..weights.bias.len() / NR {
        let store = |row: usize, outputs, sums: &[i32], out: &mut [f32]| {
            let mut product = [0.0; TILE_NR];
            dequantize(weights, outputs..outputs + TILE_NR, rows.params[row], sums, &mut product);
            apply_epilogue(epilogue, &product, &weights.bias[outputs..], out);
        };
        one_panel(weights, rows, out, (panel, weights.panel(panel)), &run, store);
    }
}

/// Runs every tile of a panel and stores each of its rows by `store(row, first output, sums,
/// out)`.
fn one_panel<T: Copy + Default, const ROWS: usize>(
    weights: &PackedWeights,
    rows: Rows<'_>,
    out: &mut [f32],
    (panel, steps): (usize, &[KStep]),
    run: impl Fn(&mut MicroTile<'_, T, ROWS>),
    store: impl Fn(usize, usize, &[T], &mut [f32]),
) {
    let width = weights.row_words();
    for first in (0..NR).step_by(TILE_NR) {
        let outputs = panel * NR + first;
        if outputs >= weights.outputs {
            continue;
        }
        let count = TILE_NR.min(weights.outputs - outputs);
        for first_row in (0..rows.count).step_by(ROWS) {
            let last = rows.count - 1;
            let x = |row: usize| &rows.words[(first_row + row).min(last) * width..][..width];
            let sums = [[T::default(); TILE_NR]; ROWS];
            let mut tile = MicroTile { x: std::array::from_fn(x), steps, first, sums };
            run(&mut tile);
            for (row, sums) in (first_row..rows.count).zip(&tile.sums) {
                let out = &mut out[row * weights.outputs + outputs..][..count];
                store(row, outputs, sums, out);
            }
        }
    }
}
