//! Packed weights against nested loops in f64, on sizes around every block.

#![allow(clippy::print_stdout, reason = "a skipped test says why")]

use attn_fiqa_kernels::{Isa, PackedWeights};

fn values(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Every instruction set here that has the kernel; says so where none has.
fn packed(weight: &[f32], inputs: usize) -> Vec<PackedWeights> {
    let found: Vec<_> = Isa::available()
        .into_iter()
        .filter_map(|isa| PackedWeights::new(isa, weight, inputs))
        .collect();
    if found.is_empty() {
        println!("skipped: this machine has no instruction set with packed weights");
    }
    found
}

#[test]
fn products_match_nested_loops_on_awkward_sizes() {
    for rows in [0, 1, 2, 13, 14, 15, 29, 98] {
        for outputs in [1, 15, 16, 17, 31, 32, 33, 70] {
            for inputs in [1, 7, 64, 511, 512, 513, 1030] {
                if rows * outputs * inputs > 1 << 19 {
                    continue;
                }
                let (x, weight) = (values(rows * inputs, 1), values(outputs * inputs, 2));
                let before = values(rows * outputs, 3);
                for packed in packed(&weight, inputs) {
                    let mut out = before.clone();
                    packed.multiply_add(&x, &mut out);
                    for (index, &found) in out.iter().enumerate() {
                        let (row, output) = (index / outputs, index % outputs);
                        let product = |i: usize| {
                            f64::from(x[row * inputs + i]) * f64::from(weight[output * inputs + i])
                        };
                        let expected =
                            f64::from(before[index]) + (0..inputs).map(product).sum::<f64>();
                        assert!(
                            (f64::from(found) - expected).abs() < 1e-4,
                            "[{rows}, {inputs}] × [{outputs}, {inputs}]ᵀ at {index}: \
                             {found} is not {expected}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_row_gives_the_same_bits_in_any_company() {
    let (inputs, outputs, rows) = (600, 40, 31);
    let (x, weight) = (values(rows * inputs, 4), values(outputs * inputs, 5));
    for packed in packed(&weight, inputs) {
        let mut together = vec![0.0; rows * outputs];
        packed.multiply_add(&x, &mut together);
        for (x, together) in x.chunks_exact(inputs).zip(together.chunks_exact(outputs)) {
            let mut alone = vec![0.0; outputs];
            packed.multiply_add(x, &mut alone);
            assert_eq!(alone, together);
        }
    }
}

#[test]
fn weights_are_read_back() {
    let (inputs, outputs) = (5, 35);
    let weight = values(outputs * inputs, 6);
    for packed in packed(&weight, inputs) {
        for (output, row) in weight.chunks_exact(inputs).enumerate() {
            assert_eq!(packed.row(output), row);
        }
    }
}
