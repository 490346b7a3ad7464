//! The number of faces with each cause.

use attn_fiqa::causes::Cause;
use maud::{Markup, html};

use super::super::ReportError;
use super::super::html::{Cell, Row, figure, table};
use super::{fraction, percent, with_interval};
use crate::figure::{Bar, Figure, FigureError, bars};
use crate::overview::{CauseSummary, Causes};

pub(super) fn content(causes: &Causes) -> Result<Markup, ReportError> {
    Ok(html! {
        p {
            b { (with_interval(causes.without)) } " of " (causes.without.total)
            " faces with a quality have no cause."
        }
        @if !causes.causes.is_empty() {
            (figure(Some(drawn(causes)?)))
            (cause_table(causes))
        }
    })
}

/// A cause in plain words, or its name if this version does not know it.
pub(super) fn words(cause: &str) -> String {
    cause
        .parse::<Cause>()
        .map_or_else(|_| cause.replace('_', " "), |known| known.description().to_owned())
}

/// What to do about it.
fn advice(cause: &str) -> &'static str {
    cause.parse::<Cause>().map_or("", Cause::advice)
}

fn drawn(causes: &Causes) -> Result<Figure, FigureError> {
    let by_main = causes.causes.iter().any(|cause| cause.main.is_some());
    let bar = |summary: &CauseSummary| {
        let part = if by_main { summary.main } else { summary.named }?;
        let interval = part.interval().map(|[low, high]| (low * 100.0, high * 100.0));
        Some(Bar {
            label: words(&summary.cause),
            value: part.fraction()? * 100.0,
            interval,
            text: percent(part.fraction()?),
            reference: false,
        })
    };
    let all: Vec<Bar> = causes.causes.iter().filter_map(bar).collect();
    let title = if by_main { "Main cause" } else { "Causes" };
    bars(title, "% of faces, with 95 % intervals", &all)
}

fn cause_table(causes: &Causes) -> Markup {
    let first = causes.causes.first();
    let has_main = first.is_some_and(|cause| cause.main.is_some());
    let has_named = first.is_some_and(|cause| cause.named.is_some());
    let mut heading = vec!["Cause"];
    if has_main {
        heading.extend(["Main cause of", "Fraction [95 % interval]"]);
    }
    if has_named {
        heading.extend(["Among the causes of", "Fraction [95 % interval]"]);
    }
    heading.extend(["Median quality", "What to do"]);
    let row = |summary: &CauseSummary| {
        let mut cells = vec![Cell::text(words(&summary.cause))];
        for part in [summary.main, summary.named].into_iter().flatten() {
            cells.extend([Cell::count(part.count), fraction(part)]);
        }
        cells.push(Cell::number(summary.median_quality, |median| median.to_string()));
        cells.push(Cell::text(advice(&summary.cause)));
        Row::from(cells)
    };
    table("Causes by number of faces", &heading, causes.causes.iter().map(row))
}
