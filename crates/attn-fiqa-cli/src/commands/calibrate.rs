//! `attn-fiqa calibrate`: a score fitted to utility, and its map to 0–100.

use std::collections::{BTreeMap, BinaryHeap, HashSet};

use attn_fiqa::checkpoint::{Calibration, write_calibrated};
use attn_fiqa::crop::{ChannelOrder, Crop, CropOptions, Fit as CropFit, crop_from_picture};
use attn_fiqa::decode::{DecodeLimits, Note, decode};
use attn_fiqa::engine::{Engine, EngineOptions};
use attn_fiqa::onnx::OnnxModel;
use attn_fiqa::recognise::Recogniser;
use attn_fiqa::score::Method;
use attn_fiqa::source::{Input, SourceItem, SourceOptions, Sources};
use attn_fiqa::status::Failure;
use attn_fiqa_eval::calibrate::{
    Agreement, Face, Fit, Picture, Recogniser as Embeds, Sampling, fit, measure, quality_map,
};
use attn_fiqa_eval::degrade::{Degradation, seed_for};
use rayon::prelude::*;

use super::model::refuse_overwriting;
use crate::args::{CalibrateArgs, ModelOptions};
use crate::exit::Exit;
use crate::output::PlainTable;
use crate::report::Report;

/// Faces that are decoded together.
const BATCH: usize = 64;

pub(crate) fn run(args: &CalibrateArgs) -> anyhow::Result<Exit> {
    let input = args.run.model.clone().unwrap_or_default();
    refuse_overwriting(&input, &args.output)?;
    let checkpoint = args.run.model_options.open(args.run.model.as_ref())?;
    let options = EngineOptions {
        threads: args.run.jobs,
        embedding: args.recogniser.is_none(),
        precision: args.run.precision,
    };
    let engine = Engine::new(&checkpoint, &options)?;
    let recogniser = recogniser(args, &engine)?;
    if recogniser.is_none() && engine.config().embedding_head.is_none() {
        anyhow::bail!(
            "'{}' holds only what a score needs and gives no embeddings to measure utility with; \
             calibrate the full checkpoint, or name a --recogniser",
            ModelOptions::name(args.run.model.as_ref())
        );
    }

    let chosen = choose(args)?;
    let sources = open(args)?;
    let mut report = Report::start_other(
        args.run.quiet,
        args.run.verbose,
        "faces measured",
        sources.found_so_far(),
    );
    let faces = load(args, &engine, sources, &chosen, &mut report);
    let sampling = Sampling { kinds: kinds(args), degraded: args.pictures, seed: args.seed };
    let other = recogniser.as_ref().map(|recogniser| recogniser as &dyn Embeds);
    let pictures = measure(&engine, other, &faces, &sampling, |face, failure| {
        report.count_image(&face.name, &[], failure);
    })?;
    drop(faces);

    let config = engine.config();
    let scale_over_heads = f64::from(config.scale()) / config.num_heads as f64;
    let found = engine.install(|| fit(&pictures, scale_over_heads, args.seed))?;
    table(&found.agreement).print()?;
    tell(&found, &report);

    let (method, key_bias) = match found.helps() {
        true => (Method::ATTN_CALIBRATED, Some(found.key_bias.values.clone())),
        false => (Method::ATTN, None),
    };
    let map = quality_map(&pictures, method, |picture| match found.helps() {
        true => found.key_bias.score(picture),
        false => f64::from(picture.score),
    })?;
    let record = record(args, &found, &pictures);
    let calibration = Calibration::new(map, record, key_bias.as_deref());
    write_calibrated(&checkpoint, &args.output, key_bias, &calibration)?;
    report.say(&format!(
        "wrote '{}', calibration {}, qualities of {method}",
        args.output.display(),
        calibration.id()
    ));
    Ok(report.finish())
}

/// The recogniser that decides utility, where it is not the model itself.
fn recogniser(args: &CalibrateArgs, engine: &Engine) -> anyhow::Result<Option<Recogniser>> {
    let Some(file) = &args.recogniser else { return Ok(None) };
    let recogniser = Recogniser::new(OnnxModel::open(file)?, args.pixels, engine.threads())?;
    let (needed, found) = (recogniser.side(), engine.config().image_size);
    if needed != found {
        anyhow::bail!(
            "the recogniser takes crops of {needed}×{needed} pixels and the model of \
             {found}×{found}; both must see the same pictures: '{}'",
            file.display()
        );
    }
    Ok(Some(recogniser))
}

fn kinds(args: &CalibrateArgs) -> Vec<Degradation> {
    let wanted = |kind: &Degradation| args.kinds.is_empty() || args.kinds.contains(kind);
    Degradation::ALL.into_iter().filter(wanted).collect()
}

fn open(args: &CalibrateArgs) -> anyhow::Result<Sources> {
    let options = SourceOptions { recursive: true, ..SourceOptions::default() };
    Ok(Sources::open(&[Input::Path(args.faces.clone())], &options)?)
}

