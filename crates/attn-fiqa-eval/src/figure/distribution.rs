//! Distributions of scores: overlaid histograms of groups.

use super::axis::{Axis, rounded_out};
use super::colour::Paint;
use super::panel::{Key, Layout, Marker, draw_axes};
use super::scene::{Figure, FigureError, Shape, finite, not_empty};

/// Number of bins of a histogram: enough for the shape of a distribution, few enough for a thousand
/// scores.
const BINS: usize = 60;

/// A histogram with bins of equal width.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Histogram {
    /// Lower end of the first bin.
    pub low: f64,
    /// Upper end of the last bin.
    pub high: f64,
    /// Number of scores in each bin.
    pub counts: Vec<u64>,
}

impl Histogram {
    /// Counts the groups' scores in 60 bins of one common round range; `None` if there is no score,
    /// or one that is not finite.
    pub fn of(groups: &[&[f64]]) -> Option<Vec<Self>> {
        let all = || groups.iter().copied().flatten().copied();
        if all().next().is_none() || !all().all(f64::is_finite) {
            return None;
        }
        let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::MIN, f64::max));
        let (low, high) = rounded_out(low, high, 5);
        let count = |scores: &&[f64]| {
            let mut counts = vec![0; BINS];
            for score in *scores {
                let bin = ((score - low) / (high - low) * BINS as f64) as usize;
                counts[bin.min(BINS - 1)] += 1;
            }
            Self { low, high, counts }
        };
        Some(groups.iter().map(count).collect())
    }

    /// Number of scores.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The fraction of scores in each bin.
    fn fractions(&self) -> impl Iterator<Item = f64> {
        let total = self.total().max(1) as f64;
        self.counts.iter().map(move |&count| count as f64 / total)
    }
}

/// The scores of one group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreGroup<'a> {
    /// Name in the legend; the same name has the same colour in every panel.
    pub name: &'a str,
    /// The scores; the groups of a panel share one range.
    pub scores: &'a Histogram,
}

/// The groups of one set, overlaid.
#[derive(Debug, Clone, PartialEq)]
pub struct DistributionPanel<'a> {
    /// Title above the panel.
    pub title: String,
    /// What the scores are.
    pub x_title: String,
    /// The groups.
    pub groups: Vec<ScoreGroup<'a>>,
}

/// Histograms in panels with `columns` per row. Each group's bars sum to 1, so that groups of
/// different sizes are comparable; the groups of a panel share its bins, and every panel has its
/// own range.
///
/// # Errors
///
/// [`FigureError::Empty`] if there are no panels or a panel has no scores,
/// [`FigureError::NotFinite`] if an end of a range is not finite.
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
        marker: Marker::Filled,
    };
    // With a single group, the legend would repeat the title.
    let legend: Vec<Key> =
        if names.len() > 1 { names.iter().enumerate().map(key).collect() } else { Vec::new() };
    let plot = if panels.len() == 1 { (460.0, 240.0) } else { (250.0, 150.0) };
    let (mut figure, plots) =
        Layout { columns, plot, left: 66.0 }.lay_out(title, panels.len(), &legend);
    for (panel, plot) in panels.iter().zip(&plots) {
        let Some(first) = panel.groups.first() else {
            return not_empty(title, "group in one of its panels", 0).map(|()| figure);
        };
        let (low, high) = (first.scores.low, first.scores.high);
        for group in &panel.groups {
            for end in [group.scores.low, group.scores.high] {
                finite(title, group.name, end)?;
            }
            not_empty(title, "score in one of its groups", group.scores.total() as usize)?;
        }
        let highest =
            panel.groups.iter().flat_map(|group| group.scores.fractions()).fold(0.0, f64::max);
        let x = Axis::linear((low, high), 5, plot.across());
        let y = Axis::linear((0.0, rounded_out(0.0, highest, 3).1), 3, plot.upwards());
        draw_axes(&mut figure, plot, &panel.title, (&x, &panel.x_title), (&y, "fraction"));
        for group in &panel.groups {
            let number = names.iter().position(|name| *name == group.name).unwrap_or(0);
            let paint = Paint::Series(number);
            let Histogram { low, high, counts } = group.scores;
            let bins = counts.len();
            let edge = |bin: usize| x.at(low + (high - low) * bin as f64 / bins as f64);
            let mut points = vec![(edge(0), y.at(0.0))];
            for (bin, fraction) in group.scores.fractions().enumerate() {
                points.extend([(edge(bin), y.at(fraction)), (edge(bin + 1), y.at(fraction))]);
            }
            points.push((edge(bins), y.at(0.0)));
            figure.shapes.push(Shape::Area { points: points.clone(), paint, opacity: 0.3 });
            figure.shapes.push(Shape::Line { points, paint, width: 1.25, dashes: &[] });
        }
    }
    Ok(figure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histogram_includes_both_ends_and_sums_to_one() {
        let histograms = Histogram::of(&[&[0.0, 0.25, 0.5, 1.0], &[0.5]]).unwrap();
        let Histogram { low, high, counts } = &histograms[0];
        assert_eq!((*low, *high, histograms[0].total()), (0.0, 1.0, 4));
        assert_eq!((counts[0], counts[15], counts[30], counts[59]), (1, 1, 1, 1));
        assert_eq!((histograms[1].low, histograms[1].counts[30]), (0.0, 1));
        assert_eq!(histograms[0].fractions().sum::<f64>(), 1.0);
        assert_eq!(Histogram::of(&[&[], &[]]), None);
        assert_eq!(Histogram::of(&[&[f64::NAN]]), None);
    }
}
