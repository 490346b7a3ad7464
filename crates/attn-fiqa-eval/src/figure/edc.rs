//! Error-versus-discard curves, one panel per set, recogniser and target.

use super::axis::{Axis, rounded_out};
use super::colour::Paint;
use super::panel::{Key, Layout, Marker, Plot, draw_axes, series_dashes};
use super::scene::{Dashes, Figure, FigureError, Shape, finite, not_empty};
use crate::edc::Series;

/// One curve and its confidence band.
#[derive(Debug, Clone, PartialEq)]
pub struct EdcSeries {
    /// Name in the legend.
    pub name: String,
    /// What it represents; a method has the same colour in every panel.
    pub kind: Series,
    /// Discard fraction and error rate, by ascending discard fraction.
    pub points: Vec<(f64, f64)>,
    /// Discard fraction, lowest and highest error rate of the confidence band; may be empty.
    pub band: Vec<(f64, f64, f64)>,
}

/// The curves of one set of comparisons.
#[derive(Debug, Clone, PartialEq)]
pub struct EdcPanel {
    /// Title above the panel.
    pub title: String,
    /// The curves.
    pub series: Vec<EdcSeries>,
    /// Whether an error rate is constant until the next point.
    pub steps: bool,
}

const RANDOM: Dashes = &[5.0, 4.0];
const THEORETICAL_BEST: Dashes = &[1.5, 3.0];

/// Curves of FNMR against the discard fraction, in panels with `columns` per row. Panels have their
/// own vertical range, starting at 0; the area up to `limit`, which the papers report, is marked.
///
/// # Errors
///
/// [`FigureError::Empty`] if there are no panels or a panel has no points,
/// [`FigureError::NotFinite`] if a rate is not finite.
pub fn edc_grid(
    title: &str,
    panels: &[EdcPanel],
    columns: usize,
    limit: Option<f64>,
) -> Result<Figure, FigureError> {
    not_empty(title, "panel", panels.len())?;
    let mut methods: Vec<&str> = Vec::new();
    let mut baselines: Vec<Key> = Vec::new();
    for series in panels.iter().flat_map(|panel| &panel.series) {
        match series.kind {
            Series::Method if !methods.contains(&series.name.as_str()) => {
                methods.push(&series.name);
            }
            Series::Method => {}
            Series::Random | Series::TheoreticalBest => {
                let key = baseline_key(series);
                if !baselines.contains(&key) {
                    baselines.push(key);
                }
            }
        }
    }
    let keys = methods.iter().enumerate().map(|(number, name)| Key::series(number, name));
    let legend: Vec<Key> = keys.chain(baselines).collect();
    let plot = if panels.len() == 1 { (460.0, 280.0) } else { (250.0, 180.0) };
    let layout = Layout { columns, plot, left: 66.0 };
    let (mut figure, plots) = layout.lay_out(title, panels.len(), &legend);
    for (panel, plot) in panels.iter().zip(&plots) {
        draw_panel(&mut figure, title, panel, plot, &methods, limit)?;
    }
    Ok(figure)
}

fn baseline_key(series: &EdcSeries) -> Key {
    let (paint, dashes) = match series.kind {
        Series::Random => (Paint::Muted, RANDOM),
        _ => (Paint::Ink, THEORETICAL_BEST),
    };
    Key { name: series.name.clone(), paint, marker: Marker::Line { width: 1.5, dashes } }
}

fn draw_panel(
    figure: &mut Figure,
    title: &str,
    panel: &EdcPanel,
    plot: &Plot,
    methods: &[&str],
    limit: Option<f64>,
) -> Result<(), FigureError> {
    let mut highest = 0.0_f64;
    let mut last = 0.0_f64;
    let mut count = 0;
    for series in &panel.series {
        let bands = series.band.iter().flat_map(|&(x, low, high)| [(x, low), (x, high)]);
        for (x, y) in series.points.iter().copied().chain(bands) {
            last = last.max(finite(title, &series.name, x)?);
            highest = highest.max(finite(title, &series.name, y)?);
            count += 1;
        }
    }
    not_empty(title, "point in one of its panels", count)?;
    let (_, top) = rounded_out(0.0, if highest > 0.0 { highest } else { 0.01 }, 4);
    let x = Axis::linear((0.0, last.max(0.05)), 5, plot.across());
    let y = Axis::linear((0.0, top), 4, plot.upwards());
    if let Some(limit) = limit.filter(|&limit| limit < last) {
        let at = x.at(limit);
        figure.shapes.push(Shape::Rect {
            x: plot.x,
            y: plot.y,
            width: at - plot.x,
            height: plot.height,
            paint: Paint::Rule,
            opacity: 0.35,
        });
    }
    draw_axes(figure, plot, &panel.title, (&x, "discard fraction"), (&y, "FNMR"));
    let path = |points: &[(f64, f64)]| -> Vec<(f64, f64)> {
        let mut path: Vec<(f64, f64)> = Vec::with_capacity(points.len());
        for &(value, rate) in points {
            let at = (x.at(value), y.at(rate));
            if let (true, Some(&(_, before))) = (panel.steps, path.last()) {
                path.push((at.0, before));
            }
            path.push(at);
        }
        path
    };
    // Bands are drawn below all lines, and the baselines below the methods.
    for series in &panel.series {
        if let Series::Method = series.kind {
            let low: Vec<_> = series.band.iter().map(|&(x, low, _)| (x, low)).collect();
            let high: Vec<_> = series.band.iter().map(|&(x, _, high)| (x, high)).collect();
            let mut points = path(&low);
            points.extend(path(&high).into_iter().rev());
            if points.len() > 2 {
                let paint = Paint::Series(number_of(&series.name, methods));
                figure.shapes.push(Shape::Area { points, paint, opacity: 0.12 });
            }
        }
    }
    for series in panel.series.iter().filter(|series| series.kind != Series::Method) {
        let Key { paint, marker, .. } = baseline_key(series);
        if let Marker::Line { width, dashes } = marker {
            figure.shapes.push(Shape::Line { points: path(&series.points), paint, width, dashes });
        }
    }
    for series in panel.series.iter().filter(|series| series.kind == Series::Method) {
        let number = number_of(&series.name, methods);
        let (paint, dashes) = (Paint::Series(number), series_dashes(number));
        figure.shapes.push(Shape::Line { points: path(&series.points), paint, width: 2.0, dashes });
    }
    Ok(())
}

fn number_of(name: &str, methods: &[&str]) -> usize {
    methods.iter().position(|method| *method == name).unwrap_or(0)
}
