//! Accuracy of the recognition models with nothing discarded.

use maud::{Markup, html};

use super::super::html::{Cell, Row, figure, table, warning};
use super::super::{ReportError, figures, rate};
use crate::study::results::{Baseline, DatasetRecord, Results};

pub(super) fn content(results: &Results) -> Result<Markup, ReportError> {
    let (comparison_scores, det) = (figures::comparison_scores(results)?, figures::det(results)?);
    Ok(html! {
        (rates(results))
        @for text in results.datasets.iter().flat_map(missing) { (warning(&text)) }
        @for baseline in &results.baselines {
            @let name = format!("{}, {}", baseline.dataset, baseline.recogniser);
            @let targets = baseline.targets.iter().flat_map(|target| &target.warnings);
            @for text in targets.chain(&baseline.failures) {
                (warning(&format!("{name}: {text}")))
            }
        }
        (figure(Some(comparison_scores)))
        (figure(Some(det)))
    })
}

fn rates(results: &Results) -> Markup {
    let mut heading =
        ["Data set", "Recogniser", "Mated", "Non-mated", "Left out"].map(str::to_owned).to_vec();
    let accuracy = results.baselines.iter().any(|baseline| baseline.accuracy.is_some());
    heading.extend(accuracy.then(|| "Accuracy".to_owned()));
    heading.push("EER".to_owned());
    for &fmr in &results.settings.fmr {
        heading.extend([format!("FNMR at FMR {}", rate(fmr)), "FMR realised".to_owned()]);
    }
    let row = |baseline: &Baseline| {
        let mut cells = vec![
            Cell::text(&baseline.dataset),
            Cell::text(&baseline.recogniser),
            Cell::count(baseline.mated),
            Cell::count(baseline.non_mated),
            Cell::count(baseline.left_out),
        ];
        if accuracy {
            let text = baseline.accuracy.map_or("–".to_owned(), |[mean, deviation]| {
                format!("{:.2} ± {:.2} %", mean * 100.0, deviation * 100.0)
            });
            cells.push(Cell::Number(text, baseline.accuracy.map(|[mean, _]| mean)));
        }
        cells.push(Cell::percent(baseline.eer));
        for target in &baseline.targets {
            cells.extend([Cell::percent(target.fnmr), Cell::percent(target.realised)]);
        }
        Row::from(cells)
    };
    let caption = "The recognition models with nothing discarded";
    table(caption, &heading, results.baselines.iter().map(row))
}

/// Notes on images without a face or without an entry in a file.
fn missing(dataset: &DatasetRecord) -> Vec<String> {
    let DatasetRecord { name, images, without_face, without_face_examples, .. } = dataset;
    let faceless = (*without_face > 0).then(|| {
        format!(
            "{name}: no face was found in {without_face} of {images} images, which count as the \
             lowest and whose comparisons are left out: {without_face_examples}"
        )
    });
    let entries = dataset.missing.iter().map(|record| {
        format!(
            "{name}, {}: {} images are missing in its file, and their comparisons are left out for \
             every method: {}",
            record.of, record.images, record.examples
        )
    });
    faceless.into_iter().chain(entries).collect()
}
