//! Compares every kernel of this machine with nested loops in f64, for sizes around every block
//! size.

use super::kernel::{self, Kernel};
use super::{NR, PackedWeights};
use crate::matrix::ColumnsMut;
use crate::numbers::{nearest_bf16, values};
use crate::{Epilogue, Isa, Precision};

/// A size, smaller under Miri, where every instruction takes microseconds.
const fn size(usual: usize, under_miri: usize) -> usize {
    if cfg!(miri) { under_miri } else { usual }
}

/// Each kernel that this machine runs, with the smallest instruction set that has it.
fn kernels() -> Vec<(Isa, &'static dyn Kernel)> {
    let mut found: Vec<(Isa, &'static dyn Kernel)> = Vec::new();
    for isa in Isa::available_or_emulated() {
        for kernel in kernel::available(isa) {
            if found.iter().all(|(_, known)| known.name() != kernel.name()) {
                found.push((isa, kernel));
            }
        }
    }
    found
}

#[test]
fn isa_selects_expected_kernels() {
    let selected = |isa: Isa| {
        let names = Precision::ALL.map(|precision| kernel::select(isa, precision).name());
        (isa.name(), names)
    };
    let found: Vec<_> = Isa::available_or_emulated().into_iter().map(selected).collect();
    for expected in [
        (
            "baseline",
            ["reference f32", "reference f32", "reference bf16 widened", "reference int8"],
        ),
        ("neon", ["neon f32", "neon f32", "neon bf16 widened", "reference int8"]),
        ("neon-dotprod", ["neon f32", "neon f32", "neon bf16 widened", "neon-dotprod int8"]),
        ("neon-i8mm", ["neon f32", "neon f32", "neon bf16 widened", "neon-i8mm int8"]),
        ("avx2", ["avx2 f32", "avx2 f32", "avx2 bf16 widened", "avx2 int8 widened"]),
        ("avx2-vnni", ["avx2 f32", "avx2 f32", "avx2 bf16 widened", "avx2-vnni int8"]),
        ("avx512", ["avx512 f32", "avx512 f32", "avx512 bf16 widened", "avx2 int8 widened"]),
        ("avx512-vnni", ["avx512 f32", "avx512 f32", "avx512 bf16 widened", "avx512 int8"]),
        ("avx512-bf16", ["avx512 f32", "avx512 bf16x2", "avx512 bf16", "avx512 int8"]),
        ("avx512-amx", ["avx512 f32", "avx512-amx bf16x2", "avx512-amx bf16", "avx512-amx int8"]),
    ] {
        if let Some(found) = found.iter().find(|(name, _)| *name == expected.0) {
            assert_eq!(*found, expected);
        }
    }
}

#[test]
fn tiles_divide_a_panel() {
    for (_, kernel) in kernels() {
        let [rows, outputs] = kernel.tile();
        assert!(rows > 0 && NR.is_multiple_of(outputs), "{}", kernel.name());
    }
}

/// A row as represented by bytes: 255 equal steps over its range, including zero.
fn nearest_bytes(row: &[f32]) -> Vec<f32> {
    let low = row.iter().copied().fold(0.0, f32::min);
    let high = row.iter().copied().fold(0.0, f32::max);
    let scale = (high - low) / 255.0;
    let zero = (-low / scale).round();
    row.iter().map(|x| ((x / scale + zero).round().clamp(0.0, 255.0) - zero) * scale).collect()
}

/// The sum of a value's high and low terms.
fn nearest_bf16x2(value: f32) -> f32 {
    let high = nearest_bf16(value);
    high + nearest_bf16(value - high)
}

/// The input as represented in a precision, `[row, input]`.
fn seen(precision: Precision, x: &[f32], inputs: usize) -> Vec<f32> {
    match precision {
        Precision::F32 => x.to_vec(),
        Precision::Bf16x2 => x.iter().map(|&x| nearest_bf16x2(x)).collect(),
        Precision::Bf16 => x.iter().map(|&x| nearest_bf16(x)).collect(),
        Precision::Int8 => x.chunks(inputs).flat_map(nearest_bytes).collect(),
    }
}

fn apply_epilogue(epilogue: Epilogue, before: f32, sum: f64) -> f64 {
    match epilogue {
        Epilogue::Overwrite => sum,
        Epilogue::Add => f64::from(before) + sum,
        Epilogue::Relu => sum.max(0.0),
        Epilogue::AddRelu => (f64::from(before) + sum).max(0.0),
        Epilogue::Relu6 => sum.clamp(0.0, 6.0),
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes too long; other tests run the same kernels")]
fn products_match_nested_loops_on_awkward_sizes() {
    for rows in [0, 1, 2, 13, 14, 15, 29, 33, 49] {
        for outputs in [1, 16, 17, 32, 33, 70] {
            for inputs in [1, 2, 3, 7, 64, 513, 1030] {
                if rows * outputs * inputs > 1 << 17 {
                    continue;
                }
                let (x, weight) = (values(rows * inputs, 1), values(outputs * inputs, 2));
                let (before, bias) = (values(rows * outputs, 3), values(outputs, 4));
                for precision in Precision::ALL {
                    let x_seen = seen(precision, &x, inputs);
                    let of_precision =
                        kernels().into_iter().filter(|(_, kernel)| kernel.precision() == precision);
                    for (isa, kernel) in of_precision {
                        for (bias, epilogue) in [
                            (Some(&bias), Epilogue::Overwrite),
                            (Some(&bias), Epilogue::Relu6),
                            (Some(&bias), Epilogue::Relu),
                            (Some(&bias), Epilogue::Add),
                            (Some(&bias), Epilogue::AddRelu),
                            (None, Epilogue::Add),
                        ] {
                            let bias = bias.map(|bias| &bias[..]);
                            let packed =
                                PackedWeights::for_kernel(isa, kernel, &weight, bias, inputs);
                            let mut out = before.clone();
                            packed.apply(&x, &mut out, epilogue);
                            for output in 0..outputs {
                                let weight = packed.row(output);
                                for row in 0..rows {
                                    let x = &x_seen[row * inputs..][..inputs];
                                    let sum: f64 = x
                                        .iter()
                                        .zip(&weight)
                                        .map(|(&x, &w)| f64::from(x) * f64::from(w))
                                        .sum();
                                    let sum =
                                        sum + bias.map_or(0.0, |bias| f64::from(bias[output]));
                                    let at = row * outputs + output;
                                    let expected = apply_epilogue(epilogue, before[at], sum);
                                    // A byte on the border between two steps may be rounded either
                                    // way: one step of 2/255, times a weight.
                                    let allowed = match precision {
                                        Precision::F32 | Precision::Bf16x2 | Precision::Bf16 => {
                                            1e-4
                                        }
                                        Precision::Int8 => 1e-2,
                                    };
                                    assert!(
                                        (f64::from(out[at]) - expected).abs() < allowed,
                                        "{}, {epilogue:?}: [{rows}, {inputs}] × [{outputs}, \
                                         {inputs}]ᵀ at {at}: {} is not {expected}",
                                        kernel.name(),
                                        out[at],
                                    );
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_row_gives_the_same_bits_in_every_batch() {
    let (inputs, outputs, rows) = (size(600, 12), 40, size(31, 15));
    let (x, weight) = (values(rows * inputs, 4), values(outputs * inputs, 5));
    for (isa, kernel) in kernels() {
        let packed = PackedWeights::for_kernel(isa, kernel, &weight, None, inputs);
        let mut together = vec![0.0; rows * outputs];
        packed.apply(&x, &mut together, Epilogue::Overwrite);
        for (x, together) in x.chunks_exact(inputs).zip(together.chunks_exact(outputs)) {
            let mut alone = vec![0.0; outputs];
            packed.apply(x, &mut alone, Epilogue::Overwrite);
            assert_eq!(alone, together, "{}", kernel.name());
        }
    }
}

#[test]
fn split_outputs_give_same_bits_as_whole() {
    let (inputs, outputs, rows) = (size(1100, 12), 4 * NR - 5, size(16, 3));
    let (x, weight) = (values(rows * inputs, 4), values(outputs * inputs, 5));
    let (before, bias) = (values(rows * outputs, 6), values(outputs, 7));
    for (isa, kernel) in kernels() {
        let packed = PackedWeights::for_kernel(isa, kernel, &weight, Some(&bias), inputs);
        for epilogue in [Epilogue::Relu6, Epilogue::Add] {
            let (mut together, mut apart) = (before.clone(), before.clone());
            packed.apply(&x, &mut together, epilogue);
            packed.with_input(&x, |input| {
                let (first, rest) = ColumnsMut::new(&mut apart, outputs).split_at(NR);
                let (second, third) = rest.split_at(3 * NR);
                std::thread::scope(|scope| {
                    for part in [first, second, third] {
                        scope.spawn(move || input.multiply(part, epilogue));
                    }
                });
            });
            assert_eq!(together, apart, "{}, {epilogue:?}", kernel.name());
        }
    }
}

#[test]
#[should_panic(expected = "columns start within a panel")]
fn columns_starting_within_panel_panic() {
    let packed = PackedWeights::new(Isa::widest(), Precision::F32, &[1.0; 40], None, 1);
    let mut out = [0.0; 40];
    let (_, part) = ColumnsMut::new(&mut out, 40).split_at(8);
    packed.with_input(&[1.0], |input| input.multiply(part, Epilogue::Overwrite));
}

#[test]
#[should_panic(expected = "columns exceed the outputs")]
fn columns_beyond_outputs_panic() {
    let packed = PackedWeights::new(Isa::widest(), Precision::F32, &[1.0; 40], None, 1);
    let mut out = [0.0; 41];
    let out = ColumnsMut::new(&mut out, 41);
    packed.with_input(&[1.0], |input| input.multiply(out, Epilogue::Overwrite));
}

#[test]
#[should_panic(expected = "differ in rows")]
fn mismatched_row_count_panics() {
    let packed = PackedWeights::new(Isa::widest(), Precision::F32, &[1.0; 4], None, 1);
    let mut out = [0.0; 8];
    let out = ColumnsMut::new(&mut out, 4);
    packed.with_input(&[1.0; 3], |input| input.multiply(out, Epilogue::Overwrite));
}

#[test]
fn int8_kernels_give_identical_bits() {
    let (inputs, outputs, rows) = (size(77, 13), 45, 17);
    let (x, weight) = (values(rows * inputs, 6), values(outputs * inputs, 7));
    let bias = values(outputs, 8);
    for epilogue in [Epilogue::Overwrite, Epilogue::Add, Epilogue::Relu6] {
        let bytes = kernels().into_iter().filter(|(_, k)| k.precision() == Precision::Int8);
        let results: Vec<Vec<f32>> = bytes
            .map(|(isa, kernel)| {
                let bias = Some(&bias[..]);
                let packed = PackedWeights::for_kernel(isa, kernel, &weight, bias, inputs);
                let mut out = values(rows * outputs, 9);
                packed.apply(&x, &mut out, epilogue);
                out
            })
            .collect();
        assert!(results.iter().all(|result| *result == results[0]), "{epilogue:?}");
    }
}

#[test]
fn the_largest_bytes_do_not_overflow() {
    let inputs = size(4096, 64);
    let (x, weight) = (vec![1.0; inputs], vec![-1.0; inputs]);
    for (isa, kernel) in kernels() {
        let packed = PackedWeights::for_kernel(isa, kernel, &weight, None, inputs);
        let mut out = [0.0];
        packed.apply(&x, &mut out, Epilogue::Overwrite);
        assert!((out[0] + inputs as f32).abs() < 0.5, "{} by {}", out[0], kernel.name());
    }
}

#[test]
fn nan_propagates_through_every_kernel() {
    let weight = vec![0.5; 3 * 20];
    for (isa, kernel) in kernels() {
        let packed = PackedWeights::for_kernel(isa, kernel, &weight, None, 20);
        for epilogue in [Epilogue::Overwrite, Epilogue::Add, Epilogue::Relu6] {
            let mut x = vec![0.1; 20];
            x[13] = f32::NAN;
            let mut out = [0.0; 3];
            packed.apply(&x, &mut out, epilogue);
            assert!(out.iter().all(|value| value.is_nan()), "{}: {out:?}", kernel.name());
        }
    }
}

/// Each operand is off by at most 2⁻¹⁷ of its magnitude: the high term leaves at most 2⁻⁸ of it,
/// and the low term 2⁻⁹ of that.
#[test]
fn bf16x2_product_error_is_bounded() {
    for (rows, inputs, outputs) in [(1, 1, 1), (3, 31, 5), (17, 33, 33), (33, size(517, 40), 40)] {
        let (x, weight) = (values(rows * inputs, 10), values(outputs * inputs, 11));
        for isa in Isa::available_or_emulated() {
            let packed = PackedWeights::new(isa, Precision::Bf16x2, &weight, None, inputs);
            let mut out = vec![f32::NAN; rows * outputs];
            packed.apply(&x, &mut out, Epilogue::Overwrite);
            for (at, &found) in out.iter().enumerate() {
                let x = &x[at / outputs * inputs..][..inputs];
                let weight = &weight[at % outputs * inputs..][..inputs];
                let products = || x.iter().zip(weight).map(|(&x, &w)| f64::from(x) * f64::from(w));
                let (sum, magnitude) =
                    (products().sum::<f64>(), products().map(f64::abs).sum::<f64>());
                let error = (f64::from(found) - sum).abs();
                let of_sums = inputs as f64 * f64::from(f32::EPSILON);
                assert!(
                    error <= (2.0 / 131_072.0 + of_sums) * magnitude,
                    "{}: {found} is not {sum}",
                    packed.kernel_name()
                );
            }
        }
    }
}

#[test]
fn weights_are_read_back() {
    let (inputs, outputs) = (5, 35);
    let weight = values(outputs * inputs, 6);
    for isa in Isa::available() {
        let allowed = [0.0, 1.0 / 131_072.0, 1.0 / 512.0, 1.0 / 253.0];
        for (precision, allowed) in Precision::ALL.into_iter().zip(allowed) {
            let packed = PackedWeights::new(isa, precision, &weight, None, inputs);
            for (output, row) in weight.chunks_exact(inputs).enumerate() {
                for (found, expected) in packed.row(output).iter().zip(row) {
                    assert!((found - expected).abs() <= allowed, "{found} is not {expected}");
                }
            }
        }
    }
}
