//! The contact sheet: many faces with their maps on one page.

use super::canvas::{At, Canvas};
use super::layout::{CAPTION_GAP, GAP, Layout, MARGIN};
use super::overlay::blend;
use super::{
    ColorRange, Colormap, MapStyle, PatchGrid, Rendered, VisualizeError, render_map, text,
};
use crate::crop::Crop;

/// One face of a sheet.
#[derive(Debug, Clone, Copy)]
pub struct SheetCell<'a> {
    /// Printed below on the left; shortened in the middle if too long.
    pub name: &'a str,
    /// Printed below on the right, as given.
    pub score: &'a str,
    /// The face, of side `style.map.side`.
    pub crop: &'a Crop,
    /// Its map.
    pub grid: PatchGrid<'a>,
    /// Its own colour range; `None` for that of the style.
    pub range: Option<ColorRange>,
}

/// How a sheet is rendered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SheetStyle<'a> {
    /// Printed at the top, broken into lines as needed: what a reader needs to know about all
    /// faces, such as the network, the method and their number.
    pub title: &'a str,
    /// Number of faces per row; `None` for about the shape of a screen, 4:3. Never more columns
    /// than faces.
    pub columns: Option<usize>,
    /// How the maps and overlays are rendered. The range is shown on the sheet, unless a face has
    /// its own: then the ends are labelled only `low` and `high`.
    pub map: MapStyle,
}

const BLACK: [u8; 3] = [0; 3];
const GREY: [u8; 3] = [96; 3];

/// Width and height in pixels of a sheet of `faces` faces, known before they are scored.
///
/// # Errors
/// As [`render_sheet`], for the size and the style.
pub fn sheet_size(faces: usize, style: &SheetStyle<'_>) -> Result<(usize, usize), VisualizeError> {
    let layout = Layout::new(faces, style)?;
    Ok((layout.width, layout.height))
}

