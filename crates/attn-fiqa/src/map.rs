//! The score per patch: which regions of the face add to or reduce quality.

/// A value for every patch, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct PatchMap {
    grid: usize,
    values: Vec<f32>,
}

impl PatchMap {
    /// A map of `grid`×`grid` values, row by row; `None` for another number of values or an empty
    /// grid.
    pub fn of(grid: usize, values: Vec<f32>) -> Option<Self> {
        let fits = grid > 0 && grid.checked_mul(grid) == Some(values.len());
        fits.then_some(Self { grid, values })
    }

    pub(crate) fn new(grid: usize, values: Vec<f32>) -> Self {
        assert_eq!(values.len(), grid * grid, "a map holds one value per patch: this is a bug");
        Self { grid, values }
    }

    /// Patches along one side.
    pub fn grid(&self) -> usize {
        self.grid
    }

    /// The values `[patch row, patch column]`, in the units of the raw score.
    ///
    /// Their mean is the score, unless the score also includes tokens before the patches
    /// ([`ScoreTokens::All`](crate::vit::config::ScoreTokens::All)): what a class token or a
    /// register receives belongs to no region and is left out.
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}
