//! The component measures over all faces.

use attn_fiqa::components::Basis;
use maud::{Markup, html};

use super::super::ReportError;
use super::super::html::{Cell, Row, figure, table, warning};
use crate::figure::{Bar, Figure, FigureError, bars};
use crate::overview::ComponentSummary;

pub(super) fn content(components: &[ComponentSummary]) -> Result<Markup, ReportError> {
    Ok(html! {
        p {
            "Measures of single properties, most of them by ISO/IEC 29794-5, on 0 to 100. They do \
             not enter the quality, and none is certified as conformant; an " em { "estimate" }
            " lacks a part of the standard's input. Measures of light follow the tone of the skin."
        }
        @if components.iter().any(|summary| summary.native_sampled) {
            (warning("Quantiles of native values are those of a random sample of the faces."))
        }
        (figure(drawn(components)?))
        (measures(components))
    })
}

/// Median and middle 80 % of the measures on 0 to 100.
fn drawn(components: &[ComponentSummary]) -> Result<Option<Figure>, FigureError> {
    let bar = |summary: &ComponentSummary| {
        let scalar = summary.scalar?;
        Some(Bar {
            label: summary.component.name().to_owned(),
            value: scalar.median,
            interval: Some((scalar.p10, scalar.p90)),
            text: rounded(scalar.median),
            reference: summary.component.basis() == Basis::Estimate,
        })
    };
    let all: Vec<Bar> = components.iter().filter_map(bar).collect();
    if all.is_empty() {
        return Ok(None);
    }
    bars(
        "Component measures",
        "median, and 10th to 90th percentile of the faces; grey: estimate",
        &all,
    )
    .map(Some)
}

fn measures(components: &[ComponentSummary]) -> Markup {
    let row = |summary: &ComponentSummary| {
        let [scalar, native] = [summary.scalar, summary.native];
        Row::from(vec![
            Cell::text(summary.component.name()),
            Cell::text(summary.component.basis().name()),
            Cell::Number(summary.faces.to_string(), Some(summary.faces as f64)),
            Cell::number(scalar.map(|scalar| scalar.median), rounded),
            Cell::number(scalar.map(|scalar| scalar.p10), rounded),
            Cell::number(native.map(|native| native.median), significant),
            Cell::number(native.map(|native| native.p10), significant),
        ])
    };
    let heading = [
        "Measure",
        "Formula",
        "Faces",
        "Median, 0–100",
        "10th percentile",
        "Median, native",
        "10th percentile",
    ];
    table("Component measures", &heading, components.iter().map(row))
}

/// At most one decimal.
fn rounded(value: f64) -> String {
    ((value * 10.0).round() / 10.0).to_string()
}

/// Three significant digits, or all digits of a larger whole number.
fn significant(value: f64) -> String {
    let digits = match value.abs() {
        0.0 => 0,
        size => (2 - size.log10().floor() as i32).clamp(0, 6),
    };
    format!("{value:.*}", digits as usize).replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn native_values_keep_three_significant_digits() {
        let shown = [0.0, 0.001_234, 0.123_4, -1.235_9, 45.67, 1_234.5].map(significant);
        assert_eq!(shown, ["0", "0.00123", "0.123", "−1.24", "45.7", "1234"]);
    }
}
