//! Bars: one number per method, best first.

use super::axis::{Axis, rounded_out};
use super::colour::Paint;
use super::font;
use super::panel::{Layout, SMALL, TEXT, draw_axes};
use super::scene::{Anchor, Figure, FigureError, Shape, finite, not_empty};

/// A value and its uncertainty.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// Its label.
    pub label: String,
    /// The value.
    pub value: f64,
    /// The ends of its confidence interval.
    pub interval: Option<(f64, f64)>,
    /// The text at its end.
    pub text: String,
    /// Whether it is a baseline (random, theoretical best) and not a method.
    pub reference: bool,
}

/// Horizontal bars from 0, in the given order.
///
/// # Errors
///
/// [`FigureError::Empty`] if there are no bars, [`FigureError::NotFinite`] if a value is not
/// finite.
pub fn bars(title: &str, x_title: &str, bars: &[Bar]) -> Result<Figure, FigureError> {
    not_empty(title, "bar", bars.len())?;
    let (mut low, mut high) = (0.0_f64, 0.0_f64);
    for bar in bars {
        let (from, to) = bar.interval.unwrap_or((bar.value, bar.value));
        for value in [bar.value, from, to] {
            let value = finite(title, &bar.label, value)?;
            (low, high) = (low.min(value), high.max(value));
        }
    }
    const PITCH: f64 = 24.0;
    let widest = bars.iter().map(|bar| font::width(&bar.label, TEXT)).fold(0.0, f64::max);
    let label_room = widest.min(240.0);
    let text_room = bars.iter().map(|bar| font::width(&bar.text, SMALL)).fold(0.0, f64::max);
    let layout = Layout {
        columns: 1,
        plot: (400.0 + text_room, PITCH * bars.len() as f64),
        left: label_room + 22.0,
    };
    let (mut figure, plots) = layout.lay_out(title, 1, &[]);
    let Some(plot) = plots.first() else { return Ok(figure) };
    let (left, right) = plot.across();
    let range = rounded_out(low, high, 5);
    let x = Axis::linear(range, 5, (left, right - text_room - 8.0));
    let mut y = Axis::linear((0.0, bars.len() as f64), 1, plot.upwards());
    y.ticks.clear();
    draw_axes(&mut figure, plot, "", (&x, x_title), (&y, ""));
    let zero = x.at(0.0);
    for (index, bar) in bars.iter().enumerate() {
        let middle = plot.y + (index as f64 + 0.5) * PITCH;
        let label = font::fitted(&bar.label, TEXT, label_room);
        figure.text((left - 8.0, middle + 4.0), TEXT, Anchor::End, &label);
        let end = x.at(bar.value);
        figure.shapes.push(Shape::Rect {
            x: zero.min(end),
            y: middle - 8.0,
            width: (end - zero).abs(),
            height: 16.0,
            paint: if bar.reference { Paint::Muted } else { Paint::Series(0) },
            opacity: if bar.reference { 0.45 } else { 0.8 },
        });
        let mut reach = end.max(zero);
        if let Some((from, to)) = bar.interval {
            let (from, to) = (x.at(from), x.at(to));
            figure.line(vec![(from, middle), (to, middle)], Paint::Ink, 1.25);
            for at in [from, to] {
                figure.line(vec![(at, middle - 4.0), (at, middle + 4.0)], Paint::Ink, 1.25);
            }
            reach = reach.max(to);
        }
        figure.text((reach + 6.0, middle + 4.0), SMALL, Anchor::Start, &bar.text);
    }
    Ok(figure)
}