/// Which of the images to take, by their places: those whose names have the lowest
/// hashes, so that the choice does not depend on the order of the files.
fn choose(args: &CalibrateArgs) -> anyhow::Result<HashSet<usize>> {
    let mut lowest = BinaryHeap::new();
    for (place, item) in open(args)?.enumerate() {
        lowest.push((seed_for(args.seed, &item.relative.to_string_lossy()), place));
        if lowest.len() > args.limit {
            lowest.pop();
        }
    }
    Ok(lowest.into_iter().map(|(_, place)| place).collect())
}

/// Decodes the chosen faces; what cannot be a face is counted as a failure.
fn load(
    args: &CalibrateArgs,
    engine: &Engine,
    sources: Sources,
    chosen: &HashSet<usize>,
    report: &mut Report,
) -> Vec<Face> {
    let side = engine.config().image_size;
    let crop = CropOptions { side, fit: CropFit::Exact, channels: ChannelOrder::Rgb };
    let mut items =
        sources.enumerate().filter(|(place, _)| chosen.contains(place)).map(|(_, item)| item);
    let mut faces = Vec::new();
    loop {
        let batch: Vec<SourceItem> = items.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            return faces;
        }
        let decoded: Vec<_> =
            engine.install(|| batch.into_par_iter().map(|item| decode_face(item, &crop)).collect());
        for (name, path, outcome) in decoded {
            match outcome {
                Ok((crop, notes)) => {
                    if args.run.verbose && !notes.is_empty() {
                        let notes = crate::output::describe_notes(&notes);
                        report.say_in_detail(&format!("{path}: {notes}"));
                    }
                    faces.push(Face { name, crop });
                }
                Err(failure) => report.count_image(&path, &[], Some(&failure)),
            }
        }
    }
}

type Decoded = (String, String, Result<(Crop, Vec<Note>), Failure>);

fn decode_face(item: SourceItem, options: &CropOptions) -> Decoded {
    let outcome = item.bytes.and_then(|bytes| {
        let decoded = decode(&bytes, &DecodeLimits::default())?;
        let mut notes = decoded.notes;
        let (crop, crop_notes) = crop_from_picture(decoded.picture, options)?;
        notes.extend(crop_notes);
        Ok((crop, notes))
    });
    (item.relative.to_string_lossy().into_owned(), item.path, outcome)
}

fn table(agreement: &[Agreement]) -> PlainTable {
    let mut table = PlainTable::new(&["kind", "pictures", "spearman_attn", "spearman_calibrated"]);
    let number = |value: Option<f64>| value.map(|value| format!("{value:.4}")).unwrap_or_default();
    for row in agreement {
        table.push(vec![
            row.kind.to_owned(),
            row.pictures.to_string(),
            number(row.published),
            number(row.calibrated),
        ]);
    }
    table
}

fn tell(found: &Fit, report: &Report) {
    let Agreement { published, calibrated, pictures, .. } = found.overall();
    let (before, after) = (published.unwrap_or(0.0), calibrated.unwrap_or(0.0));
    report.say(&format!(
        "fitted on {} faces (ridge {}, share of the published score {}, cross-validated rank \
         correlation with utility {:.3})",
        found.faces_fitted, found.ridge, found.beta, found.cross_validated
    ));
    let verdict = match found.helps() {
        true => "the fitted key bias helps and is stored",
        false => "the fit does not help, so no key bias is stored and the published score is kept",
    };
    report.say(&format!(
        "rank correlation with utility on {} faces held out ({pictures} pictures): {before:.3} \
         published, {after:.3} fitted: {verdict}",
        found.faces_held_out
    ));
}

/// What the file says about its calibration.
fn record(args: &CalibrateArgs, found: &Fit, pictures: &[Picture]) -> BTreeMap<String, String> {
    let name = |path: &std::path::Path| {
        path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
    };
    let recogniser = args.recogniser.as_deref().map_or("the model itself".to_owned(), name);
    let kinds: Vec<&str> = kinds(args).into_iter().map(Degradation::name).collect();
    let overall = found.overall();
    let number = |value: Option<f64>| value.map(|v| format!("{v:.4}")).unwrap_or_default();
    let entries = [
        ("program", concat!("attn-fiqa ", env!("CARGO_PKG_VERSION")).to_owned()),
        ("faces", name(&args.faces)),
        ("faces_fitted", found.faces_fitted.to_string()),
        ("faces_held_out", found.faces_held_out.to_string()),
        ("pictures", pictures.len().to_string()),
        ("degraded_pictures_per_face", args.pictures.to_string()),
        ("kinds", kinds.join(",")),
        ("seed", args.seed.to_string()),
        ("recogniser", recogniser),
        ("ridge", found.ridge.to_string()),
        ("beta", found.beta.to_string()),
        ("held_out_spearman_attn", number(overall.published)),
        ("held_out_spearman_calibrated", number(overall.calibrated)),
        ("reference_set", "all faces, half of the weight as they are, half degraded".to_owned()),
    ];
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
