//! A figure as shapes, which every writer draws.

use super::colour::Paint;

/// An image made of lines, areas and text, in units of CSS pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) title: String,
    pub(super) shapes: Vec<Shape>,
}

/// Why a figure could not be drawn.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FigureError {
    /// There is nothing to draw.
    #[error("the figure '{title}' has no {what}")]
    Empty {
        /// Its title.
        title: String,
        /// What is missing.
        what: &'static str,
    },
    /// A value cannot be placed on an axis.
    #[error("the figure '{title}' has {value} in '{series}'; expected a finite number")]
    NotFinite {
        /// Its title.
        title: String,
        /// The series, group or bar.
        series: String,
        /// The value.
        value: f64,
    },
    /// The image would have too many pixels.
    #[error("an image of {width}×{height} pixels is too large to be written")]
    TooLarge {
        /// Width in pixels.
        width: f64,
        /// Height in pixels.
        height: f64,
    },
    /// The PNG encoder failed.
    #[error(transparent)]
    Png(#[from] std::sync::Arc<PngError>),
}

/// The PNG encoder's error.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct PngError(#[from] pub(super) attn_fiqa::visualize::VisualizeError);

impl PartialEq for PngError {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

/// Position of text relative to its anchor point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// Lengths of dash and gap, in pixels; empty means a solid line.
pub(super) type Dashes = &'static [f64];

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    /// An open line through points.
    Line {
        points: Vec<(f64, f64)>,
        paint: Paint,
        width: f64,
        dashes: Dashes,
    },
    /// A filled area without an outline.
    Area {
        points: Vec<(f64, f64)>,
        paint: Paint,
        opacity: f64,
    },
    Rect {
        x: f64,
        y: f64,
        width: f64,
        height: f64,
        paint: Paint,
        opacity: f64,
    },
    Circle {
        x: f64,
        y: f64,
        radius: f64,
        paint: Paint,
    },
    /// `y` is the baseline; `upwards` rotates the text by 90° anticlockwise.
    Text {
        x: f64,
        y: f64,
        size: f64,
        anchor: Anchor,
        upwards: bool,
        paint: Paint,
        text: String,
    },
}

impl Figure {
    pub(super) fn new(title: &str, width: f64, height: f64) -> Self {
        Self { width, height, title: title.to_owned(), shapes: Vec::new() }
    }

    /// A description of the figure, for screen readers.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Width and height in CSS pixels.
    pub fn size(&self) -> (f64, f64) {
        (self.width, self.height)
    }

    pub(super) fn line(&mut self, points: Vec<(f64, f64)>, paint: Paint, width: f64) {
        self.shapes.push(Shape::Line { points, paint, width, dashes: &[] });
    }

    pub(super) fn text(&mut self, at: (f64, f64), size: f64, anchor: Anchor, text: &str) {
        self.text_in(at, size, anchor, Paint::Ink, text);
    }

    pub(super) fn text_in(
        &mut self,
        (x, y): (f64, f64),
        size: f64,
        anchor: Anchor,
        paint: Paint,
        text: &str,
    ) {
        let text = text.to_owned();
        self.shapes.push(Shape::Text { x, y, size, anchor, upwards: false, paint, text });
    }

    pub(super) fn text_upwards(&mut self, (x, y): (f64, f64), size: f64, text: &str) {
        let (anchor, paint, text) = (Anchor::Middle, Paint::Ink, text.to_owned());
        self.shapes.push(Shape::Text { x, y, size, anchor, upwards: true, paint, text });
    }
}

/// Refuses a value that cannot be placed on an axis.
pub(super) fn finite(title: &str, series: &str, value: f64) -> Result<f64, FigureError> {
    if value.is_finite() {
        return Ok(value);
    }
    let (title, series) = (title.to_owned(), series.to_owned());
    Err(FigureError::NotFinite { title, series, value })
}

/// Refuses a figure without content.
pub(super) fn not_empty(title: &str, what: &'static str, count: usize) -> Result<(), FigureError> {
    if count > 0 {
        return Ok(());
    }
    Err(FigureError::Empty { title: title.to_owned(), what })
}
