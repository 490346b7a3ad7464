//! The page: tables, figures, faces and settings, with nothing outside it.

use std::fs;
use std::path::{Component, Path};

use crate::figure::{Figure, SvgColours, page_css};
use crate::study::results::{
    Against, Baseline, DifferenceRecord, FaceRecord, MissingRecord, QualityRecord, Results, Series,
};
use crate::study::summary::{Summary, summaries};

use super::html::{Cell, data_uri, escaped, table};
use super::{ReportError, figures, rate, times_thousand};

/// Larger than any picture of a face that a run writes.
const MAX_FACE_BYTES: u64 = 1 << 20;

pub(super) fn page(folder: &Path, results: &Results) -> Result<String, ReportError> {
    let mut body = String::new();
    body += &section("ranking", "pAUC-EDC", &ranking(results)?);
    body += &section("curves", "Error versus discard", &curves(results)?);
    body += &section("verification", "Verification", &verification(results)?);
    body += &section("scores", "Quality scores", &scores(results)?);
    let faces = faces(folder, results);
    if !faces.is_empty() {
        body += &section("faces", "Worst and best images", &faces);
    }
    body += &section("repeat", "To repeat this run", &settings(results));
    let names = |names: Vec<&str>| escaped(&names.join(", "));
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
         <title>Face image quality: {datasets}</title>\n<style>\n{colours}{style}</style>\n</head>\n\
         <body>\n<header><h1>Face image quality</h1>\n<p>{methods} on {datasets}, judged by \
         {recognisers}.</p>\n<nav aria-label=\"Sections\"><a href=\"#ranking\">pAUC-EDC</a> \
         <a href=\"#curves\">Curves</a> <a href=\"#verification\">Verification</a> \
         <a href=\"#scores\">Scores</a> {faces_link}<a href=\"#repeat\">To repeat</a></nav>\
         </header>\n<main>\n{body}</main>\n<footer>{program}</footer>\n\
         <script>\n{script}</script>\n</body>\n</html>\n",
        faces_link = if faces.is_empty() { "" } else { "<a href=\"#faces\">Worst and best</a> " },
        datasets = names(results.datasets.iter().map(|d| d.name.as_str()).collect()),
        methods = match results.methods.len() {
            1 => "1 method".to_owned(),
            count => format!("{count} methods"),
        },
        recognisers = names(results.recognisers.iter().map(|r| r.name.as_str()).collect()),
        colours = page_css(),
        style = include_str!("page.css"),
        script = include_str!("page.js"),
        program = escaped(&results.program),
    ))
}

fn section(id: &str, title: &str, content: &str) -> String {
    format!("<section id=\"{id}\"><h2>{title}</h2>\n{content}</section>\n")
}

fn drawn(figure: &Figure) -> String {
    let label = escaped(figure.title());
    let svg = figure.svg(SvgColours::Page);
    format!(
        "<figure class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"{label}\">{svg}</figure>\n"
    )
}

fn ranking(results: &Results) -> Result<String, ReportError> {
    let settings = &results.settings;
    let mut html = format!(
        "<p>The area under the error-versus-discard curve up to a discard fraction of {}, ×1000; \
         lower is better. <em>Random</em> is the mean of {} random orders, <em>theoretical best</em> discards \
         by each comparison's own error. Differences between methods are of the same drawn sets; \
         their intervals say more than whether two intervals overlap. {}{}</p>\n",
        settings.max_discard,
        settings.orders,
        match results.datasets.len() {
            0 | 1 => "",
            _ =>
                "<em>Relative</em> is the mean over the data sets of each area divided by that \
                  of random, since areas themselves are on a scale of their own in each set. ",
        },
        match settings.bootstrap {
            0 => "No confidence intervals were asked for.".to_owned(),
            count => format!(
                "In brackets: {}&nbsp;% confidence intervals from {count} bootstrap replicates{}; \
                 of random, the range of its orders.",
                settings.confidence_level * 100.0,
                match results.datasets.iter().all(|dataset| dataset.by_identity) {
                    true => " over persons",
                    false => " over pairs, or over persons where a data set names them",
                }
            ),
        }
    );
    for summary in summaries(results) {
        let title = format!(
            "{}, FMR {}, protocol {}",
            summary.recogniser,
            rate(summary.fmr),
            summary.protocol
        );
        html += &format!("<h3>{}</h3>\n", escaped(&title));
        for warning in &summary.warnings {
            html += &format!("<p class=\"warning\">{}</p>\n", escaped(warning));
        }
        html += &summary_table(results, &summary, &title);
        html += &difference_tables(results, &summary, &title);
        html += &figures::ranking(&summary, results)?.map_or(String::new(), |f| drawn(&f));
    }
    Ok(html)
}

