//! The NEON kernels: six rows and sixteen outputs, 24 of the 32 registers hold sums.

use std::arch::aarch64::*;

use super::KStep;
use super::micro_tile::{MR_F32, MicroTile, TILE_NR};

/// Values of one NEON register.
const LANES: usize = 4;
const REGISTERS: usize = TILE_NR / LANES;

type Sums = [[float32x4_t; REGISTERS]; MR_F32];

/// f32 by fused multiply–adds.
pub(super) fn multiply_f32(tile: &mut MicroTile<'_, f32, MR_F32>) {
    check(tile);
    let mut sums = zeros();
    for (step, KStep(weights)) in tile.steps.iter().enumerate() {
        let words = load(weights, tile.first);
        // SAFETY: every aarch64 machine of this target has NEON.
        let weights = words.map(|words| unsafe { vreinterpretq_f32_u32(words) });
        add_products(&mut sums, &tile.x, step, weights);
    }
    store(&sums, tile);
}

/// `sums[row] += x[row][word] · weights`. `check` has found the word in every row.
#[inline(always)]
fn add_products(
    sums: &mut Sums,
    x: &[&[u32]; MR_F32],
    word: usize,
    weights: [float32x4_t; REGISTERS],
) {
    for (sums, x) in sums.iter_mut().zip(x) {
        // SAFETY: the word is there, and every aarch64 machine of this target has NEON.
        unsafe {
            let x = f32::from_bits(*x.get_unchecked(word));
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum = vfmaq_n_f32(*sum, weight, x);
            }
        }
    }
}

#[inline(always)]
fn zeros() -> Sums {
    // SAFETY: every aarch64 machine of this target has NEON.
    [[unsafe { vdupq_n_f32(0.0) }; REGISTERS]; MR_F32]
}

/// The tile's sixteen words of one step.
#[inline(always)]
fn load(weights: &[u32], first: usize) -> [uint32x4_t; REGISTERS] {
    let words = &weights[first..first + TILE_NR];
    std::array::from_fn(|index| {
        // SAFETY: sixteen words were just found, and every aarch64 machine has NEON.
        unsafe { vld1q_u32(words.as_ptr().add(index * LANES)) }
    })
}

#[inline(always)]
fn store(sums: &Sums, tile: &mut MicroTile<'_, f32, MR_F32>) {
    for (out, sums) in tile.sums.iter_mut().zip(sums) {
        for (index, &sum) in sums.iter().enumerate() {
            // SAFETY: a row of sums holds four registers, and every aarch64 has NEON.
            unsafe { vst1q_f32(out.as_mut_ptr().add(index * LANES), sum) };
        }
    }
}

fn check(tile: &MicroTile<'_, f32, MR_F32>) {
    let steps = tile.steps.len();
    assert!(tile.x.iter().all(|row| row.len() >= steps), "a row ends before its steps");
}
