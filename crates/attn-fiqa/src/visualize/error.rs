//! Why a map, an overlay or a sheet cannot be rendered.

use super::MAX_PIXELS;

/// Why a map, an overlay or a sheet was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VisualizeError {
    /// The number of values does not fill the grid, or the grid has no patch.
    #[error(
        "a map of {rows}×{cols} patches needs rows · columns values and at least one, found {found}"
    )]
    GridShape {
        /// Rows of patches that were declared.
        rows: usize,
        /// Columns of patches that were declared.
        cols: usize,
        /// Values that were given.
        found: usize,
    },
    /// A patch value is infinite or not a number, so it has no colour.
    #[error(
        "patch ({row}, {col}) of the map is {value}, expected a finite number: look at the weights and the input of the network"
    )]
    NonFinitePatch {
        /// Row of the first such patch, from 0.
        row: usize,
        /// Column of the first such patch, from 0.
        col: usize,
        /// Its value.
        value: f32,
    },
    /// The ends of a colour range are not finite or are in the wrong order.
    #[error("a colour range needs two finite ends, the lower one first, found {low} … {high}")]
    Range {
        /// The low end that was given.
        low: f32,
        /// The high end that was given.
        high: f32,
    },
    /// The fraction of the map in an overlay is outside 0…1.
    #[error(
        "the fraction of the map in an overlay (alpha) must be between 0 (only the face) and 1 (only the map); found {alpha}"
    )]
    Alpha {
        /// The fraction that was given.
        alpha: f32,
    },
    /// A crop and the map to overlay on it differ in size.
    #[error(
        "the map is rendered at {map}×{map} pixels, but the crop is {crop}×{crop}: render at the \
         crop's side"
    )]
    Side {
        /// Side of the map in pixels.
        map: usize,
        /// Side of the crop in pixels.
        crop: usize,
    },
    /// The figure would have no pixels, or more than [`MAX_PIXELS`].
    #[error(
        "a figure of {width}×{height} pixels cannot be rendered: expected 1 to {MAX_PIXELS} pixels"
    )]
    Size {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
    },
    /// The sheet would have more than [`MAX_PIXELS`].
    #[error(
        "a sheet of {faces} faces would exceed {} megapixels: at this size at most about {most} \
         fit on one sheet, so make several",
        MAX_PIXELS / 1_000_000
    )]
    SheetTooLarge {
        /// Number of faces for the sheet.
        faces: usize,
        /// Approximate number of faces that fit on one sheet.
        most: usize,
    },
    /// A sheet needs at least one face.
    #[error("a sheet needs at least one face, found none")]
    EmptySheet,
    /// A sheet needs at least one column.
    #[error("a sheet needs at least one column, found 0")]
    NoColumns,
    /// The number of bytes does not match the size of the image.
    #[error(
        "an RGB image of {width}×{height} pixels needs width · height · 3 bytes, found {found}"
    )]
    PixelCount {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// Bytes that were given.
        found: usize,
    },
    /// The PNG encoder refused the image.
    #[error("the image could not be encoded as PNG")]
    Png(#[from] image::ImageError),
}