fn summary_table(results: &Results, summary: &Summary, title: &str) -> String {
    let several = summary.datasets.len() > 1;
    let mut heading = vec!["Method".to_owned()];
    heading.extend(summary.datasets.iter().cloned());
    if several {
        heading.extend(["Relative".to_owned(), "Mean rank".to_owned()]);
    }
    heading.extend(["Rank".to_owned(), "Tied pairs".to_owned()]);
    let lowest = |column: usize| {
        let methods = summary.rows.iter().filter(|row| row.series == Series::Method);
        methods.filter_map(|row| row.pauc[column]).fold(f64::INFINITY, f64::min)
    };
    let rows = summary.rows.iter().map(|row| {
        let mut cells = vec![Cell::text(&row.method)];
        for (column, (&pauc, interval)) in row.pauc.iter().zip(&row.intervals).enumerate() {
            let mut shown = times_thousand(pauc);
            if let Some([low, high]) = interval {
                shown += &format!(" [{:.2}, {:.2}]", low * 1000.0, high * 1000.0);
            }
            let best = row.series == Series::Method && pauc == Some(lowest(column));
            cells.push(if best { Cell::Best(shown, pauc) } else { Cell::Number(shown, pauc) });
        }
        if several {
            let best = row.rank == Some(1);
            let shown = row.mean_relative.map_or("–".to_owned(), |mean| format!("{mean:.3}"));
            cells.push(match best {
                true => Cell::Best(shown, row.mean_relative),
                false => Cell::Number(shown, row.mean_relative),
            });
            let rank = row.mean_rank;
            let shown = rank.map_or("–".to_owned(), |rank| format!("{rank:.2}"));
            cells.push(Cell::Number(shown, rank));
        }
        let rank = row.rank;
        let shown = rank.map_or("–".to_owned(), |rank| rank.to_string());
        cells.push(Cell::Number(shown, rank.map(|rank| rank as f64)));
        cells.push(ties(results, summary, &row.method, row.series));
        (row.series != Series::Method, cells)
    });
    table(&format!("pAUC-EDC ×1000: {title}"), &heading, &rows.collect::<Vec<_>>())
}

/// How far the methods are from the first and from the best, by data set.
fn difference_tables(results: &Results, summary: &Summary, title: &str) -> String {
    let mut html = String::new();
    for (against, whom) in
        [(Against::First, "the first method"), (Against::Best, "the best method")]
    {
        let of_table = results.differences.iter().filter(|record| {
            record.against == against
                && record.recogniser == summary.recogniser
                && record.protocol == summary.protocol
                && record.fmr == summary.fmr
        });
        let row = |record: &DifferenceRecord| {
            let mut shown = times_thousand(Some(record.difference));
            let mut clear = "–";
            if let Some([low, high]) = record.interval {
                shown += &format!(" [{:.2}, {:.2}]", low * 1000.0, high * 1000.0);
                clear = match (low > 0.0, high < 0.0) {
                    (true, _) => "worse",
                    (_, true) => "better",
                    _ => "not told apart",
                };
            }
            let cells = vec![
                Cell::text(&record.method),
                Cell::text(&record.other),
                Cell::text(&record.dataset),
                Cell::Number(shown.replace('-', "−"), Some(record.difference)),
                Cell::text(clear),
            ];
            (false, cells)
        };
        let rows: Vec<_> = of_table.map(row).collect();
        if !rows.is_empty() {
            let heading = ["Method", "Less", "Data set", "Difference", "Interval says"];
            let caption = format!("Difference of pAUC-EDC ×1000 from {whom}: {title}");
            html += &table(&caption, &heading.map(str::to_owned), &rows);
        }
    }
    html
}

