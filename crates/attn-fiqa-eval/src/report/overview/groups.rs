//! Qualities and rejection by group: the fairness audit.

use attn_fiqa::score::Band;
use maud::{Markup, html};

use super::super::ReportError;
use super::super::html::{Cell, Row, figure, table, warning};
use super::qualities::BINS;
use super::{counted, fraction, median, percent, with_interval};
use crate::figure::{
    Bar, DistributionPanel, Figure, FigureError, Histogram, ScoreGroup, bars, score_distributions,
};
use crate::groups::{GroupQualities, RejectionRange};
use crate::overview::{Grouping, Overview};

/// If there are more groups, only the largest get a distribution.
const PANELS: usize = 12;

const COLUMNS: usize = 3;

pub(super) fn content(overview: &Overview) -> Result<Markup, ReportError> {
    let mut blocks = Vec::new();
    for grouping in &overview.groupings {
        blocks.push(block(grouping, overview.reject_below)?);
    }
    let several = overview.with_several_faces;
    Ok(html! {
        p {
            "Faces with a quality below " (overview.reject_below) " and images without a quality \
             are rejected. A difference between groups can come from their photos as well as from the \
             score: compare groups that were photographed alike."
        }
        @if several > 0 {
            (warning(&format!(
                "{} with several faces: each face counts for the label of its image",
                counted(several, "image")
            )))
        }
        @for block in blocks { (block) }
    })
}

fn block(grouping: &Grouping, below: i8) -> Result<Markup, ReportError> {
    let by = &grouping.by;
    Ok(html! {
        h3 { "By " (by) }
        @if let Some(range) = RejectionRange::of(&grouping.rows[1..]) {
            p { (sentence(&range, below)) }
        }
        @if grouping.unlabelled > 0 {
            (warning(&format!(
                "{} without a label, left out here", counted(grouping.unlabelled, "image")
            )))
        }
        (figure(rejection(grouping, below)?))
        (group_table(grouping))
        (figure(distributions(grouping)?))
    })
}

fn sentence(range: &RejectionRange<'_>, below: i8) -> Markup {
    let one = |row: &GroupQualities| format!("{} ({})", with_interval(row.rejected), name(row));
    html! {
        "Rejected below " (below) ": " (one(range.least)) " to " (one(range.most))
        @if let Some(ratio) = range.ratio { ", " b { (format!("{ratio:.2} times")) } " as many" }
        ". "
        @if overlap(range) {
            "The two intervals overlap: with this number of images the difference may be due to chance."
        }
    }
}

/// Whether the intervals of both fractions overlap.
fn overlap(range: &RejectionRange<'_>) -> bool {
    let [least, most] = [range.least, range.most].map(|row| row.rejected.interval());
    matches!((least, most), (Some([_, high]), Some([low, _])) if low <= high)
}

fn name(row: &GroupQualities) -> &str {
    row.group.as_deref().unwrap_or("all")
}

fn rejection(grouping: &Grouping, below: i8) -> Result<Option<Figure>, FigureError> {
    let bar = |row: &GroupQualities| {
        let fraction = row.rejected.fraction()?;
        let interval = row.rejected.interval().map(|[low, high]| (low * 100.0, high * 100.0));
        Some(Bar {
            label: name(row).to_owned(),
            value: fraction * 100.0,
            interval,
            text: percent(fraction),
            reference: row.group.is_none(),
        })
    };
    let all: Vec<Bar> = grouping.rows.iter().filter_map(bar).collect();
    if all.is_empty() {
        return Ok(None);
    }
    let title = format!("Rejected below {below}, by {}", grouping.by);
    bars(&title, "% rejected, with 95 % intervals", &all).map(Some)
}

fn group_table(grouping: &Grouping) -> Markup {
    let mut heading = vec!["Group", "Number", "Failed", "Median quality", "Rejected"];
    heading.extend(Band::ALL.map(Band::name));
    let row = |row: &GroupQualities| {
        let mut cells = vec![
            Cell::text(name(row)),
            Cell::count(row.images),
            Cell::percent(row.failed.fraction()),
            median(row.median, row.median_interval),
            fraction(row.rejected),
        ];
        cells.extend(row.bands.map(|part| {
            Cell::number(part.fraction(), |fraction| format!("{:.1} %", fraction * 100.0))
        }));
        Row { apart: row.group.is_none(), cells }
    };
    let caption = format!("By {}; in brackets 95 % intervals", grouping.by);
    table(&caption, &heading, grouping.rows.iter().map(row))
}

/// The distribution of each group, overlaid on that of all.
fn distributions(grouping: &Grouping) -> Result<Option<Figure>, FigureError> {
    let Some(all) = grouping.counts[0].histogram(BINS) else { return Ok(None) };
    let own = grouping.rows.iter().zip(&grouping.counts).skip(1);
    let mut drawn: Vec<(&GroupQualities, Histogram)> =
        own.filter_map(|(row, counts)| Some((row, counts.histogram(BINS)?))).collect();
    let mut sizes: Vec<usize> = drawn.iter().map(|(row, _)| row.images).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let smallest = sizes.get(PANELS - 1).copied().unwrap_or_default();
    let count = drawn.len();
    drawn.retain(|(row, _)| row.images >= smallest);
    drawn.truncate(PANELS);
    let panels: Vec<DistributionPanel<'_>> = drawn
        .iter()
        .map(|(row, histogram)| DistributionPanel {
            title: format!("{} ({})", name(row), row.images),
            x_title: "quality".to_owned(),
            groups: vec![
                ScoreGroup { name: "all", scores: &all },
                ScoreGroup { name: "the group", scores: histogram },
            ],
        })
        .collect();
    if panels.is_empty() {
        return Ok(None);
    }
    let title = match count > panels.len() {
        true => format!("Distribution of quality by {}, the largest groups", grouping.by),
        false => format!("Distribution of quality by {}", grouping.by),
    };
    score_distributions(&title, &panels, COLUMNS).map(Some)
}
