//! The page of a set's qualities.

mod causes;
mod components;
mod faces;
mod groups;
mod qualities;

use std::path::Path;

use maud::html;

use super::ReportError;
use super::html::{Cell, Section, document};
use crate::groups::Proportion;
use crate::overview::{Overview, Thumbnails};

const PROGRAM: &str = concat!("attn-fiqa ", env!("CARGO_PKG_VERSION"));

/// One self-contained page of a set's qualities: counts and distribution, causes and component
/// measures if the table has them, the worst and the best faces, and the qualities by group.
///
/// # Errors
///
/// If a figure cannot be drawn.
pub fn overview_page(overview: &Overview, thumbnails: &Thumbnails) -> Result<String, ReportError> {
    let section = |id, short, title, content| Section { id, short, title, content };
    let mut sections =
        vec![section("quality", "Quality", "Quality", qualities::content(overview)?)];
    if let Some(causes) = &overview.causes {
        let content = causes::content(causes)?;
        sections.push(section("causes", "Causes", "Causes of low quality", content));
    }
    if !overview.components.is_empty() {
        let content = components::content(&overview.components)?;
        sections.push(section("measures", "Measures", "Component measures", content));
    }
    if !overview.worst.is_empty() {
        let content = faces::content(overview, thumbnails);
        sections.push(section("faces", "Worst and best", "Worst and best faces", content));
    }
    if !overview.groupings.is_empty() {
        let content = groups::content(overview)?;
        sections.push(section("groups", "Groups", "By group", content));
    }
    let median = overview.qualities.quantile(0.5);
    let median = median.map_or(String::new(), |median| format!(", median quality {median}"));
    let file = Path::new(&overview.file).file_name().unwrap_or_default().to_string_lossy();
    let subtitle = html! {
        (file) ": " (counted(overview.images, "image")) ", " (counted(overview.faces, "face"))
        (median) "."
    };
    Ok(document(&file, &subtitle, &sections, PROGRAM))
}

/// `1 image`, `2 images`.
fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// `1.23 %`.
fn percent(fraction: f64) -> String {
    format!("{:.2} %", fraction * 100.0)
}

/// `1.23 % [1.02, 1.48]`, with the 95 % interval.
fn with_interval(part: Proportion) -> String {
    let interval = part
        .interval()
        .map_or(String::new(), |[low, high]| format!(" [{:.2}, {:.2}]", low * 100.0, high * 100.0));
    part.fraction().map_or("–".to_owned(), percent) + &interval
}

/// The same as a cell.
fn fraction(part: Proportion) -> Cell {
    Cell::Number(with_interval(part), part.fraction())
}

/// `72 [70, 74]`, with the 95 % interval.
fn median(median: Option<f64>, interval: Option<[f64; 2]>) -> Cell {
    let within = interval.map_or(String::new(), |[low, high]| format!(" [{low}, {high}]"));
    Cell::number(median, |median| format!("{median}{within}"))
}