/// How many comparisons are tied, and how far the area depends on their order.
fn ties(results: &Results, summary: &Summary, method: &str, series: Series) -> Cell {
    let curves = summary.datasets.iter().flat_map(|dataset| {
        let Summary { recogniser, protocol, fmr, .. } = summary;
        results.curves_of(dataset, recogniser, *protocol, *fmr)
    });
    let of_method = curves.filter(|curve| curve.series == series && curve.method == method);
    let (mut tied, mut widest) = (0, 0.0_f64);
    for curve in of_method {
        tied += curve.tied;
        widest = widest.max(curve.pauc_ties.map_or(0.0, |[low, high]| high - low));
    }
    let shown = match (series, tied) {
        (Series::Method, 0) => "0".to_owned(),
        (Series::Method, _) => format!("{tied} (pAUC moves by {:.2})", widest * 1000.0),
        _ => "–".to_owned(),
    };
    Cell::Number(shown, (series == Series::Method).then_some(tied as f64))
}

fn curves(results: &Results) -> Result<String, ReportError> {
    let mut html = "<p>The shaded part is the one in which the area is taken. A good method falls \
                    steeply from the left, between random (above) and the theoretical best (below).</p>\n"
        .to_owned();
    for &protocol in &results.settings.protocols {
        for &fmr in &results.settings.fmr {
            html += &figures::edc(results, protocol, fmr)?.map_or(String::new(), |f| drawn(&f));
        }
    }
    Ok(html)
}

fn verification(results: &Results) -> Result<String, ReportError> {
    let mut heading: Vec<String> =
        ["Data set", "Recogniser", "Mated", "Non-mated", "Left out"].map(str::to_owned).into();
    let accuracy = results.baselines.iter().any(|baseline| baseline.accuracy.is_some());
    if accuracy {
        heading.push("Accuracy".to_owned());
    }
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
            let shown = baseline.accuracy.map_or("–".to_owned(), |[mean, deviation]| {
                format!("{:.2} ± {:.2} %", mean * 100.0, deviation * 100.0)
            });
            cells.push(Cell::Number(shown, baseline.accuracy.map(|[mean, _]| mean)));
        }
        cells.push(Cell::percent(baseline.eer));
        for target in &baseline.targets {
            cells.push(Cell::percent(target.fnmr));
            cells.push(Cell::percent(target.realised));
        }
        (false, cells)
    };
    let rows: Vec<_> = results.baselines.iter().map(row).collect();
    let mut html = table("The recognition models with nothing discarded", &heading, &rows);
    for dataset in &results.datasets {
        if dataset.without_face > 0 {
            html += &format!(
                "<p class=\"warning\">{}: no face was found in {} of {} images, which count as \
                 the lowest and whose comparisons are left out: {}</p>\n",
                escaped(&dataset.name),
                dataset.without_face,
                dataset.images,
                escaped(&dataset.without_face_examples)
            );
        }
        for MissingRecord { of, images, examples } in &dataset.missing {
            html += &format!(
                "<p class=\"warning\">{}, {}: {images} images are missing in its file, and their \
                 comparisons are left out for every method: {}</p>\n",
                escaped(&dataset.name),
                escaped(of),
                escaped(examples)
            );
        }
    }
    for baseline in &results.baselines {
        let who = format!("{}, {}", baseline.dataset, baseline.recogniser);
        for warning in baseline.targets.iter().flat_map(|target| &target.warnings) {
            html += &format!("<p class=\"warning\">{}: {}</p>\n", escaped(&who), escaped(warning));
        }
        for failure in &baseline.failures {
            html += &format!("<p class=\"warning\">{}: {}</p>\n", escaped(&who), escaped(failure));
        }
    }
    html += &drawn(&figures::comparison_scores(results)?);
    html += &drawn(&figures::det(results)?);
    Ok(html)
}

fn scores(results: &Results) -> Result<String, ReportError> {
    let mut html = figures::qualities(results)?.map_or(String::new(), |figure| drawn(&figure));
    for record in results.qualities.iter().filter(|record| record.failed > 0) {
        html += &format!(
            "<p class=\"warning\">{}, {}: {} images have no score and count as the lowest. {}</p>\n",
            escaped(&record.dataset),
            escaped(&record.method),
            record.failed,
            escaped(&record.failures.join("; "))
        );
    }
    if results.methods.len() < 2 {
        return Ok(html);
    }
    for record in &results.correlations {
        let mut heading = vec!["Method".to_owned()];
        heading.extend(results.methods.iter().map(|method| method.name.clone()));
        let rows = results.methods.iter().zip(&record.spearman).map(|(method, row)| {
            let mut cells = vec![Cell::text(&method.name)];
            cells.extend(row.iter().map(|&value| {
                let shown = value.map_or("–".to_owned(), |value| format!("{value:.2}"));
                Cell::Number(shown.replace('-', "−"), value)
            }));
            (false, cells)
        });
        let caption = format!("{}: Spearman's rank correlation between methods", record.dataset);
        html += &table(&caption, &heading, &rows.collect::<Vec<_>>());
    }
    Ok(html)
}

