//! Two-dimensional views of slices, checked once on creation.

/// A read-only matrix inside a slice; element `(r, c)` is `data[r·row_stride + c·col_stride]`.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) row_stride: usize,
    pub(crate) col_stride: usize,
}

impl<'a> Matrix<'a> {
    /// `[rows, cols]`, rows contiguous and `row_stride` elements apart.
    ///
    /// # Panics
    ///
    /// If the slice is too short for the last element.
    pub fn strided(data: &'a [f32], rows: usize, cols: usize, row_stride: usize) -> Self {
        check_extent(data.len(), rows, cols, row_stride);
        Self { data, rows, cols, row_stride, col_stride: 1 }
    }

    /// `[rows, cols]`, contiguous.
    ///
    /// # Panics
    ///
    /// If the slice is too short.
    pub fn contiguous(data: &'a [f32], rows: usize, cols: usize) -> Self {
        Self::strided(data, rows, cols, cols)
    }

    /// The transpose, as a view.
    pub fn transposed(self) -> Self {
        Self {
            data: self.data,
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
        }
    }
}

/// A writable matrix with contiguous rows inside a slice.
#[derive(Debug)]
pub struct MatrixMut<'a> {
    pub(crate) data: &'a mut [f32],
    pub(crate) rows: usize,
    pub(crate) cols: usize,
}

impl<'a> MatrixMut<'a> {
    /// `[rows, cols]`, contiguous.
    ///
    /// # Panics
    ///
    /// If the slice is too short.
    pub fn contiguous(data: &'a mut [f32], rows: usize, cols: usize) -> Self {
        check_extent(data.len(), rows, cols, cols);
        Self { data, rows, cols }
    }
}

fn check_extent(len: usize, rows: usize, cols: usize, row_stride: usize) {
    assert!(cols <= row_stride || rows <= 1, "rows of {cols} overlap at stride {row_stride}");
    let extent =
        rows.checked_sub(1).map_or(Some(0), |last| last.checked_mul(row_stride)?.checked_add(cols));
    assert!(
        extent.is_some_and(|extent| extent <= len),
        "a [{rows}, {cols}] matrix with row stride {row_stride} does not fit in {len} values"
    );
}
