//! The feature maps between layers, and how the work on them is divided among threads.

use std::cell::RefCell;
use std::ops::Range;

use attn_fiqa_kernels::Features;
use rayon::prelude::*;

/// Approximate number of cells per band: with a layer's scratch values, a band takes up part of the
/// second-level cache, and it has enough rows for the tiles of the matrix product.
pub(super) const BAND_CELLS: usize = 256;

/// Features of the cells of an image, `[row, column, channel]`. Reshaping reuses the memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct FeatureMap {
    rows: usize,
    columns: usize,
    channels: usize,
    /// As long as the largest shape so far required; the values of the current shape come first.
    values: Vec<f32>,
}

thread_local! {
    /// What a band needs in addition to input and output, kept per thread.
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

impl FeatureMap {
    /// Rows, columns and channels.
    pub(crate) fn shape(&self) -> [usize; 3] {
        [self.rows, self.columns, self.channels]
    }

    /// Sets the shape; the values are unspecified until a layer has written them.
    pub(crate) fn reshape(&mut self, [rows, columns, channels]: [usize; 3]) {
        (self.rows, self.columns, self.channels) = (rows, columns, channels);
        let length = rows * columns * channels;
        if self.values.len() < length {
            // New zeros cost nothing until a thread writes its band; resizing would write them
            // here, on one thread, which takes as long as a layer. The old values are freed first.
            self.values = Vec::new();
            self.values = vec![0.0; length];
        }
    }

    pub(crate) fn values(&self) -> &[f32] {
        &self.values[..self.rows * self.columns * self.channels]
    }

    /// Memory held, in bytes.
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

    /// Fills the map with `work`, called once per band of whole rows. Each call gets `scratch`
    /// values per cell as working memory, with arbitrary initial contents.
    pub(super) fn fill_in_bands(
        &mut self,
        scratch: usize,
        work: impl Fn(Range<usize>, &mut [f32], &mut [f32]) + Sync,
    ) {
        let (rows, columns) = (self.rows, self.columns);
        let bands = (rows * columns).div_ceil(BAND_CELLS).min(rows);
        let scratch = |rows: usize| rows * columns * scratch;
        self.fill_in_bands_of(rows.div_ceil(bands.max(1)), scratch, work);
    }

    /// As [`Self::fill_in_bands`], with bands of up to `height` rows; `scratch` maps a number of
    /// rows to the number of scratch values.
    pub(super) fn fill_in_bands_of(
        &mut self,
        height: usize,
        scratch: impl Fn(usize) -> usize + Sync,
        work: impl Fn(Range<usize>, &mut [f32], &mut [f32]) + Sync,
    ) {
        let row_length = self.columns * self.channels;
        let length = self.rows * row_length;
        if length == 0 {
            return;
        }
        let bands = self.values[..length].par_chunks_mut(height * row_length).enumerate();
        bands.for_each(|(band, out)| {
            let first = band * height;
            let rows = first..first + out.len() / row_length;
            SCRATCH.with_borrow_mut(|kept| {
                let needed = scratch(rows.len());
                if kept.len() < needed {
                    kept.resize(needed, 0.0);
                }
                work(rows, &mut kept[..needed], out);
            });
        });
    }
}