fn faces(folder: &Path, results: &Results) -> String {
    let mut html = String::new();
    for record in &results.qualities {
        let QualityRecord { dataset, method, worst, best, .. } = record;
        if worst.iter().chain(best).all(|face| face.face.is_none()) {
            continue;
        }
        html += &format!("<details><summary>{}, {}</summary>\n", escaped(dataset), escaped(method));
        for (title, faces) in [("Worst", worst), ("Best", best)] {
            html += &format!("<h4>{title}</h4><ul class=\"faces\">\n");
            html += &faces.iter().map(|record| face(folder, record)).collect::<String>();
            html += "</ul>\n";
        }
        html += "</details>\n";
    }
    // The first one shows what the others hold.
    html.replacen("<details>", "<details open>", 1)
}

fn face(folder: &Path, record: &FaceRecord) -> String {
    let (name, score) = (escaped(&record.image), record.score);
    let picture = |file: &Option<String>, what: &str| {
        let Some(bytes) = file.as_ref().and_then(|file| picture(folder, file)) else {
            return String::new();
        };
        let uri = data_uri("image/jpeg", &bytes);
        format!("<img src=\"{uri}\" alt=\"{what} {name}\" width=\"112\" height=\"112\">")
    };
    format!(
        "<li>{}{}<span title=\"{name}\">{name}</span><b>{score:.4}</b></li>\n",
        picture(&record.face, "Face of"),
        picture(&record.map, "Attention over")
    )
}

/// A picture that the record names, which must lie below the run's folder.
fn picture(folder: &Path, file: &str) -> Option<Vec<u8>> {
    let file = Path::new(file);
    if !file.components().all(|part| matches!(part, Component::Normal(_))) {
        return None;
    }
    let path = folder.join(file);
    let size = fs::metadata(&path).ok()?.len();
    if size > MAX_FACE_BYTES {
        return None;
    }
    fs::read(path).ok().filter(|bytes| bytes.starts_with(&[0xff, 0xd8]))
}

fn settings(results: &Results) -> String {
    let text = |names: &[&str]| -> Vec<String> { names.iter().map(|n| (*n).to_owned()).collect() };
    let mut html = format!(
        "<p>{}, with the description <code>{}</code> (SHA-256 <code>{}</code>):</p>\n<pre>{}</pre>\n",
        escaped(&results.program),
        escaped(&results.config_file),
        escaped(&results.config_sha256),
        escaped(&results.config)
    );
    let datasets = results.datasets.iter().map(|dataset| {
        let cells = vec![
            Cell::text(&dataset.name),
            Cell::text(&dataset.kind),
            Cell::text(&dataset.path),
            Cell::count(dataset.images),
            Cell::count(dataset.mated),
            Cell::count(dataset.non_mated),
            Cell::text(&dataset.sha256),
        ];
        (false, cells)
    });
    let heading = text(&["Data set", "Layout", "Path", "Images", "Mated", "Non-mated", "SHA-256"]);
    html += &table("Data sets", &heading, &datasets.collect::<Vec<_>>());
    let recognisers = results.recognisers.iter().map(|recogniser| {
        let cells = vec![
            Cell::text(&recogniser.name),
            Cell::text(&recogniser.source),
            Cell::text(if recogniser.flip { "yes" } else { "no" }),
            Cell::text(&recogniser.sha256),
        ];
        (false, cells)
    });
    let heading = text(&["Recogniser", "From", "Mirrored too", "SHA-256"]);
    html += &table("Recognition models", &heading, &recognisers.collect::<Vec<_>>());
    let methods = results.methods.iter().map(|method| {
        let cells = vec![
            Cell::text(&method.name),
            Cell::text(&method.what),
            Cell::text(&method.source),
            Cell::text(&method.sha256),
        ];
        (false, cells)
    });
    let heading = text(&["Method", "What", "From", "SHA-256"]);
    html + &table("Quality methods", &heading, &methods.collect::<Vec<_>>())
}
