//! One map in colour, alone and overlaid on its face.

use super::{ColorRange, Colormap, MAX_PIXELS, VisualizeError};
use crate::crop::Crop;
use crate::resize::resize_bilinear_grid;

/// Fraction of the map in the paper's overlays.
pub const DEFAULT_ALPHA: f32 = 0.4;

/// Side in pixels of the crops that published networks take.
pub const DEFAULT_SIDE: usize = 112;

/// A map before rendering: finite patch values, `[row, column]`, in the order of the network's
/// tokens.
#[derive(Debug, Clone, Copy)]
pub struct PatchGrid<'a> {
    values: &'a [f32],
    rows: usize,
    cols: usize,
}

impl<'a> PatchGrid<'a> {
    /// Wraps `rows · cols` values, row by row.
    ///
    /// # Errors
    /// [`VisualizeError::GridShape`] if there are more or fewer values, or none;
    /// [`VisualizeError::NonFinitePatch`] if one is infinite or not a number.
    pub fn new(values: &'a [f32], rows: usize, cols: usize) -> Result<Self, VisualizeError> {
        let found = values.len();
        if found == 0 || rows.checked_mul(cols) != Some(found) {
            return Err(VisualizeError::GridShape { rows, cols, found });
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            let (row, col, value) = (at / cols, at % cols, values[at]);
            return Err(VisualizeError::NonFinitePatch { row, col, value });
        }
        Ok(Self { values, rows, cols })
    }

    /// Number of patch values outside a range.
    pub(super) fn clipped(&self, range: ColorRange) -> usize {
        self.values.iter().filter(|&&value| !range.contains(value)).count()
    }

    /// The value of the map, between 0 and 1, at a position in the crop, whose left and upper edges
    /// are at 0 and right and lower edges at 1: bilinear between patch centres and constant beyond
    /// the outermost ones, as in [`render_map`].
    pub(super) fn fraction_at(&self, x: f64, y: f64, range: ColorRange) -> f32 {
        let tap = |place: f64, cells: usize| {
            let centre = (place * cells as f64 - 0.5).clamp(0.0, (cells - 1) as f64);
            let near = centre.floor() as usize;
            (near, (near + 1).min(cells - 1), (centre - near as f64) as f32)
        };
        let ((left, right, across), (top, bottom, down)) = (tap(x, self.cols), tap(y, self.rows));
        let at = |row: usize, col: usize| range.fraction(self.values[row * self.cols + col]);
        let mix = |a: f32, b: f32, fraction: f32| a + (b - a) * fraction;
        let upper = mix(at(top, left), at(top, right), across);
        mix(upper, mix(at(bottom, left), at(bottom, right), across), down)
    }
}

/// How maps are rendered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MapStyle {
    /// Values of the first and the last colour; the same for all maps that are viewed together.
    pub range: ColorRange,
    /// The colours.
    pub colormap: Colormap,
    /// Fraction of the map in an overlay: 0 is only the face, 1 only the map.
    pub alpha: f32,
    /// Side of the image in pixels; for an overlay, the side of the crop.
    pub side: usize,
}

impl MapStyle {
    /// Viridis at 112×112 pixels, with [`DEFAULT_ALPHA`] for overlays.
    pub fn new(range: ColorRange) -> Self {
        Self { range, colormap: Colormap::default(), alpha: DEFAULT_ALPHA, side: DEFAULT_SIDE }
    }

    pub(super) fn check(&self) -> Result<(), VisualizeError> {
        let (alpha, side) = (self.alpha, self.side);
        if !(0.0..=1.0).contains(&alpha) {
            return Err(VisualizeError::Alpha { alpha });
        }
        match side.checked_mul(side) {
            Some(1..=MAX_PIXELS) => Ok(()),
            _ => Err(VisualizeError::Size { width: side, height: side }),
        }
    }
}

/// A finished image.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rendered {
    /// Pixels, `[row, column, channel]`, RGB, 8 bits.
    pub rgb: Vec<u8>,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Number of patch values outside the range, shown in the colour of the nearer end. Always 0 if
    /// the range was gathered over the maps being rendered.
    pub clipped: usize,
}

/// The bare map: mapped to 0…1 by the range, enlarged bilinearly to `style.side` (OpenCV's
/// `INTER_LINEAR`: half-pixel centres, edges replicated), multiplied by 255, truncated to an
/// integer and coloured. `alpha` is not used.
///
/// The grid is spread over the whole image. If a network's patches leave a margin of the crop
/// unread (patch 9 on 112 pixels), its map is stretched by that margin.
///
/// # Errors
/// [`VisualizeError::Alpha`] or [`VisualizeError::Size`] if the style is not valid.
pub fn render_map(grid: &PatchGrid<'_>, style: &MapStyle) -> Result<Rendered, VisualizeError> {
    style.check()?;
    let &PatchGrid { values, rows, cols } = grid;
    let &MapStyle { range, side, .. } = style;
    let clipped = grid.clipped(range);
    let fractions: Vec<f32> = values.iter().map(|&value| range.fraction(value)).collect();
    let table = style.colormap.table();
    let rgb = resize_bilinear_grid(&fractions, (rows, cols), (side, side))
        .into_iter()
        .flat_map(|fraction| table[usize::from((fraction * 255.0) as u8)])
        .collect();
    Ok(Rendered { rgb, width: side, height: side, clipped })
}

/// The map over the face: `(1 − α) · crop + α · map`, rounded to the nearest integer, ties to even.
///
/// # Errors
/// As [`render_map`], and [`VisualizeError::Side`] if the crop's side is not
/// `style.side`.
pub fn overlay(
    crop: &Crop,
    grid: &PatchGrid<'_>,
    style: &MapStyle,
) -> Result<Rendered, VisualizeError> {
    if crop.side() != style.side {
        return Err(VisualizeError::Side { map: style.side, crop: crop.side() });
    }
    let mut rendered = render_map(grid, style)?;
    rendered.rgb = blend(crop.rgb(), &rendered.rgb, style.alpha);
    Ok(rendered)
}

/// Blends two images of the same size, with weight `alpha` for the second.
pub(super) fn blend(below: &[u8], above: &[u8], alpha: f32) -> Vec<u8> {
    let mix = |below: u8, above: u8| {
        let mixed = (1.0 - alpha) * f32::from(below) + alpha * f32::from(above);
        mixed.round_ties_even() as u8
    };
    below.iter().zip(above).map(|(&b, &a)| mix(b, a)).collect()
}
