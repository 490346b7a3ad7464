//! Single-threaded matrix multiplication by the micro-kernels of the `gemm-f32` crate.

use crate::{CpuFeature, Isa, Matrix, MatrixMut};

/// What happens to the existing values of the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accumulate {
    /// They are overwritten.
    Overwrite,
    /// The product is added to them, so a bias or residual stored there beforehand needs no further
    /// pass.
    Add,
}

/// `dst = factor · lhs · rhs`, or `dst += factor · lhs · rhs`, with the instructions
/// of `isa` and no wider ones.
///
/// A call runs on one thread, and the same shapes and strides always give the same bits on one
/// instruction set: callers split work by shape, never by thread count.
///
/// # Panics
///
/// If the shapes do not match: `lhs [m, k]`, `rhs [k, n]`, `dst [m, n]`.
pub fn gemm(
    isa: Isa,
    dst: MatrixMut<'_>,
    lhs: Matrix<'_>,
    rhs: Matrix<'_>,
    factor: f32,
    accumulate: Accumulate,
) {
    assert_eq!(lhs.cols, rhs.rows, "inner dimensions of a product differ");
    assert_eq!((dst.rows, dst.cols), (lhs.rows, rhs.cols), "a product has a different shape");
    #[cfg(target_arch = "x86_64")]
    if isa.has(CpuFeature::Avx512f) {
        return avx512f(dst, lhs, rhs, factor, accumulate);
    }
    #[cfg(target_arch = "x86_64")]
    if isa.has(CpuFeature::Fma) {
        return fma(dst, lhs, rhs, factor, accumulate);
    }
    #[cfg(target_arch = "aarch64")]
    if isa.has(CpuFeature::Neon) {
        return neon(dst, lhs, rhs, factor, accumulate);
    }
    let _ = isa;
    scalar(dst, lhs, rhs, factor, accumulate);
}

/// Defines the product by one module of `gemm_f32::microkernel`. `gemm_f32::gemm` selects the
/// machine's widest module once per process, so this calls its loop with a given module instead.
/// `$width` is the number of f32 in one of the module's registers, and `$simd` is what the crate
/// uses for products with a vector.
macro_rules! product_by {
    ($name:ident, $simd:ident, $width:literal) => {
        // Never inlined: each contains a copy of the crate's whole loop.
        #[inline(never)]
        fn $name(
            dst: MatrixMut<'_>,
            lhs: Matrix<'_>,
            rhs: Matrix<'_>,
            factor: f32,
            accumulate: Accumulate,
        ) {
            use gemm_common::gemm::gemm_basic_generic;
            use gemm_common::simd::{MixedSimd, $simd};
            use gemm_f32::microkernel::$name::f32::{H_M, H_N, H_UKR, MR_DIV_N, NR, UKR};

            let simd = <$simd as MixedSimd<f32, f32, f32, f32>>::try_new()
                .expect("an instruction set was detected and then was not: this is a bug");
            // SAFETY: `Matrix` and `MatrixMut` were checked on construction to lie
            // within their slices for every (row, column) below their sizes, `gemm`
            // asserted that the sizes agree, and `dst` is borrowed mutably, so it
            // overlaps neither input. Strides of a slice fit in `isize`. The constants
            // are those of the module whose micro-kernels are passed, and an `Isa` with the
            // features that lead here exists only where they were detected.
            unsafe {
                gemm_basic_generic::<_, f32, $width, { MR_DIV_N * $width }, NR, MR_DIV_N, H_M, H_N>(
                    simd,
                    dst.rows,
                    dst.cols,
                    lhs.cols,
                    dst.data.as_mut_ptr(),
                    1,
                    dst.cols as isize,
                    accumulate == Accumulate::Add,
                    lhs.data.as_ptr(),
                    lhs.col_stride as isize,
                    lhs.row_stride as isize,
                    rhs.data.as_ptr(),
                    rhs.col_stride as isize,
                    rhs.row_stride as isize,
                    1.0,
                    factor,
                    false,
                    false,
                    false,
                    |a, b, c| a * b + c,
                    &UKR,
                    &H_UKR,
                    false,
                    gemm_common::Parallelism::None,
                );
            }
        }
    };
}

product_by!(scalar, Scalar, 1);
#[cfg(target_arch = "aarch64")]
product_by!(neon, Scalar, 4);
#[cfg(target_arch = "x86_64")]
product_by!(fma, V3, 8);
#[cfg(target_arch = "x86_64")]
product_by!(avx512f, V4, 16);
