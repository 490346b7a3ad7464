//! Qualities that read the crop alone.

use attn_fiqa::crop::Crop;
use attn_fiqa::measure::{MeasureName, sharpness};

/// A quality that needs nothing but the crop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CropMeasure {
    /// [`sharpness`] of the crop.
    Laplacian,
}

impl CropMeasure {
    /// The measure of this name; `None` if it reads more than the crop.
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

    /// What it is, for reports.
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
