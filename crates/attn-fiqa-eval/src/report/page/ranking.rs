//! The pAUC of each method, its differences from the others, and its rank.

use crate::edc::Series;
use maud::{Markup, html};

use super::super::html::{Cell, Row, figure, table, warning};
use super::super::{ReportError, figures, rate, times_thousand};
use crate::study::results::{Against, DifferenceRecord, Results};
use crate::study::summary::{Summary, SummaryRow, summaries};

pub(super) fn content(results: &Results) -> Result<Markup, ReportError> {
    let mut blocks = Vec::new();
    for summary in summaries(results) {
        let drawn = figures::ranking(&summary, results)?;
        let title = format!(
            "{}, FMR {}, protocol {}",
            summary.recogniser,
            rate(summary.fmr),
            summary.protocol
        );
        blocks.push(html! {
            h3 { (title) }
            @for text in &summary.warnings { (warning(text)) }
            (summary_table(results, &summary, &title))
            @for against in [Against::First, Against::Best] {
                (difference_table(results, &summary, &title, against))
            }
            (figure(drawn))
        });
    }
    Ok(html! {
        (explanation(results))
        @for block in blocks { (block) }
    })
}

fn explanation(results: &Results) -> Markup {
    let settings = &results.settings;
    let over = match results.datasets.iter().all(|dataset| dataset.by_identity) {
        true => "persons",
        false => "pairs, or over persons where a data set names them",
    };
    html! {
        p {
            "The area under the error-versus-discard curve up to a discard fraction of "
            (settings.max_discard) ", ×1000; lower is better. " em { "Random" } " is the mean of "
            (settings.orders) " random orders, " em { "theoretical best" } " discards by each \
             comparison's own error. Differences between methods are computed on the same \
             bootstrap samples, so their intervals say more than whether two intervals overlap. "
            @if results.datasets.len() > 1 {
                em { "Relative" } " is the mean over the data sets of each area divided by that of \
                 random, since areas of different data sets are on different scales. "
            }
            @match settings.bootstrap {
                0 => { "No confidence intervals were computed." }
                count => {
                    "In brackets: " (settings.confidence_level * 100.0) "\u{a0}% confidence \
                     intervals from " (count) " bootstrap replicates over " (over) "; for random, \
                     the range of its orders."
                }
            }
        }
    }
}

fn summary_table(results: &Results, summary: &Summary, title: &str) -> Markup {
    let several = summary.datasets.len() > 1;
    let mut heading = vec!["Method"];
    heading.extend(summary.datasets.iter().map(String::as_str));
    if several {
        heading.extend(["Relative", "Mean rank"]);
    }
    heading.extend(["Rank", "Tied pairs"]);
    let lowest = |column: usize| {
        let methods = summary.rows.iter().filter(|row| row.series == Series::Method);
        methods.filter_map(|row| row.pauc[column]).fold(f64::INFINITY, f64::min)
    };
    let rows = summary.rows.iter().map(|row| {
        let is_method = row.series == Series::Method;
        let mut cells = vec![Cell::text(&row.method)];
        for (column, (&pauc, &interval)) in row.pauc.iter().zip(&row.intervals).enumerate() {
            let text = times_thousand(pauc) + &brackets(interval);
            let best = is_method && pauc == Some(lowest(column));
            cells.push(Cell::Number(text, pauc).best_if(best));
        }
        if several {
            let mean = Cell::number(row.mean_relative, |mean| format!("{mean:.3}"));
            cells.push(mean.best_if(row.rank == Some(1)));
            cells.push(Cell::number(row.mean_rank, |rank| format!("{rank:.2}")));
        }
        cells.push(Cell::number(row.rank.map(|rank| rank as f64), |rank| rank.to_string()));
        cells.push(ties(results, summary, row));
        Row { apart: !is_method, cells }
    });
    table(&format!("pAUC-EDC ×1000: {title}"), &heading, rows)
}

/// ` [1.20, 3.40]`, ×1000; empty without an interval.
fn brackets(interval: Option<[f64; 2]>) -> String {
    interval.map_or(String::new(), |[low, high]| {
        format!(" [{:.2}, {:.2}]", low * 1000.0, high * 1000.0)
    })
}

/// The differences of the methods from the first or from the best, by data set.
fn difference_table(results: &Results, summary: &Summary, title: &str, against: Against) -> Markup {
    let records = results.differences.iter().filter(|record| {
        record.against == against
            && record.recogniser == summary.recogniser
            && record.protocol == summary.protocol
            && record.fmr == summary.fmr
    });
    let row = |record: &DifferenceRecord| {
        let text = times_thousand(Some(record.difference)) + &brackets(record.interval);
        let verdict = record.interval.map_or("–", |[low, high]| match (low > 0.0, high < 0.0) {
            (true, _) => "worse",
            (_, true) => "better",
            _ => "not significant",
        });
        Row::from(vec![
            Cell::text(&record.method),
            Cell::text(&record.other),
            Cell::text(&record.dataset),
            Cell::Number(text.replace('-', "−"), Some(record.difference)),
            Cell::text(verdict),
        ])
    };
    let rows: Vec<Row> = records.map(row).collect();
    let from = match against {
        Against::First => "the first method",
        Against::Best => "the best method",
    };
    let caption = format!("Difference of pAUC-EDC ×1000 from {from}: {title}");
    let heading = ["Method", "Compared with", "Data set", "Difference", "Interval"];
    html! { @if !rows.is_empty() { (table(&caption, &heading, rows)) } }
}

/// How many comparisons are tied, and how much the area depends on their order.
fn ties(results: &Results, summary: &Summary, row: &SummaryRow) -> Cell {
    if row.series != Series::Method {
        return Cell::Number("–".to_owned(), None);
    }
    let curves = summary.datasets.iter().flat_map(|dataset| {
        let Summary { recogniser, protocol, fmr, .. } = summary;
        results.curves_of(dataset, recogniser, *protocol, *fmr)
    });
    let own = curves.filter(|curve| curve.series == row.series && curve.method == row.method);
    let (mut tied, mut widest) = (0, 0.0_f64);
    for curve in own {
        tied += curve.tied;
        widest = widest.max(curve.pauc_ties.map_or(0.0, |[low, high]| high - low));
    }
    let text = match tied {
        0 => "0".to_owned(),
        _ => format!("{tied} (pAUC varies by {:.2})", widest * 1000.0),
    };
    Cell::Number(text, Some(tied as f64))
}
