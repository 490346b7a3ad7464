//! Compares the matrix product on every instruction set with three nested loops in f64.

use attn_fiqa_kernels::{Accumulate, Isa, Matrix, MatrixMut, gemm};
use proptest::prelude::*;

fn naive(lhs: &[f32], rhs: &[f32], [m, k, n]: [usize; 3]) -> Vec<f64> {
    let mut product = vec![0.0; m * n];
    for i in 0..m {
        for j in 0..n {
            product[i * n + j] =
                (0..k).map(|p| f64::from(lhs[i * k + p]) * f64::from(rhs[p * n + j])).sum();
        }
    }
    product
}

fn transpose(values: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    let mut out = vec![0.0; values.len()];
    for r in 0..rows {
        for c in 0..cols {
            out[c * rows + r] = values[r * cols + c];
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn gemm_matches_nested_loops(
        m in 0usize..70, k in 1usize..90, n in 0usize..70,
        transposed in any::<bool>(), add in any::<bool>(), seed in any::<u32>(),
    ) {
        let value = |i: usize| ((i as u32).wrapping_mul(2_246_822_519).wrapping_add(seed) >> 9) as f32
            / (1 << 22) as f32 - 1.0;
        let lhs: Vec<f32> = (0..m * k).map(value).collect();
        let rhs: Vec<f32> = (0..k * n).map(|i| value(i + 7)).collect();
        let rhs_transposed = transpose(&rhs, k, n);
        let before: Vec<f32> = (0..m * n).map(|i| value(i + 13)).collect();
        let rhs_view = if transposed {
            Matrix::contiguous(&rhs_transposed, n, k).transposed()
        } else {
            Matrix::contiguous(&rhs, k, n)
        };
        let accumulate = if add { Accumulate::Add } else { Accumulate::Overwrite };
        let expected = naive(&lhs, &rhs, [m, k, n]);
        for isa in Isa::available() {
            // The previous contents must not affect an overwrite.
            let mut dst = if add { before.clone() } else { vec![f32::NAN; m * n] };
            gemm(
                isa,
                MatrixMut::contiguous(&mut dst, m, n),
                Matrix::contiguous(&lhs, m, k),
                rhs_view,
                0.5,
                accumulate,
            );
            for (i, product) in expected.iter().enumerate() {
                let expected = 0.5 * product + if add { f64::from(before[i]) } else { 0.0 };
                prop_assert!(
                    (f64::from(dst[i]) - expected).abs() < 1e-4,
                    "{} is not {expected} on {}", dst[i], isa.name()
                );
            }
        }
    }
}

/// A sum that reveals how it was computed: the second product is 1 + 2⁻¹¹ + 2⁻²⁴, whose last digit
/// is lost if the product is rounded before the addition, and is all that remains otherwise.
#[test]
fn every_isa_except_baseline_fuses_multiply_add() {
    const INNER: usize = 16;
    let factor = 1.0 + (-12f32).exp2();
    let mut inner = [0.0; INNER];
    inner[0] = -(1.0 + (-11f32).exp2());
    inner[1] = factor;
    let column = |p: usize| if p == 0 { 1.0 } else { factor };
    // A product with a vector may keep several partial sums and add them at the end.
    for (m, n) in [(3, 40), (40, 3), (40, 40), (200, 50)] {
        let lhs = inner.repeat(m);
        let rhs: Vec<f32> = (0..INNER * n).map(|i| column(i / n)).collect();
        for isa in Isa::available() {
            let mut dst = vec![f32::NAN; m * n];
            gemm(
                isa,
                MatrixMut::contiguous(&mut dst, m, n),
                Matrix::contiguous(&lhs, m, INNER),
                Matrix::contiguous(&rhs, INNER, n),
                1.0,
                Accumulate::Overwrite,
            );
            let fused = isa != Isa::available()[0];
            let expected = if fused { (-24f32).exp2() } else { 0.0 };
            assert!(dst.iter().all(|&sum| sum == expected), "[{m}, {n}] on {}", isa.name());
        }
    }
}

#[test]
fn strided_views_skip_row_padding() {
    let wide = [1.0, 2.0, 9.0, 3.0, 4.0, 9.0];
    for isa in Isa::available() {
        let mut dst = [0.0; 4];
        gemm(
            isa,
            MatrixMut::contiguous(&mut dst, 2, 2),
            Matrix::strided(&wide, 2, 2, 3),
            Matrix::contiguous(&[1.0, 0.0, 0.0, 1.0], 2, 2),
            1.0,
            Accumulate::Overwrite,
        );
        assert_eq!(dst, [1.0, 2.0, 3.0, 4.0], "{}", isa.name());
    }
}

#[test]
#[should_panic(expected = "does not fit")]
fn view_beyond_slice_panics() {
    Matrix::strided(&[0.0; 5], 2, 2, 4);
}
