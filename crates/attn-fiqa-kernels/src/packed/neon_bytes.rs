//! The NEON kernels for bytes, with the same tiles as those of `neon`.

use std::arch::aarch64::*;

use super::neon::NeonRegisters;
use super::register_tile::{Dot, Tile, register_kernel};
use super::simd::Simd;
use super::{KStep, NR};
use crate::neon_products::{sdot, usdot, usmmla};

/// Rows of the largest tile.
const MR: usize = 6;

register_kernel! {
    /// int8 by products of 2×8 matrices of bytes, summed in i32.
    Int8Matrix: Int8 as Bytes,
    name: "neon-i8mm int8",
    features: [Neon, I8mm], enabled by "neon,i8mm",
    tile: int8_tile of 4 registers of NeonRegisters, dot: MatrixProduct,
    steps: usize::MAX,
    rows: [6, 5, 4, 3, 2, 1],
}

register_kernel! {
    /// int8 by dot products of four, summed in i32.
    Int8: Int8 as Bytes,
    name: "neon-dotprod int8",
    features: [Neon, Dotprod], enabled by "neon,dotprod",
    tile: int8_tile of 4 registers of NeonRegisters, dot: SignedInt8Dot,
    steps: usize::MAX,
    rows: [6, 5, 4, 3, 2, 1],
}

/// Without i8mm both operands are signed, so 128 is subtracted from the input's bytes.
struct SignedInt8Dot;

impl Dot<NeonRegisters> for SignedInt8Dot {
    const BYTE_OFFSET: i32 = 128;

    type Weights = uint32x4_t;

    #[inline(always)]
    unsafe fn prepare(weights: uint32x4_t) -> uint32x4_t {
        weights
    }

    #[inline(always)]
    unsafe fn dot(sums: uint32x4_t, x: uint32x4_t, weights: uint32x4_t) -> uint32x4_t {
        // SAFETY: by the trait's contract.
        unsafe { sdot(sums, veorq_u32(x, vdupq_n_u32(0x8080_8080)), weights) }
    }
}

/// Two rows by two outputs over two K steps at a time: 32 products per instruction.
struct MatrixProduct;

impl Dot<NeonRegisters> for MatrixProduct {
    type Weights = uint32x4_t;

    #[inline(always)]
    unsafe fn prepare(weights: uint32x4_t) -> uint32x4_t {
        weights
    }

    /// For the last K step, if their number is odd.
    #[inline(always)]
    unsafe fn dot(sums: uint32x4_t, x: uint32x4_t, weights: uint32x4_t) -> uint32x4_t {
        // SAFETY: by the trait's contract.
        unsafe { usdot(sums, x, weights) }
    }

    #[inline(always)]
    unsafe fn accumulate<const ROWS: usize, const REGISTERS: usize>(
        tile: &Tile<'_>,
        sums: &mut [[uint32x4_t; REGISTERS]; ROWS],
    ) {
        const { assert!(ROWS <= MR, "more rows than pairs") };
        let &Tile { steps, x, x_stride, output, .. } = tile;
        let lane = output % NR;
        let pairs = ROWS.div_ceil(2);
        // If the number of rows is odd, the last is paired with itself.
        let rows = |pair: usize| [2 * pair, (2 * pair + 1).min(ROWS - 1)];
        let (step_pairs, last) = steps.as_chunks::<2>();
        // SAFETY: by the contract; `lane` and the registers from there lie within a K step.
        unsafe {
            // Each holds two rows of two outputs.
            let mut blocks = [[[vdupq_n_u32(0); 2]; REGISTERS]; MR.div_ceil(2)];
            for (pair, blocks) in blocks.iter_mut().enumerate().take(pairs) {
                let [one, other] = rows(pair).map(|row| sums[row]);
                for (register, block) in blocks.iter_mut().enumerate() {
                    *block = transposed(one[register], other[register]);
                }
            }
            for (step, [KStep(first), KStep(second)]) in step_pairs.iter().enumerate() {
                let words = |row: usize| vld1_u32(x.add(row * x_stride + 2 * step));
                let mut inputs = [vdupq_n_u32(0); MR.div_ceil(2)];
                for (pair, input) in inputs.iter_mut().enumerate().take(pairs) {
                    let [one, other] = rows(pair);
                    *input = vcombine_u32(words(one), words(other));
                }
                for register in 0..REGISTERS {
                    let place = lane + register * NeonRegisters::LANES;
                    let first = vld1q_u32(first.as_ptr().add(place));
                    let second = vld1q_u32(second.as_ptr().add(place));
                    // Eight bytes of each of two outputs.
                    let (low, high) = (vzip1q_u32(first, second), vzip2q_u32(first, second));
                    for (blocks, &input) in blocks.iter_mut().zip(&inputs).take(pairs) {
                        let [near, far] = blocks[register];
                        blocks[register] = [usmmla(near, input, low), usmmla(far, input, high)];
                    }
                }
            }
            for (pair, blocks) in blocks.iter().enumerate().take(pairs) {
                let [one, other] = rows(pair);
                for (register, &[near, far]) in blocks.iter().enumerate() {
                    let [upper, lower] = transposed(near, far);
                    sums[other][register] = lower;
                    sums[one][register] = upper;
                }
            }
            for KStep(weights) in last {
                for (row, sums) in sums.iter_mut().enumerate() {
                    let input = vdupq_n_u32(*x.add(row * x_stride + steps.len() - 1));
                    for (register, sums) in sums.iter_mut().enumerate() {
                        let place = lane + register * NeonRegisters::LANES;
                        *sums = Self::dot(*sums, input, vld1q_u32(weights.as_ptr().add(place)));
                    }
                }
            }
        }
    }
}

/// The transpose of a 2×2 matrix of pairs of words: from two rows of four outputs to two blocks of
/// two rows and two outputs, and back.
///
/// # Safety
///
/// NEON must be enabled where it is inlined.
#[inline(always)]
unsafe fn transposed(one: uint32x4_t, other: uint32x4_t) -> [uint32x4_t; 2] {
    // SAFETY: by the contract.
    unsafe {
        let (one, other) = (vreinterpretq_u64_u32(one), vreinterpretq_u64_u32(other));
        [vzip1q_u64(one, other), vzip2q_u64(one, other)].map(|pairs| vreinterpretq_u32_u64(pairs))
    }
}
