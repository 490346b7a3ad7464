//! Detection error trade-off: FNMR against FMR as the threshold moves.

use super::axis::Axis;
use super::colour::Paint;
use super::panel::{Key, Layout, draw_axes, series_dashes};
use super::scene::{Figure, FigureError, Shape, finite, not_empty};

/// The trade-off of one recogniser.
#[derive(Debug, Clone, PartialEq)]
pub struct DetSeries {
    /// Name in the legend.
    pub name: String,
    /// FMR and FNMR at successive thresholds.
    pub points: Vec<(f64, f64)>,
}

/// The trade-offs on one set.
#[derive(Debug, Clone, PartialEq)]
pub struct DetPanel {
    /// Title above the panel.
    pub title: String,
    /// One curve per recogniser.
    pub series: Vec<DetSeries>,
    /// The lowest positive FMR and FNMR that the set can resolve: 1 over its numbers of non-mated
    /// and of mated comparisons. A rate of 0 is drawn there, since the axes are logarithmic.
    pub resolution: [f64; 2],
}

/// FNMR against FMR, both logarithmic, in panels with `columns` per row.
///
/// # Errors
///
/// [`FigureError::Empty`] if there are no panels or a panel has no points,
/// [`FigureError::NotFinite`] if a rate is not finite or a resolution is not above 0.
pub fn det_curves(title: &str, panels: &[DetPanel], columns: usize) -> Result<Figure, FigureError> {
    not_empty(title, "panel", panels.len())?;
    let mut names: Vec<&str> = Vec::new();
    for series in panels.iter().flat_map(|panel| &panel.series) {
        not_empty(title, "point in one of its curves", series.points.len())?;
        for &(fmr, fnmr) in &series.points {
            finite(title, &series.name, fmr)?;
            finite(title, &series.name, fnmr)?;
        }
        if !names.contains(&series.name.as_str()) {
            names.push(&series.name);
        }
    }
    not_empty(title, "curve", names.len())?;
    let legend: Vec<Key> =
        names.iter().enumerate().map(|(number, name)| Key::series(number, name)).collect();
    let plot = if panels.len() == 1 { (460.0, 280.0) } else { (250.0, 200.0) };
    let layout = Layout { columns, plot, left: 66.0 };
    let (mut figure, plots) = layout.lay_out(title, panels.len(), &legend);
    for (panel, plot) in panels.iter().zip(&plots) {
        for low in panel.resolution {
            finite(title, &panel.title, if low > 0.0 { low } else { f64::NAN })?;
        }
        let [low_fmr, low_fnmr] = panel.resolution.map(|low| low.min(0.1));
        let x = Axis::log10((low_fmr, 1.0), plot.across());
        let y = Axis::log10((low_fnmr, 1.0), plot.upwards());
        draw_axes(&mut figure, plot, &panel.title, (&x, "FMR"), (&y, "FNMR"));
        for series in &panel.series {
            let number = names.iter().position(|name| *name == series.name).unwrap_or(0);
            let at = |&(fmr, fnmr): &(f64, f64)| (x.at(fmr.max(low_fmr)), y.at(fnmr.max(low_fnmr)));
            figure.shapes.push(Shape::Line {
                points: series.points.iter().map(at).collect(),
                paint: Paint::Series(number),
                width: 2.0,
                dashes: series_dashes(number),
            });
        }
    }
    Ok(figure)
}
