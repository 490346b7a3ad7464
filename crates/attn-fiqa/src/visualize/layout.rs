//! The layout of a contact sheet.

use std::borrow::Cow;

use super::canvas::At;
use super::{MAX_PIXELS, SheetStyle, VisualizeError, text};

/// White margin around the page, in pixels.
pub(super) const MARGIN: usize = 16;
/// Gap between the three images of a face.
pub(super) const GAP: usize = 4;
/// Gap between the images and the line below them.
pub(super) const CAPTION_GAP: usize = 3;
/// Gap between one face and the next, clearly larger than within a face.
const CELL_GAP: usize = 20;
/// Gap between the title, the colour scale and the faces.
const HEADER_GAP: usize = 8;
/// Minimum number of letters in the line below a face, however small the face.
const CAPTION_LETTERS: usize = 32;
/// Width of the colour scale if there is room: one pixel per colour.
const BAR_WIDTH: usize = 256;
/// Target ratio of width to height if the number of columns is free.
const SHAPE: f64 = 4.0 / 3.0;
/// Maximum number of letters of the score below a face.
const SCORE_LETTERS: usize = 16;

/// The layout of a page.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) cell_width: usize,
    /// Lines of the title.
    pub(super) title: Vec<String>,
    /// Top of the line that holds the colour scale.
    pub(super) bar_y: usize,
    columns: usize,
    cell_height: usize,
    cells_y: usize,
}

impl Layout {
    pub(super) fn new(faces: usize, style: &SheetStyle<'_>) -> Result<Self, VisualizeError> {
        style.map.check()?;
        if faces == 0 {
            return Err(VisualizeError::EmptySheet);
        }
        let side = style.map.side;
        let cell_width = (3 * side + 2 * GAP).max(CAPTION_LETTERS * text::GLYPH_WIDTH);
        let cell_height = side + CAPTION_GAP + text::LINE_HEIGHT;
        // The faces alone are counted first, so that nothing below runs, or overflows, for a number
        // of them that cannot be shown.
        let most = MAX_PIXELS / ((cell_width + CELL_GAP) * (cell_height + CELL_GAP));
        let too_large = VisualizeError::SheetTooLarge { faces, most };
        if faces > most {
            return Err(too_large);
        }
        let plan = |columns: usize| Self::plan(faces, columns, (cell_width, cell_height), style);
        let layout = match style.columns {
            Some(0) => return Err(VisualizeError::NoColumns),
            Some(columns) => plan(columns.min(faces)),
            None => {
                // The title needs more lines on a narrow page, but its height is too small a part
                // of the page to plan for.
                let off_shape = |columns: usize| {
                    let width = span(columns, cell_width) as f64;
                    let height = span(faces.div_ceil(columns), cell_height) as f64;
                    (width / height / SHAPE).ln().abs()
                };
                let best = (1..=faces).min_by(|&a, &b| off_shape(a).total_cmp(&off_shape(b)));
                plan(best.unwrap_or(1))
            }
        };
        match layout.width.checked_mul(layout.height) {
            Some(0..=MAX_PIXELS) => Ok(layout),
            _ => Err(too_large),
        }
    }

    fn plan(
        faces: usize,
        columns: usize,
        (cell_width, cell_height): (usize, usize),
        style: &SheetStyle<'_>,
    ) -> Self {
        let inside = span(columns, cell_width);
        let title = text::wrap(style.title, inside / text::GLYPH_WIDTH);
        let title_height = match title.len() {
            0 => 0,
            lines => lines * text::LINE_HEIGHT + HEADER_GAP,
        };
        let bar_y = MARGIN + title_height;
        let cells_y = bar_y + text::LINE_HEIGHT + 2 * HEADER_GAP;
        Self {
            width: inside + 2 * MARGIN,
            height: cells_y + span(faces.div_ceil(columns), cell_height) + MARGIN,
            cell_width,
            title,
            bar_y,
            columns,
            cell_height,
            cells_y,
        }
    }

    /// The upper left corner of a face.
    pub(super) fn cell(&self, index: usize) -> At {
        let (row, column) = (index / self.columns, index % self.columns);
        At {
            x: MARGIN + column * (self.cell_width + CELL_GAP),
            y: self.cells_y + row * (self.cell_height + CELL_GAP),
        }
    }

    /// The name and the score, shortened so that both fit on the line below a face with two letters
    /// of space between them.
    pub(super) fn caption<'t>(
        &self,
        name: &'t str,
        score: &'t str,
    ) -> (Cow<'t, str>, Cow<'t, str>) {
        let letters = self.cell_width / text::GLYPH_WIDTH;
        let score = text::shorten_middle(score, SCORE_LETTERS.min(letters));
        let left = letters.saturating_sub(score.chars().count() + 2);
        (text::shorten_middle(name, left), score)
    }

    /// Width of the colour scale next to labels that are `labels` pixels wide.
    pub(super) fn bar_width(&self, labels: usize) -> usize {
        BAR_WIDTH.min((self.width - 2 * MARGIN).saturating_sub(labels))
    }
}

/// Length of `count` items of a given size with the gaps between them.
fn span(count: usize, size: usize) -> usize {
    count * (size + CELL_GAP) - CELL_GAP
}