/// Renders the faces in the given order, row by row, on white: for each, the crop, the map and the
/// overlay side by side, with the name and the score below. The title and the colour scale, with
/// the values of its ends, are at the top.
///
/// Pass only faces that could be scored. Sorting is up to the caller.
///
/// # Errors
/// [`VisualizeError::EmptySheet`] without cells, [`VisualizeError::NoColumns`] for 0 columns,
/// [`VisualizeError::SheetTooLarge`] if the sheet would take more than
/// [`MAX_PIXELS`](super::MAX_PIXELS), [`VisualizeError::Side`] if a crop's side is not
/// `style.map.side`, [`VisualizeError::Alpha`] and [`VisualizeError::Size`] if the style is not
/// valid.
pub fn render_sheet(
    cells: &[SheetCell<'_>],
    style: &SheetStyle<'_>,
) -> Result<Rendered, VisualizeError> {
    let layout = Layout::new(cells.len(), style)?;
    let side = style.map.side;
    if let Some(cell) = cells.iter().find(|cell| cell.crop.side() != side) {
        return Err(VisualizeError::Side { map: side, crop: cell.crop.side() });
    }
    let mut canvas = Canvas::white(layout.width, layout.height);
    let own_ranges = cells.iter().any(|cell| cell.range.is_some());
    let ends = if own_ranges { ("low".into(), "high".into()) } else { labels(style.map.range) };
    draw_header(&mut canvas, &layout, style.map.colormap, &ends);
    let mut clipped = 0;
    for (index, cell) in cells.iter().enumerate() {
        clipped += draw_cell(&mut canvas, layout.cell(index), &layout, cell, &style.map)?;
    }
    Ok(Rendered { rgb: canvas.into_rgb(), width: layout.width, height: layout.height, clipped })
}

/// Draws a face and returns how many of its patch values were clipped.
fn draw_cell(
    canvas: &mut Canvas,
    at: At,
    layout: &Layout,
    cell: &SheetCell<'_>,
    style: &MapStyle,
) -> Result<usize, VisualizeError> {
    let side = style.side;
    let style = MapStyle { range: cell.range.unwrap_or(style.range), ..*style };
    let map = render_map(&cell.grid, &style)?;
    let mixed = blend(cell.crop.rgb(), &map.rgb, style.alpha);
    for (place, rgb) in [cell.crop.rgb(), &map.rgb, &mixed].into_iter().enumerate() {
        let x = at.x + place * (side + GAP);
        canvas.image(At { x, y: at.y }, rgb, side);
    }
    let y = at.y + side + CAPTION_GAP;
    let (name, score) = layout.caption(cell.name, cell.score);
    text::draw(canvas, At { x: at.x, y }, &name, GREY);
    let x = at.x + layout.cell_width - text::width(&score);
    text::draw(canvas, At { x, y }, &score, BLACK);
    Ok(map.clipped)
}

/// Height of the colour scale, slightly less than that of its labels.
const BAR_HEIGHT: usize = 12;

fn draw_header(
    canvas: &mut Canvas,
    layout: &Layout,
    colormap: Colormap,
    (low, high): &(String, String),
) {
    let mut y = MARGIN;
    for line in &layout.title {
        text::draw(canvas, At { x: MARGIN, y }, line, BLACK);
        y += text::LINE_HEIGHT;
    }
    let mut x = MARGIN;
    text::draw(canvas, At { x, y: layout.bar_y }, low, BLACK);
    x += text::width(low) + text::GLYPH_WIDTH;
    let ends = text::width(low) + text::width(high) + 2 * text::GLYPH_WIDTH;
    let bar = layout.bar_width(ends);
    let bar_at = At { x, y: layout.bar_y + (text::LINE_HEIGHT - BAR_HEIGHT) / 2 };
    draw_bar(canvas, bar_at, bar, colormap);
    x += bar + text::GLYPH_WIDTH;
    text::draw(canvas, At { x, y: layout.bar_y }, high, BLACK);
}

fn draw_bar(canvas: &mut Canvas, at: At, width: usize, colormap: Colormap) {
    for column in 0..width {
        // Column c covers the colours from 256·c/width on; the last one ends at 255.
        let index = u8::try_from(column * 256 / width).unwrap_or(u8::MAX);
        let at = At { x: at.x + column, y: at.y };
        canvas.fill(at, 1, BAR_HEIGHT, colormap.color(index));
    }
}

/// The ends of the range, with enough decimals to tell them apart: three digits of their distance.
pub(super) fn labels(range: ColorRange) -> (String, String) {
    let (low, high) = (range.low(), range.high());
    let distance = f64::from(high) - f64::from(low);
    let largest = f64::from(low.abs().max(high.abs()));
    // A range of a single value has no distance, so the digits are those of the value.
    let magnitude = if distance > 0.0 { distance } else { largest };
    if largest >= 1e6 || (magnitude > 0.0 && magnitude < 1e-5) {
        return (format!("{low:.3e}"), format!("{high:.3e}"));
    }
    let digits = if magnitude > 0.0 { 2.0 - magnitude.log10().floor() } else { 0.0 };
    let decimals = digits.clamp(0.0, 7.0) as usize;
    (format!("{low:.decimals$}"), format!("{high:.decimals$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range_labels_use_enough_digits() {
        let ends = |low, high| labels(ColorRange::new(low, high).unwrap());
        let pair = |low: &str, high: &str| (low.to_owned(), high.to_owned());
        assert_eq!(ends(-1.515_049_2, -0.253_532_8), pair("-1.52", "-0.25"));
        assert_eq!(ends(-1.3, -0.7), pair("-1.300", "-0.700"));
        assert_eq!(ends(-1.001, -1.0), pair("-1.00100", "-1.00000"));
        assert_eq!(ends(0.0, 0.0), pair("0", "0"));
        assert_eq!(ends(0.25, 0.25), pair("0.250", "0.250"));
        assert_eq!(ends(-2e9, 3e9), pair("-2.000e9", "3.000e9"));
        assert_eq!(ends(0.0, 1e-9), pair("0.000e0", "1.000e-9"));
        assert_eq!(ends(0.0, 100.0), pair("0", "100"));
    }
}
