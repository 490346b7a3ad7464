//! Everything needed to repeat a run.

use maud::{Markup, html};

use super::super::html::{Cell, Row, table};
use crate::study::results::{DatasetRecord, MethodRecord, RecogniserRecord, Results};

pub(super) fn content(results: &Results) -> Markup {
    let dataset = |dataset: &DatasetRecord| {
        Row::from(vec![
            Cell::text(&dataset.name),
            Cell::text(&dataset.kind),
            Cell::text(&dataset.path),
            Cell::count(dataset.images),
            Cell::count(dataset.mated),
            Cell::count(dataset.non_mated),
            Cell::text(&dataset.sha256),
        ])
    };
    let recogniser = |recogniser: &RecogniserRecord| {
        Row::from(vec![
            Cell::text(&recogniser.name),
            Cell::text(&recogniser.source),
            Cell::text(if recogniser.flip { "yes" } else { "no" }),
            Cell::text(&recogniser.sha256),
        ])
    };
    let method = |method: &MethodRecord| {
        let cells = [&method.name, &method.what, &method.source, &method.sha256].map(Cell::text);
        Row::from(Vec::from(cells))
    };
    let of_datasets = ["Data set", "Layout", "Path", "Images", "Mated", "Non-mated", "SHA-256"];
    let of_recognisers = ["Recogniser", "From", "With mirror image", "SHA-256"];
    let of_methods = ["Method", "What", "From", "SHA-256"];
    html! {
        p {
            (results.program) ", with the configuration " code { (results.config_file) }
            " (SHA-256 " code { (results.config_sha256) } "):"
        }
        pre { (results.config) }
        (table("Data sets", &of_datasets, results.datasets.iter().map(dataset)))
        (table("Recognition models", &of_recognisers, results.recognisers.iter().map(recogniser)))
        (table("Quality methods", &of_methods, results.methods.iter().map(method)))
    }
}
