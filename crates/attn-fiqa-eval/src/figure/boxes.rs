//! Box plots: how a score falls from level to level (the paper's Figure 1).

use super::axis::{Axis, rounded_out};
use super::colour::Paint;
use super::panel::{Layout, Plot, SMALL, draw_axes};
use super::scene::{Anchor, Figure, FigureError, Shape, finite, not_empty};
use crate::statistics::BoxPlot;

/// Maximum number of outliers drawn per group; more would only overlap.
const OUTLIERS: usize = 200;

/// The scores of one level, as drawn in a box plot.
#[derive(Debug, Clone, PartialEq)]
pub struct BoxGroup {
    /// The label below the box.
    pub label: String,
    /// First, second and third quartile.
    pub quartiles: [f64; 3],
    /// Minimum and maximum value within 1.5 interquartile ranges of the box.
    pub whiskers: [f64; 2],
    /// Values beyond the whiskers, ascending.
    pub outliers: Vec<f64>,
}

/// The boxes of one kind of degradation.
#[derive(Debug, Clone, PartialEq)]
pub struct BoxPanel {
    /// Title above the panel.
    pub title: String,
    /// One box per level, left to right.
    pub groups: Vec<BoxGroup>,
}

impl BoxGroup {
    /// Tukey's box plot of some values: quartiles by linear interpolation (NumPy's default),
    /// whiskers at the last value within 1.5 interquartile ranges.
    ///
    /// # Errors
    ///
    /// [`FigureError::Empty`] without a value, [`FigureError::NotFinite`] if one is
    /// not finite.
    pub fn of(label: &str, values: &[f64]) -> Result<Self, FigureError> {
        not_empty(label, "value", values.len())?;
        for &value in values {
            finite(label, label, value)?;
        }
        let overflow = || FigureError::NotFinite {
            title: label.to_owned(),
            series: label.to_owned(),
            value: f64::INFINITY,
        };
        let BoxPlot {
            lower_whisker, lower_quartile, median, upper_quartile, upper_whisker, ..
        } = BoxPlot::of(values.iter().copied()).ok_or_else(overflow)?;
        let mut outliers: Vec<f64> = values
            .iter()
            .copied()
            .filter(|value| !(lower_whisker..=upper_whisker).contains(value))
            .collect();
        outliers.sort_by(f64::total_cmp);
        Ok(Self {
            label: label.to_owned(),
            quartiles: [lower_quartile, median, upper_quartile],
            // With few values, interpolated quartiles can lie beyond the last value in range.
            whiskers: [lower_whisker.min(lower_quartile), upper_whisker.max(upper_quartile)],
            outliers,
        })
    }
}

/// A box for every level, in panels with `columns` per row that share one vertical range, so that
/// kinds of degradation can be compared. Medians are joined by a line.
///
/// # Errors
///
/// [`FigureError::Empty`] if there are no panels or a panel has no boxes,
/// [`FigureError::NotFinite`] if a value is not finite.
pub fn box_plots(
    title: &str,
    (x_title, y_title): (&str, &str),
    panels: &[BoxPanel],
    columns: usize,
) -> Result<Figure, FigureError> {
    not_empty(title, "panel", panels.len())?;
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for panel in panels {
        not_empty(title, "box in one of its panels", panel.groups.len())?;
        for group in &panel.groups {
            let extent = group.whiskers.iter().chain(&group.quartiles).chain(&group.outliers);
            for &value in extent {
                let value = finite(title, &panel.title, value)?;
                (low, high) = (low.min(value), high.max(value));
            }
        }
    }
    let range = rounded_out(low, high, 5);
    let plot = if panels.len() == 1 { (460.0, 280.0) } else { (250.0, 170.0) };
    let (mut figure, plots) =
        Layout { columns, plot, left: 66.0 }.lay_out(title, panels.len(), &[]);
    for (panel, plot) in panels.iter().zip(&plots) {
        let y = Axis::linear(range, 5, plot.upwards());
        let mut x = Axis::linear((0.0, panel.groups.len() as f64), 1, plot.across());
        x.ticks.clear();
        draw_axes(&mut figure, plot, &panel.title, (&x, x_title), (&y, y_title));
        draw_boxes(&mut figure, panel, plot, (&x, &y));
    }
    Ok(figure)
}

fn draw_boxes(figure: &mut Figure, panel: &BoxPanel, plot: &Plot, (x, y): (&Axis, &Axis)) {
    let paint = Paint::Series(0);
    let room = plot.width / panel.groups.len() as f64;
    let half = (room * 0.32).min(16.0);
    let centre = |index: usize| x.at(index as f64 + 0.5);
    let groups = panel.groups.iter().enumerate();
    let medians: Vec<(f64, f64)> =
        groups.map(|(index, group)| (centre(index), y.at(group.quartiles[1]))).collect();
    for (index, group) in panel.groups.iter().enumerate() {
        let at = centre(index);
        let [lower, _, upper] = group.quartiles.map(|value| y.at(value));
        let [least, greatest] = group.whiskers.map(|value| y.at(value));
        for (from, to) in [(lower, least), (upper, greatest)] {
            figure.line(vec![(at, from), (at, to)], paint, 1.25);
            figure.line(vec![(at - half / 2.0, to), (at + half / 2.0, to)], paint, 1.25);
        }
        let (x, width, height) = (at - half, 2.0 * half, (lower - upper).max(0.5));
        figure.shapes.push(Shape::Rect { x, y: upper, width, height, paint, opacity: 0.25 });
        let (left, right) = (x, x + width);
        let outline =
            vec![(left, lower), (left, upper), (right, upper), (right, lower), (left, lower)];
        figure.line(outline, paint, 1.25);
        // Evenly spaced, including the nearest and the farthest.
        let count = group.outliers.len();
        let drawn = count.min(OUTLIERS);
        for number in 0..drawn {
            let value = group.outliers[number * (count - 1) / (drawn - 1).max(1)];
            figure.shapes.push(Shape::Circle { x: at, y: y.at(value), radius: 1.3, paint });
        }
        let below = plot.y + plot.height + 16.0;
        figure.text_in((at, below), SMALL, Anchor::Middle, Paint::Muted, &group.label);
    }
    figure.line(medians.clone(), Paint::Series(1), 1.5);
    for (x, y) in medians {
        figure.shapes.push(Shape::Circle { x, y, radius: 2.4, paint: Paint::Series(1) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn box_plot_follows_tukey() {
        let values: Vec<f64> = (1..=9).map(f64::from).chain([30.0]).collect();
        let group = BoxGroup::of("level", &values).unwrap();
        assert_eq!(group.quartiles, [3.25, 5.5, 7.75]);
        assert_eq!(group.whiskers, [1.0, 9.0]);
        assert_eq!(group.outliers, [30.0]);
    }

    #[test]
    fn single_value_gives_degenerate_box() {
        let group = BoxGroup::of("level", &[2.0]).unwrap();
        assert_eq!((group.quartiles, group.whiskers), ([2.0; 3], [2.0; 2]));
        assert!(BoxGroup::of("level", &[]).is_err());
        assert!(BoxGroup::of("level", &[f64::NAN]).is_err());
    }
}
