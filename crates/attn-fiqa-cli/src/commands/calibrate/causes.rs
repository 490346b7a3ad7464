//! The readout of causes: fitted together with a key bias, or alone for a model that has one.

use std::collections::BTreeMap;

use attn_fiqa::causes::FaceRegion;
use attn_fiqa::checkpoint::{Calibration, Checkpoint, write_calibrated};
use attn_fiqa::engine::Engine;
use attn_fiqa::score::QualityMap;
use attn_fiqa::status::Failure;
use attn_fiqa_eval::calibrate::{
    CalibrateError, CauseEvaluation, CauseFit, CauseSample, Face, Hits, KeyBias, Sampling,
    cause_samples, fit_causes,
};

use super::{existing_key_bias, faces, file_name, sampling};
use crate::args::CalibrateArgs;
use crate::exit::Exit;
use crate::log;
use crate::output::PlainTable;
use crate::summary::{Activity, Summary};

/// Fits causes to a model without changing its key bias and its map to 0-100.
pub(super) fn only(
    args: &CalibrateArgs,
    checkpoint: &Checkpoint,
    engine: &Engine,
) -> anyhow::Result<Exit> {
    let Some(calibration) = checkpoint.calibration() else {
        anyhow::bail!(
            "'{}' is not calibrated, so it has no quality for causes to explain; leave out --only \
             for a full calibration",
            args.model.name()
        );
    };
    let key_bias = existing_key_bias(args, checkpoint)?;
    let chosen = faces::choose(args)?;
    let sources = faces::open(args)?;
    let mut summary = Summary::start(Activity::OnCrops("faces measured"), sources.progress());
    let faces = faces::load(engine, sources, &chosen, &mut summary);
    let sampling = sampling(args);
    let own = key_bias.clone().map(|values| KeyBias::of(values, engine.config()));
    let score = |sample: &CauseSample| match &own {
        Some(bias) => bias.score_of(sample.score, &sample.mean_query),
        None => f64::from(sample.score),
    };
    let counted = |face: &Face, failure: Option<&Failure>| {
        summary.count_image(&face.name, &[], failure);
    };
    let found = fit(engine, &faces, &sampling, &calibration.quality, score, counted)?;
    table(&found.evaluation).print()?;
    report(&found.evaluation);
    let mut calibration = calibration.clone();
    record(args, &found.evaluation, &faces, &mut calibration.record);
    let calibration = calibration.with_causes(found.model, key_bias.as_deref());
    write_calibrated(checkpoint, &args.output, key_bias, &calibration)?;
    log::info(format!(
        "wrote '{}', calibration {} with causes",
        args.output.display(),
        calibration.id()
    ));
    Ok(summary.finish())
}

/// Adds causes to a calibration that was just fitted, or reports why there are none.
pub(super) fn add(
    args: &CalibrateArgs,
    engine: &Engine,
    faces: &[Face],
    mut calibration: Calibration,
    key_bias: Option<&KeyBias>,
) -> anyhow::Result<Calibration> {
    let score = |sample: &CauseSample| match key_bias {
        Some(bias) => bias.score_of(sample.score, &sample.mean_query),
        None => f64::from(sample.score),
    };
    match fit(engine, faces, &sampling(args), &calibration.quality, score, |_, _| {}) {
        Ok(found) => {
            for row in &found.evaluation.causes {
                log::info(format!(
                    "cause {}: named first in {}, rank correlation of strength and level {}",
                    row.cause,
                    percent(row.main),
                    correlation(row.spearman)
                ));
            }
            report(&found.evaluation);
            record(args, &found.evaluation, faces, &mut calibration.record);
            Ok(calibration.with_causes(found.model, key_bias.map(|bias| bias.values.as_slice())))
        }
        Err(reason @ (CalibrateError::NothingToFit | CalibrateError::TooFewFaces { .. })) => {
            log::note(format!("no causes are stored: {reason}"));
            Ok(calibration)
        }
        Err(error) => Err(error.into()),
    }
}

fn fit(
    engine: &Engine,
    faces: &[Face],
    sampling: &Sampling,
    map: &QualityMap,
    score: impl Fn(&CauseSample) -> f64 + Sync,
    done: impl FnMut(&Face, Option<&Failure>),
) -> Result<CauseFit, CalibrateError> {
    let measured = cause_samples(engine, faces, sampling, done)?;
    let quality = |sample: &CauseSample| f64::from(map.quality(score(sample) as f32));
    engine.install(|| fit_causes(&measured, &sampling.kinds, quality))
}

/// One row per cause.
fn table(found: &CauseEvaluation) -> PlainTable {
    let mut table = PlainTable::new(&["cause", "images", "main_cause", "spearman_strength"]);
    for row in &found.causes {
        let fraction = row.main.fraction();
        table.push(vec![
            row.cause.to_owned(),
            row.main.of.to_string(),
            if row.main.of > 0 { format!("{fraction:.4}") } else { String::new() },
            row.spearman.map(|rho| format!("{rho:.4}")).unwrap_or_default(),
        ]);
    }
    table
}

/// The figures over all causes, each with its number of images.
fn summary(found: &CauseEvaluation) -> [(&'static str, &'static str, Hits); 6] {
    [
        ("held_out_causes_single", "main cause of images with one degradation", found.single),
        (
            "held_out_causes_single_with_loss",
            "the same, for those that lost 5 points of quality or more",
            found.single_with_loss,
        ),
        (
            "held_out_causes_pairs",
            "both of two degradations among the first three causes",
            found.pairs,
        ),
        ("held_out_causes_clean", "clean faces without a cause", found.clean),
        ("held_out_regions_covered", "covered region named as the weakest", found.covered()),
        ("held_out_regions_clean", "clean faces without a weak region", found.clean_regions),
    ]
}

fn report(found: &CauseEvaluation) {
    for (_, what, hits) in summary(found) {
        log::info(format!("on held-out faces, {what}: {}", percent(hits)));
    }
    let regions = FaceRegion::ALL.iter().zip(found.regions);
    let regions: Vec<String> =
        regions.map(|(region, hits)| format!("{region} {}", percent(hits))).collect();
    log::debug(format!("covered regions: {}", regions.join(", ")));
}

fn record(
    args: &CalibrateArgs,
    found: &CauseEvaluation,
    faces: &[Face],
    record: &mut BTreeMap<String, String>,
) {
    for (key, _, hits) in summary(found) {
        record.insert(key.to_owned(), percent(hits));
    }
    let file = file_name(args.faces());
    let about = format!("{} faces of {file}, seed {}", faces.len(), args.seed);
    record.insert("causes_fitted_on".to_owned(), about);
}

fn percent(hits: Hits) -> String {
    match hits.of {
        0 => "no image".to_owned(),
        of => format!("{:.1} % of {of}", 100.0 * hits.fraction()),
    }
}

fn correlation(rho: Option<f64>) -> String {
    rho.map_or("undefined".to_owned(), |rho| format!("{rho:.2}"))
}
