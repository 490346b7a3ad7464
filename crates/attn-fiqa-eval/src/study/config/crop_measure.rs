//! Quality measures that need only the crop.

use attn_fiqa::crop::Crop;
use attn_fiqa::measure::{MeasureName, sharpness};

/// A measure of the crop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CropMeasure {
    /// [`sharpness`] of the crop.
    Laplacian,
}

impl CropMeasure {
    /// The measure with this name; `None` if it needs more than the crop.
    pub(super) fn from_name(name: &MeasureName) -> Option<Self> {
        match name {
            MeasureName::Laplacian => Some(Self::Laplacian),
            _ => None,
        }
    }

    /// The name on the command line and in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Laplacian => "laplacian",
        }
    }

    /// A description for reports.
    pub fn description(self) -> &'static str {
        match self {
            Self::Laplacian => "variance of the crop's Laplacian",
        }
    }

    /// The value of a crop.
    pub fn compute(self, crop: &Crop) -> f32 {
        match self {
            Self::Laplacian => sharpness(crop),
        }
    }
}
