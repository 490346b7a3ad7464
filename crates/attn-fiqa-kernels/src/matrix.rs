//! Two-dimensional views of slices, checked once on creation.

use std::marker::PhantomData;
use std::ops::Range;

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

/// Neighbouring columns of a writable matrix, which can be divided between threads. A slice of rows
/// cannot be divided by columns.
#[derive(Debug)]
pub struct ColumnsMut<'a> {
    /// The first value of the first row of the matrix, whether or not it is in these columns.
    data: *mut f32,
    rows: usize,
    stride: usize,
    columns: Range<usize>,
    matrix: PhantomData<&'a mut [f32]>,
}

// SAFETY: while it lives, it is the only access to its values, as a `&mut [f32]` would be.
unsafe impl Send for ColumnsMut<'_> {}

impl<'a> ColumnsMut<'a> {
    /// All columns of a contiguous matrix with rows of `width` values.
    ///
    /// # Panics
    ///
    /// If `matrix` does not consist of whole rows.
    pub fn new(matrix: &'a mut [f32], width: usize) -> Self {
        assert!(width > 0 && matrix.len().is_multiple_of(width), "a matrix is not whole rows");
        Self {
            data: matrix.as_mut_ptr(),
            rows: matrix.len() / width,
            stride: width,
            columns: 0..width,
            matrix: PhantomData,
        }
    }

    /// The columns before the matrix's column `column`, and those from there on.
    ///
    /// # Panics
    ///
    /// If `column` is neither one of these columns nor their end.
    pub fn split_at(self, column: usize) -> (Self, Self) {
        let Self { data, rows, stride, columns, matrix } = self;
        let within = columns.start <= column && column <= columns.end;
        assert!(within, "column {column} is not within {columns:?}");
        let part = |columns| Self { data, rows, stride, columns, matrix };
        (part(columns.start..column), part(column..columns.end))
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Which columns of the matrix these are.
    pub fn columns(&self) -> Range<usize> {
        self.columns.clone()
    }

    /// Values from the start of one row to the start of the next.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// A pointer to a value. The values from there to the last of these columns may be read and
    /// written.
    ///
    /// # Panics
    ///
    /// If the value is not in these columns.
    pub(crate) fn place(&mut self, row: usize, column: usize) -> *mut f32 {
        assert!(row < self.rows && self.columns.contains(&column), "beyond the columns");
        // SAFETY: the matrix has that row and column.
        unsafe { self.data.add(row * self.stride + column) }
    }

    /// Some values of one row.
    ///
    /// # Panics
    ///
    /// If they are empty or not in these columns.
    pub(crate) fn row_mut(&mut self, row: usize, columns: Range<usize>) -> &mut [f32] {
        assert!(columns.end <= self.columns.end, "beyond the columns");
        let place = self.place(row, columns.start);
        // SAFETY: these columns of the row exist, and nothing else has access to them.
        unsafe { std::slice::from_raw_parts_mut(place, columns.len()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_at_partitions_columns() {
        let mut matrix = vec![0.0; 3 * 7];
        let (left, right) = ColumnsMut::new(&mut matrix, 7).split_at(2);
        let (middle, right) = right.split_at(6);
        for (value, mut part) in [(1.0, left), (2.0, middle), (3.0, right)] {
            assert_eq!(part.rows(), 3);
            let columns = part.columns();
            (0..3).for_each(|row| part.row_mut(row, columns.clone()).fill(value));
        }
        assert_eq!(matrix, [1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 3.0].repeat(3));
    }

    #[test]
    #[should_panic(expected = "column 5 is not within 2..4")]
    fn split_outside_columns_panics() {
        ColumnsMut::new(&mut [0.0; 12], 6).split_at(2).1.split_at(4).0.split_at(5);
    }

    #[test]
    #[should_panic(expected = "beyond the columns")]
    fn row_mut_beyond_own_columns_panics() {
        ColumnsMut::new(&mut [0.0; 12], 6).split_at(2).0.row_mut(0, 1..3);
    }
}
