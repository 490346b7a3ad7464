//! Building blocks of pages.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::figure::{Figure, SvgColours, page_css};

/// Nothing is loaded from elsewhere.
const SECURITY_POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; \
                               script-src 'unsafe-inline'";

/// A part of a page that its navigation links to.
pub(super) struct Section {
    pub(super) id: &'static str,
    /// Its name in the navigation.
    pub(super) short: &'static str,
    pub(super) title: &'static str,
    pub(super) content: Markup,
}

/// A self-contained page, with its styles, script and images embedded.
pub(super) fn document(
    title: &str,
    subtitle: &Markup,
    sections: &[Section],
    footer: &str,
) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(SECURITY_POLICY);
                title { "Face image quality: " (title) }
                style { (PreEscaped(page_css())) (PreEscaped(include_str!("page/page.css"))) }
            }
            body {
                header {
                    h1 { "Face image quality" }
                    p { (subtitle) }
                    nav aria-label="Sections" {
                        @for section in sections {
                            a href={ "#" (section.id) } { (section.short) } " "
                        }
                    }
                }
                main {
                    @for section in sections {
                        section id=(section.id) { h2 { (section.title) } (section.content) }
                    }
                }
                footer { (footer) }
                script { (PreEscaped(include_str!("page/page.js"))) }
            }
        }
    };
    // Names come from files and may contain control characters.
    let is_hidden = |letter: char| letter.is_control() && letter != '\n';
    page.into_string().replace(is_hidden, "\u{fffd}")
}

/// A cell of a table.
pub(super) enum Cell {
    /// Text.
    Text(String),
    /// A number as displayed, and its sort key; absent ones come last.
    Number(String, Option<f64>),
    /// The best number of its column.
    Best(String, Option<f64>),
}

impl Cell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn count(value: usize) -> Self {
        Self::Number(value.to_string(), Some(value as f64))
    }

    /// A fraction, in percent.
    pub(super) fn percent(value: Option<f64>) -> Self {
        Self::number(value, |value| format!("{:.2} %", value * 100.0))
    }

    /// A number, or a dash if there is none.
    pub(super) fn number(value: Option<f64>, format: impl Fn(f64) -> String) -> Self {
        Self::Number(value.map_or("–".to_owned(), format), value)
    }

    /// The cell, marked if its number is the best one.
    pub(super) fn best_if(self, best: bool) -> Self {
        match self {
            Self::Number(text, value) if best => Self::Best(text, value),
            other => other,
        }
    }
}

/// A row of a table.
pub(super) struct Row {
    /// Whether it is set apart from the others, as baselines are.
    pub(super) apart: bool,
    pub(super) cells: Vec<Cell>,
}

impl From<Vec<Cell>> for Row {
    fn from(cells: Vec<Cell>) -> Self {
        Self { apart: false, cells }
    }
}

/// A table sorted by clicking on a column header.
pub(super) fn table(
    caption: &str,
    heading: &[impl AsRef<str>],
    rows: impl IntoIterator<Item = Row>,
) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table {
                caption { (caption) }
                thead {
                    tr {
                        @for name in heading {
                            th scope="col" { button type="button" { (name.as_ref()) } }
                        }
                    }
                }
                tbody {
                    @for row in rows {
                        tr.apart[row.apart] {
                            @for (index, cell) in row.cells.iter().enumerate() { (td(index, cell)) }
                        }
                    }
                }
            }
        }
    }
}

fn td(column: usize, cell: &Cell) -> Markup {
    let sorted_by = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    html! {
        @match cell {
            Cell::Text(text) if column == 0 => { th scope="row" { (text) } }
            Cell::Text(text) => { td { (text) } }
            Cell::Number(text, value) => { td.number data-value=(sorted_by(*value)) { (text) } }
            Cell::Best(text, value) => {
                td.number.best data-value=(sorted_by(*value)) { (text) }
            }
        }
    }
}

/// A paragraph with a warning.
pub(super) fn warning(text: &str) -> Markup {
    html! { p.warning { (text) } }
}

/// A figure as part of the page, if there is one.
pub(super) fn figure(figure: Option<Figure>) -> Markup {
    html! {
        @if let Some(figure) = figure {
            figure.scroll tabindex="0" role="group" aria-label=(figure.title()) {
                (PreEscaped(figure.svg(SvgColours::Page)))
            }
        }
    }
}

/// A file as part of the page.
pub(super) fn data_uri(media_type: &str, bytes: &[u8]) -> String {
    format!("data:{media_type};base64,{}", BASE64_STANDARD.encode(bytes))
}
