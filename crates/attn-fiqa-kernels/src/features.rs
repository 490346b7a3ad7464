//! The input of a convolution.

/// A view of a feature map in a slice, `[row, column, channel]`.
#[derive(Debug, Clone, Copy)]
pub struct Features<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) channels: usize,
}

impl<'a> Features<'a> {
    /// # Panics
    ///
    /// If the slice does not have exactly `rows · columns · channels` values.
    pub fn new(values: &'a [f32], rows: usize, columns: usize, channels: usize) -> Self {
        let length = rows.checked_mul(columns).and_then(|cells| cells.checked_mul(channels));
        assert_eq!(
            length,
            Some(values.len()),
            "{rows} × {columns} cells of {channels} channels do not match the number of values"
        );
        Self { values, rows, columns, channels }
    }
}
