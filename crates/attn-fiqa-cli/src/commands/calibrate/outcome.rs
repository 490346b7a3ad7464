//! The results of a calibration: one row per kind of image on standard output; how the score was
//! fitted and what its qualities mean on standard error and in the file.

use std::collections::BTreeMap;

use attn_fiqa::score::QualityMap;
use attn_fiqa_eval::calibrate::{
    Agreement, ErrorMetrics, Fit, HeldOutErrors, Measurements, RecognitionTarget, Reliability,
    Sample,
};
use attn_fiqa_eval::degrade::{Degradation, Level};
use attn_fiqa_eval::statistics::quantile;

use super::{Outcome, Stored, file_name, kinds};
use crate::args::CalibrateArgs;
use crate::log;
use crate::output::PlainTable;

/// Angular width in degrees of the rows for turned faces.
const YAW_STEP: f64 = 15.0;

/// One row per kind, more for clean faces and for turned ones by angle, and a last one for all
/// images of the held-out faces.
pub(super) fn table(
    measured: &Measurements,
    found: &Fit,
    stored: &Stored,
    map: &QualityMap,
    existing: bool,
) -> PlainTable {
    let mut heading = vec!["kind", "images", "spearman_attn", "spearman_calibrated"];
    heading.extend(existing.then_some("spearman_existing"));
    heading.push("median_quality");
    let mut table = PlainTable::new(&heading);
    let held_out: Vec<&Sample> =
        measured.samples.iter().filter(|sample| found.held_out[sample.face]).collect();
    let median = |wanted: &dyn Fn(&Sample) -> bool| {
        let chosen = held_out.iter().filter(|sample| wanted(sample));
        let mut qualities: Vec<f64> =
            chosen.map(|p| f64::from(map.quality(stored.score(p) as f32))).collect();
        qualities.sort_unstable_by(f64::total_cmp);
        (qualities.len(), quantile(&qualities, 0.5))
    };
    let number = |value: Option<f64>| value.map(|value| format!("{value:.4}")).unwrap_or_default();
    let quality = |value: Option<f64>| value.map(|value| format!("{value:.0}")).unwrap_or_default();
    let empty = vec![String::new(); 2 + usize::from(existing)];
    let push_median = |table: &mut PlainTable, name: &str, wanted: &dyn Fn(&Sample) -> bool| {
        let (images, median) = median(wanted);
        if images > 0 {
            let ends = [vec![name.to_owned(), images.to_string()], vec![quality(median)]];
            table.push([&ends[0][..], &empty, &ends[1]].concat());
        }
    };
    push_median(&mut table, "clean", &|sample| sample.kind.is_none());
    for row in &found.agreement {
        let is_all = row.kind == "all";
        if is_all {
            for step in 0..5 {
                let from = f64::from(step) * YAW_STEP;
                let within = |sample: &Sample| {
                    yaw(sample).is_some_and(|yaw| yaw >= from && yaw < from + YAW_STEP)
                };
                push_median(&mut table, &format!("yaw {from}-{}", from + YAW_STEP), &within);
            }
        }
        let own =
            |sample: &Sample| is_all || sample.kind.is_some_and(|kind| kind.name() == row.kind);
        let mut cells = vec![
            row.kind.to_owned(),
            row.samples.to_string(),
            number(row.published),
            number(row.calibrated),
        ];
        cells.extend(existing.then(|| number(row.existing)));
        cells.push(quality(median(&own).1));
        table.push(cells);
    }
    table
}

/// The angle in degrees by which a synthetic face is turned.
fn yaw(sample: &Sample) -> Option<f64> {
    let level = Level::new(sample.level)?;
    (sample.kind? == Degradation::Yaw).then(|| Degradation::Yaw.parameter(level))
}

pub(super) fn report(found: &Fit, stored: &Stored, outcome: &Outcome) {
    for tried in &found.candidates {
        let errors = tried.errors.map(|ErrorMetrics { pauc, brier }| {
            format!(", pAUC-EDC ×1000 {:.2}, Brier score {brier:.4}", 1e3 * pauc)
        });
        log::debug(format!(
            "tried ridge {}, fraction {}: rank correlation {:.4}{}",
            tried.ridge,
            tried.beta,
            tried.agreement,
            errors.unwrap_or_default()
        ));
    }
    match &outcome.recognition {
        Ok(recognition) => log::info(describe_target(recognition)),
        Err(reason) => log::info(format!("fitted to the cosine with the clean face: {reason}")),
    }
    log::info(format!(
        "fitted on {} faces (ridge {}, fraction of the published score {})",
        found.faces_fitted, found.ridge, found.beta
    ));
    let verdict = match stored {
        Stored::Fitted(_) => "the fitted key bias helps and is stored",
        Stored::Kept(_) => "the key bias of the file is kept, as asked",
        Stored::Published => {
            "the fit does not help, so no key bias is stored and the published score is kept"
        }
    };
    let Agreement { published, calibrated, existing, samples: images, .. } = found.overall();
    let (before, after) = (published.unwrap_or(0.0), calibrated.unwrap_or(0.0));
    let of_file =
        existing.map(|rho| format!(", {rho:.3} by the key bias of the file")).unwrap_or_default();
    log::info(format!(
        "rank correlation with the cosine on {} held-out faces ({images} images): {before:.3} \
         published, {after:.3} fitted{of_file}",
        found.faces_held_out
    ));
    if let Some(HeldOutErrors { published, fitted, existing }) = &found.held_out_errors {
        let shown =
            |errors: &ErrorMetrics| format!("{:.2} / {:.4}", 1e3 * errors.pauc, errors.brier);
        let of_file = existing
            .map(|errors| format!(", {} by the key bias of the file", shown(&errors)))
            .unwrap_or_default();
        log::info(format!(
            "errors on the same faces (pAUC-EDC ×1000 / Brier score): {} published, {} \
             fitted{of_file}",
            shown(published),
            shown(fitted)
        ));
    }
    log::info(verdict);
    let better = match &found.held_out_errors {
        Some(HeldOutErrors { fitted, existing: Some(existing), .. }) => {
            fitted.relative_to(*existing) < 1.0
        }
        Some(_) => return,
        None => match existing {
            Some(existing) => after > *existing,
            None => return,
        },
    };
    match stored {
        Stored::Kept(_) if better => log::note(
            "the fitted key bias does better than the one that is kept; leave out \
             --keep-key-bias to store it",
        ),
        Stored::Fitted(_) | Stored::Published if !better => {
            log::note("the key bias of the file does better; --keep-key-bias keeps it")
        }
        _ => {}
    }
}

