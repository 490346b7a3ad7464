//! The product for instruction sets without a kernel of their own, and the oracle
//! of those that have one: plain Rust, which the compiler vectorises over a panel.

use std::ops::Range;

use super::{PANEL, PackedWeights, Rows, Step};
use crate::isa::for_every_isa;
use crate::precision::{Finish, Precision};
use crate::words::{BF16_PER_WORD, RowScale, bf16_value};

pub(super) fn multiply(weights: &PackedWeights, rows: Rows<'_>, out: &mut [f32], finish: Finish) {
    let isa = weights.isa;
    for row in 0..rows.count {
        let words = &rows.words[row * weights.row_words()..][..weights.row_words()];
        let out = &mut out[row * weights.outputs..][..weights.outputs];
        for (panel, out) in out.chunks_mut(PANEL).enumerate() {
            let lanes = panel * PANEL..(panel + 1) * PANEL;
            let steps = weights.panel(panel);
            let mut product = [0.0; PANEL];
            match weights.precision {
                Precision::F32 => single(isa, words, steps, &mut product),
                Precision::Bf16 => bf16(isa, words, steps, &mut product),
                Precision::Int8 => {
                    let mut sums = [0; PANEL];
                    bytes(isa, words, steps, &mut sums);
                    unscale(weights, lanes.clone(), rows.scales[row], &sums, &mut product);
                }
            }
            finish_with(finish, &product, &weights.bias[lanes], out);
        }
    }
}

/// Sums of bytes to the numbers that they stand for; `lanes` are the outputs.
pub(super) fn unscale(
    weights: &PackedWeights,
    lanes: Range<usize>,
    row: RowScale,
    sums: &[i32],
    product: &mut [f32],
) {
    let scales = weights.scales[lanes.clone()].iter();
    let byte_sums = weights.byte_sums[lanes].iter();
    for (((product, sum), scale), byte_sum) in
        product.iter_mut().zip(sums).zip(scales).zip(byte_sums)
    {
        let sum = sum.wrapping_sub(row.zero.wrapping_mul(*byte_sum));
        *product = sum as f32 * (row.scale * scale);
    }
}

/// Stores as many products as `out` has room for.
pub(super) fn finish_with(finish: Finish, product: &[f32], bias: &[f32], out: &mut [f32]) {
    for ((out, product), bias) in out.iter_mut().zip(product).zip(bias) {
        let sum = product + bias;
        let sum = if finish.adds() { *out + sum } else { sum };
        let positive = if sum < 0.0 { 0.0 } else { sum };
        *out = match finish {
            Finish::Overwrite | Finish::Add => sum,
            Finish::Relu | Finish::AddRelu => positive,
            Finish::Relu6 if positive > 6.0 => 6.0,
            Finish::Relu6 => positive,
        };
    }
}

for_every_isa! {
    fn single(words: &[u32], steps: &[Step], sums: &mut [f32; PANEL]) {
        for (word, Step(weights)) in words.iter().zip(steps) {
            let x = f32::from_bits(*word);
            for (sum, &weight) in sums.iter_mut().zip(weights) {
                *sum += x * f32::from_bits(weight);
            }
        }
    }
}

for_every_isa! {
    fn bf16(words: &[u32], steps: &[Step], sums: &mut [f32; PANEL]) {
        for (pair, Step(weights)) in words.chunks_exact(BF16_PER_WORD).zip(steps) {
            let (low, high) = (f32::from_bits(pair[0]), f32::from_bits(pair[1]));
            for (sum, &weight) in sums.iter_mut().zip(weights) {
                *sum += low * bf16_value(weight & 0xffff);
                *sum += high * f32::from_bits(weight & 0xffff_0000);
            }
        }
    }
}

for_every_isa! {
    fn bytes(words: &[u32], steps: &[Step], sums: &mut [i32; PANEL]) {
        for (word, Step(weights)) in words.iter().zip(steps) {
            for byte in 0..4 {
                let x = (word >> (8 * byte) & 0xff) as i32;
                for (sum, &weight) in sums.iter_mut().zip(weights) {
                    // The byte comes to the top and, with its sign, back down.
                    *sum += x * ((weight << (24 - 8 * byte)) as i32 >> 24);
                }
            }
        }
    }
}
