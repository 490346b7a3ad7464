//! The self-contained page: tables, figures, faces and settings.

mod examples;
mod provenance;
mod ranking;
mod scores;
mod verification;

use std::path::Path;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::figure::page_css;
use crate::study::results::Results;

use super::html::figure;
use super::{ReportError, figures};

const SECURITY_POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; \
                               script-src 'unsafe-inline'";

/// The page's text; images are read from the run's folder.
pub(super) fn page(folder: &Path, results: &Results) -> Result<String, ReportError> {
    let sections = [
        section("ranking", "pAUC-EDC", ranking::content(results)?),
        section("curves", "Error versus discard", curves(results)?),
        section("verification", "Verification", verification::content(results)?),
        section("scores", "Quality scores", scores::content(results)?),
    ];
    let examples = examples::content(folder, results);
    let names = |names: Vec<&str>| names.join(", ");
    let datasets = names(results.datasets.iter().map(|d| d.name.as_str()).collect());
    let recognisers = names(results.recognisers.iter().map(|r| r.name.as_str()).collect());
    let methods = match results.methods.len() {
        1 => "1 method".to_owned(),
        count => format!("{count} methods"),
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(SECURITY_POLICY);
                title { "Face image quality: " (datasets) }
                style { (PreEscaped(page_css())) (PreEscaped(include_str!("page.css"))) }
            }
            body {
                header {
                    h1 { "Face image quality" }
                    p { (methods) " on " (datasets) ", evaluated by " (recognisers) "." }
                    nav aria-label="Sections" {
                        a href="#ranking" { "pAUC-EDC" } " "
                        a href="#curves" { "Curves" } " "
                        a href="#verification" { "Verification" } " "
                        a href="#scores" { "Scores" } " "
                        @if examples.is_some() { a href="#faces" { "Worst and best" } " " }
                        a href="#repeat" { "To repeat" }
                    }
                }
                main {
                    @for section in sections { (section) }
                    @if let Some(examples) = examples {
                        (section("faces", "Worst and best images", examples))
                    }
                    (section("repeat", "To repeat this run", provenance::content(results)))
                }
                footer { (results.program) }
                script { (PreEscaped(include_str!("page.js"))) }
            }
        }
    };
    // Names come from files, and may contain control characters.
    let is_hidden = |letter: char| letter.is_control() && letter != '\n';
    Ok(page.into_string().replace(is_hidden, "\u{fffd}"))
}

fn section(id: &str, title: &str, content: Markup) -> Markup {
    html! { section id=(id) { h2 { (title) } (content) } }
}

fn curves(results: &Results) -> Result<Markup, ReportError> {
    let mut drawn = Vec::new();
    for &protocol in &results.settings.protocols {
        for &fmr in &results.settings.fmr {
            drawn.push(figures::edc(results, protocol, fmr)?);
        }
    }
    Ok(html! {
        p {
            "The area is computed over the shaded part. A good method falls steeply from the left, \
             between random (above) and the theoretical best (below)."
        }
        @for each in drawn { (figure(each)) }
    })
}
