//! The reference kernels, in plain Rust that the compiler vectorises over a panel. They are the
//! oracle for the other kernels, and are used on instruction sets that have no other.

use super::epilogue::{Activation, dequantize, residual};
use super::kernel::{InputForm, Kernel, Product};
use super::simd::FloatLanes;
use super::{KStep, NR};
use crate::cpu_features::CpuFeatures;
use crate::isa::for_every_isa;
use crate::matrix::ColumnsMut;
use crate::precision::{Epilogue, Precision};
use crate::quantize::{BF16_PER_WORD, bf16_value};

/// f32.
#[derive(Debug)]
pub(super) struct F32;

/// bf16, widened to f32.
#[derive(Debug)]
pub(super) struct Bf16Widened;

/// int8.
#[derive(Debug)]
pub(super) struct Int8;

macro_rules! reference_kernel {
    ($kernel:ident, $name:literal, $precision:ident as $input:ident) => {
        impl Kernel for $kernel {
            fn name(&self) -> &'static str {
                $name
            }

            fn precision(&self) -> Precision {
                Precision::$precision
            }

            fn input(&self) -> InputForm {
                InputForm::$input
            }

            fn features(&self) -> CpuFeatures {
                CpuFeatures::default()
            }

            fn tile(&self) -> [usize; 2] {
                [1, NR]
            }

            unsafe fn run(&self, product: &Product<'_>, out: &mut ColumnsMut<'_>) {
                multiply(product, out);
            }
        }
    };
}

reference_kernel!(F32, "reference f32", F32 as F32);
reference_kernel!(Bf16Widened, "reference bf16 widened", Bf16 as RoundedToBf16);
reference_kernel!(Int8, "reference int8", Int8 as Bytes);

fn multiply(product: &Product<'_>, out: &mut ColumnsMut<'_>) {
    let &Product { weights, rows, epilogue } = product;
    let (isa, columns) = (weights.isa, out.columns());
    for row in 0..rows.count {
        let words = &rows.words[row * weights.row_words()..][..weights.row_words()];
        for panel in columns.start / NR..columns.end.div_ceil(NR) {
            let first = panel * NR;
            let steps = weights.panel(panel);
            let mut product = [0.0; NR];
            match weights.precision {
                Precision::F32 => multiply_f32(isa, words, steps, &mut product),
                Precision::Bf16x2 => unreachable!("no reference kernel has it: this is a bug"),
                Precision::Bf16 => multiply_bf16(isa, words, steps, &mut product),
                Precision::Int8 => {
                    let params = rows.params[row];
                    let mut sums = [0; NR];
                    multiply_int8(isa, words, steps, &mut sums);
                    for (lane, product) in product.iter_mut().enumerate() {
                        let output = first + lane;
                        let zero = params.zero_point.wrapping_mul(weights.weight_sums[output]);
                        let sum = sums[lane].wrapping_sub(zero) as u32;
                        let scale = weights.scales[output];
                        // SAFETY: a scalar needs no feature.
                        *product = unsafe { dequantize::<Scalar>(sum, params.scale, scale) };
                    }
                }
            }
            let end = columns.end.min(first + NR);
            let bias = &weights.bias[first..];
            finish(epilogue, &product, bias, out.row_mut(row, first..end));
        }
    }
}

/// Applies the epilogue and stores as many products as `out` has room for.
fn finish(epilogue: Epilogue, product: &[f32], bias: &[f32], out: &mut [f32]) {
    // SAFETY: a scalar needs no feature.
    let activation = unsafe { Activation::<Scalar>::new(epilogue) };
    for ((out, product), bias) in out.iter_mut().zip(product).zip(bias) {
        let (place, sum) = (std::ptr::from_ref(out), product + bias);
        // SAFETY: a scalar needs no feature, and `place` points to a value.
        unsafe {
            let sum = match epilogue.adds() {
                true => residual::<Scalar, true>(place, 1, sum),
                false => sum,
            };
            *out = activation.apply(sum);
        }
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
                    // Shifted up, then back down with its sign.
                    *sum += x * ((weight << (24 - 8 * byte)) as i32 >> 24);
                }
            }
        }
    }
}

/// One lane, which needs no feature.
struct Scalar;

impl FloatLanes for Scalar {
    type F32 = f32;
    type Words = u32;
    type Mask = usize;

    #[inline(always)]
    unsafe fn splat(value: f32) -> f32 {
        value
    }

    #[inline(always)]
    unsafe fn add(a: f32, b: f32) -> f32 {
        a + b
    }

    #[inline(always)]
    unsafe fn mul(a: f32, b: f32) -> f32 {
        a * b
    }

    #[inline(always)]
    unsafe fn max(a: f32, b: f32) -> f32 {
        if a > b { a } else { b }
    }

    #[inline(always)]
    unsafe fn min(a: f32, b: f32) -> f32 {
        if a < b { a } else { b }
    }

    #[inline(always)]
    fn first(count: usize) -> usize {
        count
    }

    #[inline(always)]
    unsafe fn load(place: *const f32, count: usize) -> f32 {
        // SAFETY: by the trait's contract.
        if count > 0 { unsafe { place.read() } } else { 0.0 }
    }

    #[inline(always)]
    unsafe fn to_f32(word: u32) -> f32 {
        word as i32 as f32
    }
}
