//! How scores are distributed: histograms of groups over each other.

use super::axis::{Axis, rounded_out};
use super::colour::Paint;
use super::panel::{Key, Layout, Look, draw_axes};
use super::scene::{Figure, FigureError, Shape, finite, not_empty};

/// Bars of a histogram: enough for the shape of a distribution, few enough for a
/// thousand scores.
const BINS: usize = 60;

/// The scores of one group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreGroup<'a> {
    /// Name in the legend; one of the same name has the same colour in every panel.
    pub name: &'a str,
    /// The scores, in any order.
    pub scores: &'a [f64],
}

/// The groups of one set, drawn over each other.
#[derive(Debug, Clone, PartialEq)]
pub struct DistributionPanel<'a> {
    /// Title above the panel.
    pub title: String,
    /// What the scores are.
    pub x_title: String,
    /// The groups.
    pub groups: Vec<ScoreGroup<'a>>,
}

/// Histograms in panels of `columns` a row. Each group's bars sum to 1, so that
/// groups of different sizes compare; the groups of a panel share its bins, and
/// every panel has its own range.
///
/// # Errors
///
/// [`FigureError::Empty`] without a panel or a score in it,
/// [`FigureError::NotFinite`] if a score is not finite.
pub fn score_distributions(
    title: &str,
    panels: &[DistributionPanel<'_>],
    columns: usize,
) -> Result<Figure, FigureError> {
    not_empty(title, "panel", panels.len())?;
    let mut names: Vec<&str> = Vec::new();
    for group in panels.iter().flat_map(|panel| &panel.groups) {
        if !names.contains(&group.name) {
            names.push(group.name);
        }
    }
    let key = |(number, name): (usize, &&str)| Key {
        name: (*name).to_owned(),
        paint: Paint::Series(number),
        look: Look::Filled,
    };
    // The legend of a single group would repeat the title.
    let legend: Vec<Key> =
        if names.len() > 1 { names.iter().enumerate().map(key).collect() } else { Vec::new() };
    let plot = if panels.len() == 1 { (460.0, 240.0) } else { (250.0, 150.0) };
    let (mut figure, plots) =
        Layout { columns, plot, left: 66.0 }.lay_out(title, panels.len(), &legend);
    for (panel, plot) in panels.iter().zip(&plots) {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for group in &panel.groups {
            for &score in group.scores {
                let score = finite(title, group.name, score)?;
                (low, high) = (low.min(score), high.max(score));
            }
        }
        let scores: usize = panel.groups.iter().map(|group| group.scores.len()).sum();
        not_empty(title, "score in one of its panels", scores)?;
        let (low, high) = rounded_out(low, high, 5);
        let histograms: Vec<Vec<f64>> =
            panel.groups.iter().map(|group| histogram(group.scores, (low, high))).collect();
        let highest = histograms.iter().flatten().copied().fold(0.0, f64::max);
        let x = Axis::linear((low, high), 5, plot.across());
        let y = Axis::linear((0.0, rounded_out(0.0, highest, 3).1), 3, plot.upwards());
        draw_axes(&mut figure, plot, &panel.title, (&x, &panel.x_title), (&y, "share"));
        for (group, shares) in panel.groups.iter().zip(&histograms) {
            let number = names.iter().position(|name| *name == group.name).unwrap_or(0);
            let paint = Paint::Series(number);
            let edge = |bin: usize| x.at(low + (high - low) * bin as f64 / BINS as f64);
            let mut points = vec![(edge(0), y.at(0.0))];
            for (bin, &share) in shares.iter().enumerate() {
                points.extend([(edge(bin), y.at(share)), (edge(bin + 1), y.at(share))]);
            }
            points.push((edge(BINS), y.at(0.0)));
            figure.shapes.push(Shape::Area { points: points.clone(), paint, opacity: 0.3 });
            figure.shapes.push(Shape::Line { points, paint, width: 1.25, dashes: &[] });
        }
    }
    Ok(figure)
}

/// The share of scores in each of [`BINS`] equal parts of a range that holds them all.
fn histogram(scores: &[f64], (low, high): (f64, f64)) -> Vec<f64> {
    let mut counts = vec![0_u64; BINS];
    for score in scores {
        let bin = ((score - low) / (high - low) * BINS as f64) as usize;
        counts[bin.min(BINS - 1)] += 1;
    }
    let total = scores.len().max(1) as f64;
    counts.into_iter().map(|count| count as f64 / total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_sum_to_one_and_hold_both_ends() {
        let shares = histogram(&[0.0, 0.25, 0.5, 1.0], (0.0, 1.0));
        assert_eq!(shares.iter().sum::<f64>(), 1.0);
        assert_eq!((shares[0], shares[15], shares[30], shares[59]), (0.25, 0.25, 0.25, 0.25));
    }
}
