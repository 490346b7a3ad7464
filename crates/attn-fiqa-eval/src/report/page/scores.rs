//! The quality scores: distributions, failures and correlations.

use maud::{Markup, html};

use super::super::html::{Cell, Row, figure, table, warning};
use super::super::{ReportError, figures};
use crate::study::results::{CorrelationRecord, Results};

pub(super) fn content(results: &Results) -> Result<Markup, ReportError> {
    let distributions = figures::qualities(results)?;
    let failed = results.qualities.iter().filter(|record| record.failed > 0).map(|record| {
        format!(
            "{}, {}: {} images have no score and count as the lowest. {}",
            record.dataset,
            record.method,
            record.failed,
            record.failures.join("; ")
        )
    });
    Ok(html! {
        (figure(distributions))
        @for text in failed { (warning(&text)) }
        @if results.methods.len() > 1 {
            @for record in &results.correlations { (correlations(results, record)) }
        }
    })
}

fn correlations(results: &Results, record: &CorrelationRecord) -> Markup {
    let methods = || results.methods.iter().map(|method| method.name.as_str());
    let heading: Vec<&str> = std::iter::once("Method").chain(methods()).collect();
    let rows = methods().zip(&record.spearman).map(|(method, row)| {
        let cell = |&value: &Option<f64>| {
            Cell::number(value, |value| format!("{value:.2}").replace('-', "−"))
        };
        let cells: Vec<Cell> =
            std::iter::once(Cell::text(method)).chain(row.iter().map(cell)).collect();
        Row::from(cells)
    });
    let caption = format!("{}: Spearman's rank correlation between methods", record.dataset);
    table(&caption, &heading, rows)
}