fn describe_target(recognition: &RecognitionTarget) -> String {
    let [matches, images] = recognition.matches;
    let law = recognition.by_norm;
    format!(
        "fitted to the probability of a match, by the norm of the recogniser's embedding: \
         σ((n − {:.2}) / {:.2}); rank correlation of norm and cosine {:.2}; threshold {:.3}, {matches} \
         of {images} degraded images match",
        -law.intercept / law.slope,
        1.0 / law.slope,
        recognition.agreement,
        recognition.threshold
    )
}

/// Reports what the qualities mean, and whether this holds on held-out faces.
pub(super) fn report_scale(outcome: &Outcome) {
    let Some(scale) = &outcome.scale else {
        let reason = match &outcome.recognition {
            Ok(_) => "the score predicts matches too poorly for a more meaningful scale",
            Err(_) => "no scale can be derived from matches",
        };
        log::info(format!("quality is the rank within the set, half of which is clean: {reason}"));
        return;
    };
    for anchor in &scale.anchors {
        log::info(format!("quality {:>3}: {}", anchor.quality, scale.describe(anchor)));
    }
    log::info(format!(
        "probability of a match on held-out faces, expected / observed: {}",
        reliability(&outcome.reliability)
    ));
}

fn reliability(rows: &[Reliability]) -> String {
    let row = |row: &Reliability| format!("{:.2} / {:.2}", row.expected, row.matched);
    rows.iter().map(row).collect::<Vec<_>>().join(", ")
}

/// What the file says about its calibration.
pub(super) fn record(
    args: &CalibrateArgs,
    measured: &Measurements,
    found: &Fit,
    stored: &Stored,
    outcome: &Outcome,
) -> BTreeMap<String, String> {
    let kinds: Vec<&str> = kinds(args).into_iter().map(Degradation::name).collect();
    let overall = found.overall();
    let number = |value: Option<f64>| value.map(|v| format!("{v:.4}")).unwrap_or_default();
    let key_bias = match stored {
        Stored::Fitted(_) => "fitted here",
        Stored::Kept(_) => "kept as the file had it",
        Stored::Published => "none",
    };
    let mut entries = vec![
        ("program", concat!("attn-fiqa ", env!("CARGO_PKG_VERSION")).to_owned()),
        ("faces", file_name(args.faces())),
        ("faces_fitted", found.faces_fitted.to_string()),
        ("faces_held_out", found.faces_held_out.to_string()),
        ("images", measured.samples.len().to_string()),
        ("degraded_images_per_face", args.variants.to_string()),
        ("kinds", kinds.join(",")),
        ("seed", args.seed.to_string()),
        ("recogniser", outcome.recogniser.clone()),
        ("ridge", found.ridge.to_string()),
        ("beta", found.beta.to_string()),
        ("held_out_spearman_attn", number(overall.published)),
        ("held_out_spearman_fitted", number(overall.calibrated)),
        ("held_out_spearman_existing", number(overall.existing)),
        ("key_bias", key_bias.to_owned()),
    ];
    match &outcome.recognition {
        Ok(recognition) => {
            entries.push(("target", "probability of a match by the norm".to_owned()));
            entries.push(("match_threshold", format!("{:.4}", recognition.threshold)));
        }
        Err(_) => entries.push(("target", "cosine with the clean face".to_owned())),
    }
    if let Some(HeldOutErrors { published, fitted, existing }) = &found.held_out_errors {
        let area = |errors: &ErrorMetrics| format!("{:.6}", errors.pauc);
        entries.push(("held_out_pauc_attn", area(published)));
        entries.push(("held_out_pauc_fitted", area(fitted)));
        entries.extend(existing.as_ref().map(|errors| ("held_out_pauc_existing", area(errors))));
        entries.push(("held_out_brier_attn", format!("{:.4}", published.brier)));
        entries.push(("held_out_brier_fitted", format!("{:.4}", fitted.brier)));
    }
    let set = match outcome.scale {
        Some(_) => ("held_out_match_expected_found", reliability(&outcome.reliability)),
        None => {
            let set = "all faces, half of the weight as they are, half degraded";
            ("reference_set", set.to_owned())
        }
    };
    entries.push(set);
    // A file without a key bias has nothing to compare with.
    let known = entries.into_iter().filter(|(_, value)| !value.is_empty());
    known.map(|(key, value)| (key.to_owned(), value)).collect()
}
