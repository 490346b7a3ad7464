//! Shared by figures: panels side by side, each with axes, and one legend.

use super::axis::Axis;
use super::colour::{Paint, SERIES};
use super::font;
use super::scene::{Anchor, Dashes, Figure, Shape};

pub(super) const TEXT: f64 = 12.0;
pub(super) const SMALL: f64 = 10.5;
const TITLE: f64 = 14.0;
/// Margin around the whole figure, and between panels.
const MARGIN: f64 = 14.0;

/// Panels of equal size in rows, under a title and above a legend.
pub(super) struct Layout {
    pub(super) columns: usize,
    /// Width and height of the plotting area of a panel.
    pub(super) plot: (f64, f64),
    /// Room left of a plotting area for its tick labels and axis title.
    pub(super) left: f64,
}

/// A rectangle in which data are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Plot {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Plot {
    /// Left to right, for a horizontal axis.
    pub(super) fn across(&self) -> (f64, f64) {
        (self.x, self.x + self.width)
    }

    /// Bottom to top, for a vertical axis.
    pub(super) fn upwards(&self) -> (f64, f64) {
        (self.y + self.height, self.y)
    }
}

/// Space above a plotting area for its title, and below for tick labels and axis title.
const ABOVE: f64 = 24.0;
const BELOW: f64 = 40.0;

impl Layout {
    /// A figure with space for `panels` panels and a legend, and each panel's plotting area.
    pub(super) fn lay_out(
        &self,
        title: &str,
        panels: usize,
        legend: &[Key],
    ) -> (Figure, Vec<Plot>) {
        let columns = self.columns.clamp(1, panels.max(1));
        let rows = panels.div_ceil(columns);
        let (cell_width, cell_height) =
            (self.left + self.plot.0 + MARGIN, ABOVE + self.plot.1 + BELOW);
        let width = (columns as f64 * cell_width + MARGIN).max(320.0);
        let top = if title.is_empty() { MARGIN } else { MARGIN + TITLE + 8.0 };
        let legend_top = top + rows as f64 * cell_height;
        let lines = Key::flow(legend, width - 2.0 * MARGIN);
        let height = legend_top + lines.len() as f64 * Key::LINE + MARGIN;
        let mut figure = Figure::new(title, width, height);
        if !title.is_empty() {
            let fitted = font::fitted(title, TITLE, width - 2.0 * MARGIN);
            figure.text((MARGIN, MARGIN + TITLE), TITLE, Anchor::Start, &fitted);
        }
        for (line, keys) in lines.iter().enumerate() {
            let y = legend_top + line as f64 * Key::LINE + Key::LINE / 2.0;
            for (x, key) in keys {
                key.draw(&mut figure, MARGIN + x, y);
            }
        }
        let plots = (0..panels).map(|index| Plot {
            x: MARGIN / 2.0 + (index % columns) as f64 * cell_width + self.left,
            y: top + (index / columns) as f64 * cell_height + ABOVE,
            width: self.plot.0,
            height: self.plot.1,
        });
        (figure, plots.collect())
    }
}

/// Title, grid lines, tick labels and axis titles of one panel.
pub(super) fn draw_axes(
    figure: &mut Figure,
    plot: &Plot,
    title: &str,
    (x, x_title): (&Axis, &str),
    (y, y_title): (&Axis, &str),
) {
    let (left, right) = plot.across();
    let (bottom, top) = plot.upwards();
    draw_panel_title(figure, plot, title);
    for (value, label) in &y.ticks {
        let at = y.at(*value);
        figure.line(vec![(left, at), (right, at)], Paint::Rule, 1.0);
        figure.text_in((left - 6.0, at + 4.0), SMALL, Anchor::End, Paint::Muted, label);
    }
    for (value, label) in &x.ticks {
        let at = x.at(*value);
        figure.line(vec![(at, bottom), (at, bottom + 4.0)], Paint::Muted, 1.0);
        figure.text_in((at, bottom + 16.0), SMALL, Anchor::Middle, Paint::Muted, label);
    }
    figure.line(vec![(left, top), (left, bottom), (right, bottom)], Paint::Muted, 1.0);
    let middle = left + plot.width / 2.0;
    let x_title = font::fitted(x_title, TEXT, plot.width + 40.0);
    figure.text((middle, bottom + 32.0), TEXT, Anchor::Middle, &x_title);
    if !y_title.is_empty() {
        let widest = y.ticks.iter().map(|(_, label)| font::width(label, SMALL)).fold(0.0, f64::max);
        let at = (left - widest - 14.0, top + plot.height / 2.0);
        figure.text_upwards(at, TEXT, &font::fitted(y_title, TEXT, plot.height + 30.0));
    }
}

/// The title above a panel's plotting area.
pub(super) fn draw_panel_title(figure: &mut Figure, plot: &Plot, title: &str) {
    let title = font::fitted(title, TEXT, plot.width);
    figure.text((plot.x, plot.y - 8.0), TEXT, Anchor::Start, &title);
}

/// Solid for the first eight series, then a different dash pattern for every further eight.
pub(super) fn series_dashes(number: usize) -> Dashes {
    const ROUNDS: [Dashes; 4] = [&[], &[6.0, 3.0], &[2.0, 2.5], &[8.0, 3.0, 2.0, 3.0]];
    ROUNDS[(number / SERIES) % ROUNDS.len()]
}

/// An entry of the legend.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) paint: Paint,
    pub(super) marker: Marker,
}

/// How the data of a legend's entry are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Marker {
    Line { width: f64, dashes: Dashes },
    Filled,
}

impl Key {
    const LINE: f64 = 20.0;
    const SAMPLE: f64 = 26.0;

    /// An entry for a method's line.
    pub(super) fn series(number: usize, name: &str) -> Self {
        let marker = Marker::Line { width: 2.0, dashes: series_dashes(number) };
        Self { name: name.to_owned(), paint: Paint::Series(number), marker }
    }

    /// Entries in lines no wider than `limit`, with the offset of each.
    fn flow(keys: &[Self], limit: f64) -> Vec<Vec<(f64, Self)>> {
        let mut lines: Vec<Vec<(f64, Self)>> = Vec::new();
        let mut x = f64::INFINITY;
        for key in keys {
            let name = font::fitted(&key.name, TEXT, limit - Self::SAMPLE - 8.0);
            let width = Self::SAMPLE + 8.0 + font::width(&name, TEXT);
            if x + width > limit {
                lines.push(Vec::new());
                x = 0.0;
            }
            if let Some(line) = lines.last_mut() {
                line.push((x, Self { name, ..key.clone() }));
            }
            x += width + 18.0;
        }
        lines
    }

    fn draw(&self, figure: &mut Figure, x: f64, y: f64) {
        let paint = self.paint;
        figure.shapes.push(match self.marker {
            Marker::Line { width, dashes } => {
                let points = vec![(x, y), (x + Self::SAMPLE, y)];
                Shape::Line { points, paint, width, dashes }
            }
            Marker::Filled => {
                let (width, height, opacity) = (Self::SAMPLE, 10.0, 0.6);
                Shape::Rect { x, y: y - 5.0, width, height, paint, opacity }
            }
        });
        figure.text((x + Self::SAMPLE + 8.0, y + 4.0), TEXT, Anchor::Start, &self.name);
    }
}
