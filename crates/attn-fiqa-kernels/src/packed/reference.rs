//! The reference kernel, in plain Rust that the compiler vectorises over a panel. It is the oracle
//! for the other kernels, and is used on instruction sets without one.

use std::ops::Range;

use super::{KStep, NR, PackedWeights, Rows};
use crate::isa::for_every_isa;
use crate::precision::{Epilogue, Precision};
use crate::quantize::{BF16_PER_WORD, QuantParams, bf16_value};

pub(super) fn multiply(
    weights: &PackedWeights,
    rows: Rows<'_>,
    out: &mut [f32],
    epilogue: Epilogue,
) {
    let isa = weights.isa;
    for row in 0..rows.count {
        let words = &rows.words[row * weights.row_words()..][..weights.row_words()];
        let out = &mut out[row * weights.outputs..][..weights.outputs];
        for (panel, out) in out.chunks_mut(NR).enumerate() {
            let lanes = panel * NR..(panel + 1) * NR;
            let steps = weights.panel(panel);
            let mut product = [0.0; NR];
            match weights.precision {
                Precision::F32 => multiply_f32(isa, words, steps, &mut product),
                Precision::Bf16 => multiply_bf16(isa, words, steps, &mut product),
                Precision::Int8 => {
                    let mut sums = [0; NR];
                    multiply_int8(isa, words, steps, &mut sums);
                    dequantize(weights, lanes.clone(), rows.params[row], &sums, &mut product);
                }
            }
            apply_epilogue(epilogue, &product, &weights.bias[lanes], out);
        }
    }
}

/// Converts sums of quantized products to f32; `lanes` are the outputs.
pub(super) fn dequantize(
    weights: &PackedWeights,
    lanes: Range<usize>,
    row: QuantParams,
    sums: &[i32],
    product: &mut [f32],
) {
    let scales = weights.scales[lanes.clone()].iter();
    let weight_sums = weights.weight_sums[lanes].iter();
    for (((product, sum), scale), weight_sum) in
        product.iter_mut().zip(sums).zip(scales).zip(weight_sums)
    {
        let sum = sum.wrapping_sub(row.zero_point.wrapping_mul(*weight_sum));
        *product = sum as f32 * (row.scale * scale);
    }
}

/// Applies the epilogue and stores as many products as `out` has room for.
pub(super) fn apply_epilogue(epilogue: Epilogue, product: &[f32], bias: &[f32], out: &mut [f32]) {
    for ((out, product), bias) in out.iter_mut().zip(product).zip(bias) {
        let sum = product + bias;
        let sum = if epilogue.adds() { *out + sum } else { sum };
        let positive = if sum < 0.0 { 0.0 } else { sum };
        *out = match epilogue {
            Epilogue::Overwrite | Epilogue::Add => sum,
            Epilogue::Relu | Epilogue::AddRelu => positive,
            Epilogue::Relu6 if positive > 6.0 => 6.0,
            Epilogue::Relu6 => positive,
        };
    }
}

for_every_isa! {
    fn multiply_f32(words: &[u32], steps: &[KStep], sums: &mut [f32; NR]) {
        for (word, KStep(weights)) in words.iter().zip(steps) {
            let x = f32::from_bits(*word);
            for (sum, &weight) in sums.iter_mut().zip(weights) {
                *sum += x * f32::from_bits(weight);
            }
        }
    }
}

for_every_isa! {
    fn multiply_bf16(words: &[u32], steps: &[KStep], sums: &mut [f32; NR]) {
        for (pair, KStep(weights)) in words.chunks_exact(BF16_PER_WORD).zip(steps) {
            let (low, high) = (f32::from_bits(pair[0]), f32::from_bits(pair[1]));
            for (sum, &weight) in sums.iter_mut().zip(weights) {
                *sum += low * bf16_value(weight & 0xffff);
                *sum += high * f32::from_bits(weight & 0xffff_0000);
            }
        }
    }
}

for_every_isa! {
    fn multiply_int8(words: &[u32], steps: &[KStep], sums: &mut [i32; NR]) {
        for (word, KStep(weights)) in words.iter().zip(steps) {
            for byte in 0..4 {
                let x = (word >> (8 * byte) & 0xff) as i32;
                for (sum, &weight) in sums.iter_mut().zip(weights) {
                    // Shifted up and, with its sign, back down.
                    *sum += x * ((weight << (24 - 8 * byte)) as i32 >> 24);
                }
            }
        }
    }
}
