//! Compares every instruction set of this machine with the baseline, bit for bit, and with an
//! independent computation in f64.

use attn_fiqa_kernels::{
    Isa, Precision, add_levels, gelu, layer_norm, peak_operations, relu6, softmax, standardise,
};

/// Sizes around zero, one register, several registers, and multiples of none.
const AWKWARD: [usize; 12] = [1, 2, 3, 7, 15, 16, 17, 31, 33, 97, 196, 512];

fn values(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 20) as f32 - 8.0
        })
        .collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Runs one kernel on every instruction set and returns the baseline's result.
fn assert_same_on_every_isa(run: impl Fn(Isa) -> Vec<f32>) -> Vec<f32> {
    let available = Isa::available();
    let baseline = run(available[0]);
    for &isa in &available[1..] {
        assert_eq!(bits(&run(isa)), bits(&baseline), "{} differs from the baseline", isa.name());
    }
    baseline
}

#[test]
fn widest_isa_is_available() {
    assert!(Isa::available().contains(&Isa::widest()));
}

#[test]
fn layer_norm_matches_f64_on_every_isa() {
    for dim in AWKWARD {
        for rows in [1, 3] {
            let x: Vec<f32> = values(rows * dim, 1).iter().map(|v| v + 100.0).collect();
            let (weight, bias) = (values(dim, 2), values(dim, 3));
            let found = assert_same_on_every_isa(|isa| {
                let mut out = vec![0.0; x.len()];
                layer_norm(isa, &x, &weight, &bias, 1e-5, &mut out);
                out
            });
            for (row, found) in x.chunks(dim).zip(found.chunks(dim)) {
                let mean = row.iter().map(|&v| f64::from(v)).sum::<f64>() / dim as f64;
                let variance =
                    row.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / dim as f64;
                for i in 0..dim {
                    let expected = (f64::from(row[i]) - mean) / (variance + 1e-5).sqrt()
                        * f64::from(weight[i])
                        + f64::from(bias[i]);
                    // The inputs are near 100, where one f32 step is 8e-6.
                    assert!((f64::from(found[i]) - expected).abs() < 5e-4, "dim {dim}, value {i}");
                }
            }
        }
    }
}

#[test]
fn standardise_equals_layer_norm_without_affine() {
    for dim in AWKWARD {
        let x = values(3 * dim, 6);
        let found = assert_same_on_every_isa(|isa| {
            let mut out = vec![f32::NAN; x.len()];
            standardise(isa, &x, dim, 1e-5, &mut out);
            out
        });
        let mut expected = vec![0.0; x.len()];
        let (ones, zeros) = (vec![1.0; dim], vec![0.0; dim]);
        layer_norm(Isa::widest(), &x, &ones, &zeros, 1e-5, &mut expected);
        assert_eq!(found, expected);
    }
}

#[test]
fn softmax_matches_f64_on_every_isa() {
    for cols in AWKWARD {
        let logits = values(3 * cols, 4);
        let found = assert_same_on_every_isa(|isa| {
            let mut out = logits.clone();
            softmax(isa, &mut out, cols);
            out
        });
        for (row, found) in logits.chunks(cols).zip(found.chunks(cols)) {
            let sum: f64 = row.iter().map(|&v| f64::from(v).exp()).sum();
            for (&logit, &found) in row.iter().zip(found) {
                let expected = f64::from(logit).exp() / sum;
                assert!((f64::from(found) - expected).abs() < 1e-6 * expected + 1e-30);
            }
        }
    }
}

#[test]
fn relu6_clamps_and_keeps_nan_on_every_isa() {
    for count in AWKWARD {
        let mut x = values(count, 5);
        x[0] = f32::NAN;
        let found = assert_same_on_every_isa(|isa| {
            let mut out = x.clone();
            relu6(isa, &mut out);
            out
        });
        assert!(found[0].is_nan(), "NaN must not be hidden");
        for (&x, &found) in x.iter().zip(&found).skip(1) {
            assert_eq!(found, x.clamp(0.0, 6.0));
        }
    }
}

#[test]
fn gelu_meets_tabulated_values() {
    // x·Φ(x) with Φ from tables of the normal distribution.
    let mut x = [-3.0, -1.0, 0.0, 0.5, 1.0, 3.0];
    gelu(Isa::widest(), &mut x);
    let expected = [-0.004_049_7, -0.158_655_3, 0.0, 0.345_731_2, 0.841_344_7, 2.995_950_3];
    for (found, expected) in x.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
    }
}

#[test]
fn add_levels_is_identical_on_every_isa() {
    for count in AWKWARD {
        let levels: Vec<u8> = (0..count).map(|i| (i * 37 % 256) as u8).collect();
        let before = values(count, 7);
        let found = assert_same_on_every_isa(|isa| {
            let mut sums = before.clone();
            add_levels(isa, &levels, 0.375, &mut sums);
            sums
        });
        for ((found, before), level) in found.iter().zip(&before).zip(&levels) {
            assert_eq!(*found, before + 0.375 * f32::from(*level));
        }
    }
}

#[test]
fn peak_operations_scale_with_rounds_on_every_isa() {
    for isa in Isa::available() {
        for precision in Precision::ALL {
            let one = peak_operations(isa, precision, 1);
            assert!(one > 0.0, "{} on {}", precision.name(), isa.name());
            assert_eq!(peak_operations(isa, precision, 100), 100.0 * one);
        }
    }
}
