//! The self-contained page: tables, figures, faces and settings.

mod examples;
mod provenance;
mod ranking;
mod scores;
mod verification;

use std::path::Path;

use maud::{Markup, html};

use crate::study::results::Results;

use super::html::{Section, document, figure};
use super::{ReportError, figures};

/// The page's text; images are read from the run's folder.
pub(super) fn page(folder: &Path, results: &Results) -> Result<String, ReportError> {
    let section = |id, short, title, content| Section { id, short, title, content };
    let mut sections = vec![
        section("ranking", "pAUC-EDC", "pAUC-EDC", ranking::content(results)?),
        section("curves", "Curves", "Error versus discard", curves(results)?),
        section("verification", "Verification", "Verification", verification::content(results)?),
        section("scores", "Scores", "Quality scores", scores::content(results)?),
    ];
    let examples = examples::content(folder, results);
    sections.extend(
        examples.map(|faces| section("faces", "Worst and best", "Worst and best images", faces)),
    );
    let repeat = provenance::content(results);
    sections.push(section("repeat", "To repeat", "To repeat this run", repeat));
    let names = |names: Vec<&str>| names.join(", ");
    let datasets = names(results.datasets.iter().map(|d| d.name.as_str()).collect());
    let recognisers = names(results.recognisers.iter().map(|r| r.name.as_str()).collect());
    let methods = match results.methods.len() {
        1 => "1 method".to_owned(),
        count => format!("{count} methods"),
    };
    let subtitle = html! { (methods) " on " (datasets) ", evaluated by " (recognisers) "." };
    Ok(document(&datasets, &subtitle, &sections, &results.program))
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
