//! Matrix multiplication, single-threaded, by the `gemm-f32` crate.

use crate::{Matrix, MatrixMut};

/// What happens to the values already in the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accumulate {
    /// They are overwritten.
    Overwrite,
    /// The product is added to them: a bias or a residual put there beforehand
    /// costs no further pass.
    Add,
}

/// `dst = factor · lhs · rhs`, or `dst += factor · lhs · rhs`.
///
/// One call runs on one thread, and a given set of shapes and strides always
/// gives the same bits: callers split work by shape, never by thread count.
///
/// # Panics
///
/// When the shapes do not fit: `lhs [m, k]`, `rhs [k, n]`, `dst [m, n]`.
pub fn gemm(
    dst: MatrixMut<'_>,
    lhs: Matrix<'_>,
    rhs: Matrix<'_>,
    factor: f32,
    accumulate: Accumulate,
) {
    assert_eq!(lhs.cols, rhs.rows, "inner dimensions of a product differ");
    assert_eq!((dst.rows, dst.cols), (lhs.rows, rhs.cols), "a product has another shape");
    let (m, n, k) = (dst.rows, dst.cols, lhs.cols);
    if m == 0 || n == 0 {
        return;
    }
    let multiply = gemm_f32::gemm::f32::get_gemm_fn();
    // SAFETY: `Matrix` and `MatrixMut` were checked on construction to lie
    // within their slices for every (row, column) below their sizes, the sizes
    // agree by the assertions above, and `dst` is borrowed mutably, so it
    // overlaps neither input. Strides of a slice fit in `isize`.
    unsafe {
        multiply(
            m,
            n,
            k,
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
            gemm_common::Parallelism::None,
        );
    }
}
