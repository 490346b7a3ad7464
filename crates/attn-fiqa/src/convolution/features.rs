//! What goes from layer to layer, and how the work on it is shared.

use std::cell::RefCell;
use std::ops::Range;

use attn_fiqa_kernels::Features;
use rayon::prelude::*;

/// Cells of a band, about: with what a layer keeps beside it, a part of the second-level
/// cache, and enough rows for the product's tiles.
const BAND_CELLS: usize = 256;

/// Features of an image's cells, `[row, column, channel]`. Its memory is kept when it
/// takes another shape.
#[derive(Debug, Clone, Default)]
pub(crate) struct FeatureMap {
    rows: usize,
    columns: usize,
    channels: usize,
    /// As many as the largest shape so far needed; the shape's come first.
    values: Vec<f32>,
}

thread_local! {
    /// What a band needs besides input and output; kept by every thread.
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

impl FeatureMap {
    /// Rows, columns and channels.
    pub(crate) fn shape(&self) -> [usize; 3] {
        [self.rows, self.columns, self.channels]
    }

    /// Another shape; what it holds is meaningless until a layer has written it.
    pub(crate) fn reshape(&mut self, [rows, columns, channels]: [usize; 3]) {
        (self.rows, self.columns, self.channels) = (rows, columns, channels);
        let length = rows * columns * channels;
        if self.values.len() < length {
            self.values.resize(length, 0.0);
        }
    }

    pub(crate) fn values(&self) -> &[f32] {
        &self.values[..self.rows * self.columns * self.channels]
    }

    /// The memory that it keeps.
    pub(crate) fn bytes(&self) -> usize {
        self.values.capacity() * size_of::<f32>()
    }

    pub(super) fn features(&self) -> Features<'_> {
        Features::new(self.values(), self.rows, self.columns, self.channels)
    }

    /// The values of whole rows.
    pub(super) fn rows(&self, rows: Range<usize>) -> &[f32] {
        let length = self.columns * self.channels;
        &self.values()[rows.start * length..rows.end * length]
    }

    /// Lets `work` fill the map, one band of whole rows per call, with `scratch` values per cell
    /// to work in, which hold anything at first.
    pub(super) fn fill_in_bands(
        &mut self,
        scratch: usize,
        work: impl Fn(Range<usize>, &mut [f32], &mut [f32]) + Sync,
    ) {
        let (columns, row_length) = (self.columns, self.columns * self.channels);
        let length = self.rows * row_length;
        if length == 0 {
            return;
        }
        let bands = (self.rows * columns).div_ceil(BAND_CELLS).min(self.rows);
        let height = self.rows.div_ceil(bands);
        let bands = self.values[..length].par_chunks_mut(height * row_length).enumerate();
        bands.for_each(|(band, out)| {
            let first = band * height;
            let rows = first..first + out.len() / row_length;
            SCRATCH.with_borrow_mut(|kept| {
                let needed = rows.len() * columns * scratch;
                if kept.len() < needed {
                    kept.resize(needed, 0.0);
                }
                work(rows, &mut kept[..needed], out);
            });
        });
    }
}
