//! How many images and faces there are, and how their qualities are distributed.

use attn_fiqa::score::Band;
use attn_fiqa::status::Status;
use maud::{Markup, html};

use super::super::ReportError;
use super::super::html::{Cell, Row, figure, table};
use super::{counted, fraction, with_interval};
use crate::figure::{DistributionPanel, Figure, FigureError, ScoreGroup, score_distributions};
use crate::groups::Proportion;
use crate::overview::{FailureSummary, Overview};

/// Bins of five qualities, so that every band has four of them.
pub(super) const BINS: usize = 20;

pub(super) fn content(overview: &Overview) -> Result<Markup, ReportError> {
    let qualities = &overview.qualities;
    let below = overview.reject_below;
    let rejected = qualities.below(below);
    let without = match qualities.failed().count {
        0 => "",
        _ => " or none",
    };
    Ok(html! {
        p {
            "Quality is a whole number from 0 to 100; higher is better. "
            @if let (Some(median), Some([low, high])) =
                (qualities.quantile(0.5), qualities.median_interval())
            {
                "The median is " b { (median) } " [" (low) ", " (high) "]. "
            }
            "Of " (rejected.total) " faces" @if !without.is_empty() { " and images without one" }
            ", " b { (with_interval(rejected)) } " have a quality below " (below) (without)
            ". In brackets: 95\u{a0}% confidence intervals, which assume independent images."
        }
        (figure(histogram(overview)?))
        (counts(overview))
        (bands(overview))
        @if !overview.failures.is_empty() { (failures(overview)) }
    })
}

fn histogram(overview: &Overview) -> Result<Option<Figure>, FigureError> {
    let Some(histogram) = overview.qualities.histogram(BINS) else { return Ok(None) };
    let panel = DistributionPanel {
        title: counted(overview.qualities.computed(), "face"),
        x_title: "quality; a band ends at each mark".to_owned(),
        groups: vec![ScoreGroup { name: "faces", scores: &histogram }],
    };
    score_distributions("Distribution of quality", &[panel], 1).map(Some)
}

fn counts(overview: &Overview) -> Markup {
    let without_face = overview.failures.iter().find(|f| f.status == Status::NoFace.name());
    let failed = overview.failures.iter().filter(|f| f.status != Status::NoFace.name());
    let count = |what: &str, count: u64| {
        Row::from(vec![Cell::text(what), Cell::Number(count.to_string(), Some(count as f64))])
    };
    let rows = [
        count("Images", overview.images),
        count("Faces", overview.faces),
        count("Faces with a quality", overview.qualities.computed()),
        count("Images with several faces", overview.with_several_faces),
        count("Images without a face", without_face.map_or(0, |failure| failure.rows)),
        count("Failed for another reason", failed.map(|failure| failure.rows).sum()),
    ];
    table("Images and faces", &["Count of", "Number"], rows)
}

fn bands(overview: &Overview) -> Markup {
    let mut rows = Vec::new();
    for band in Band::ALL {
        let next = Band::ALL.into_iter().find(|other| *other > band);
        let last = next.map_or(100, |next| next.lowest() - 1);
        let part = overview.qualities.in_band(band);
        rows.push(Row::from(vec![
            Cell::text(band.name()),
            Cell::Number(format!("{}–{last}", band.lowest()), Some(band.lowest().into())),
            Cell::count(part.count),
            fraction(part),
        ]));
    }
    let failed = overview.qualities.failed();
    if failed.count > 0 {
        let none = Cell::Number("–".to_owned(), None);
        let cells = vec![Cell::text("none"), none, Cell::count(failed.count), fraction(failed)];
        rows.push(Row { apart: true, cells });
    }
    table("Bands of quality", &["Band", "Quality", "Number", "Fraction [95 % interval]"], rows)
}

fn failures(overview: &Overview) -> Markup {
    let total = overview.qualities.failed().total;
    let row = |failure: &FailureSummary| {
        let one = |(path, message): &(String, String)| match message.as_str() {
            "" => path.clone(),
            message => format!("{path}: {message}"),
        };
        let examples: Vec<String> = failure.examples.iter().map(one).collect();
        let more = if failure.rows > examples.len() as u64 { "; …" } else { "" };
        let count = usize::try_from(failure.rows).unwrap_or(usize::MAX);
        Row::from(vec![
            Cell::text(&failure.status),
            Cell::count(count),
            fraction(Proportion { count, total }),
            Cell::text(examples.join("; ") + more),
        ])
    };
    let heading = ["Status", "Number", "Fraction [95 % interval]", "The first"];
    table("Without a quality, by status", &heading, overview.failures.iter().map(row))
}
