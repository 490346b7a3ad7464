//! `attn-fiqa calibrate`: a score fitted to utility, and its map to 0–100.

use std::collections::{BTreeMap, BinaryHeap, HashSet};
use std::convert::Infallible;

use attn_fiqa::checkpoint::{Calibration, Checkpoint, KEY_BIAS, write_calibrated};
use attn_fiqa::crop::Fit as CropFit;
use attn_fiqa::engine::{Engine, EngineOptions};
use attn_fiqa::onnx::OnnxModel;
use attn_fiqa::pipeline::{CropRow, FaceOptions, FaceSource, StreamOptions, cut_faces};
use attn_fiqa::recognise::Recogniser;
use attn_fiqa::score::Method;
use attn_fiqa::source::{Input, SourceOptions, Sources};
use attn_fiqa_eval::calibrate::{
    Agreement, Face, Fit, KeyBias, Picture, Recogniser as Embeds, Sampling, fit, measure,
    quality_map,
};
use attn_fiqa_eval::degrade::{Degradation, seed_for};

use super::model::refuse_overwriting;
use crate::args::{CalibrateArgs, ModelOptions};
use crate::exit::Exit;
use crate::output::PlainTable;
use crate::report::Report;

pub(crate) fn run(args: &CalibrateArgs) -> anyhow::Result<Exit> {
    let input = args.run.model.as_deref().map(ModelOptions::file).transpose()?.flatten();
    refuse_overwriting(&input.unwrap_or_default(), &args.output)?;
    let checkpoint = args.run.model_options.open(args.run.model.as_ref())?;
    let options = EngineOptions {
        threads: args.run.jobs,
        embedding: args.recogniser.is_none(),
        precision: args.run.precision,
        ..EngineOptions::default()
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

    let existing = existing_key_bias(args, &checkpoint)?;
    let chosen = choose(args)?;
    let sources = open(args)?;
    let mut report = Report::start_other(
        args.run.quiet,
        args.run.verbose,
        "faces measured",
        sources.found_so_far(),
    );
    let faces = load(&engine, sources, &chosen, &mut report);
    let sampling = Sampling { kinds: kinds(args), degraded: args.pictures, seed: args.seed };
    let other = recogniser.as_ref().map(|recogniser| recogniser as &dyn Embeds);
    let pictures = measure(&engine, other, &faces, &sampling, |face, failure| {
        report.count_image(&face.name, &[], failure);
    })?;
    drop(faces);

    let config = engine.config();
    let scale_over_heads = f64::from(config.scale()) / config.num_heads as f64;
    let existing_values = existing.as_deref();
    let found = engine.install(|| fit(&pictures, scale_over_heads, existing_values, args.seed))?;
    table(&found.agreement, existing.is_some()).print()?;
    let stored = Stored::choose(args, &found, existing, scale_over_heads);
    tell(&found, &stored, &report);

    let method = stored.method();
    let map = quality_map(&pictures, method, |picture| stored.score(picture))?;
    let record = record(args, &found, &stored, &pictures);
    let key_bias = stored.key_bias().map(|bias| bias.values.clone());
    let calibration = Calibration::new(map, record, key_bias.as_deref());
    write_calibrated(&checkpoint, &args.output, key_bias, &calibration)?;
    report.say(&format!(
        "wrote '{}', calibration {}, qualities of {method}",
        args.output.display(),
        calibration.id()
    ));
    Ok(report.finish())
}

/// What becomes of the score.
enum Stored {
    /// The fitted key bias.
    Fitted(KeyBias),
    /// The one that the file had.
    Kept(KeyBias),
    /// None: the published score.
    Published,
}

impl Stored {
    fn choose(
        args: &CalibrateArgs,
        found: &Fit,
        existing: Option<Vec<f32>>,
        scale_over_heads: f64,
    ) -> Self {
        match existing {
            Some(values) if args.keep_key_bias => Self::Kept(KeyBias { values, scale_over_heads }),
            _ if found.helps() => Self::Fitted(found.key_bias.clone()),
            _ => Self::Published,
        }
    }

    fn key_bias(&self) -> Option<&KeyBias> {
        match self {
            Self::Fitted(bias) | Self::Kept(bias) => Some(bias),
            Self::Published => None,
        }
    }

    fn method(&self) -> Method {
        if self.key_bias().is_some() { Method::ATTN_CALIBRATED } else { Method::ATTN }
    }

    fn score(&self, picture: &Picture) -> f64 {
        self.key_bias().map_or(f64::from(picture.score), |bias| bias.score(picture))
    }
}

/// The key bias that the checkpoint has.
fn existing_key_bias(
    args: &CalibrateArgs,
    checkpoint: &Checkpoint,
) -> anyhow::Result<Option<Vec<f32>>> {
    let existing =
        checkpoint.contains(KEY_BIAS).then(|| checkpoint.read_f32(KEY_BIAS)).transpose()?;
    if args.keep_key_bias && existing.is_none() {
        anyhow::bail!("the checkpoint has no key bias to keep; leave out --keep-key-bias");
    }
    Ok(existing)
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
    engine: &Engine,
    sources: Sources,
    chosen: &HashSet<usize>,
    report: &mut Report,
) -> Vec<Face> {
    let items = sources.enumerate().filter(|(place, _)| chosen.contains(place));
    let aligned = FaceOptions::new(FaceSource::Aligned(CropFit::Exact));
    let (side, stream) = (engine.config().image_size, StreamOptions::default());
    let items = items.map(|(_, item)| item);
    let mut faces = Vec::new();
    let keep = |row: CropRow| {
        match row.crop {
            Ok(crop) => {
                if !row.notes.is_empty() {
                    let notes = crate::output::describe_notes(&row.notes);
                    report.say_in_detail(&format!("{}: {notes}", row.path));
                }
                faces.push(Face { name: row.relative.to_string_lossy().into_owned(), crop });
            }
            Err(failure) => report.count_image(&row.path, &[], Some(&failure)),
        }
        Ok(())
    };
    let outcome: Result<(), Infallible> =
        cut_faces(items, engine.threads(), side, &aligned, &stream, |row| row, keep);
    match outcome {
        Ok(()) => faces,
    }
}

fn table(agreement: &[Agreement], existing: bool) -> PlainTable {
    let heading = ["kind", "pictures", "spearman_attn", "spearman_calibrated", "spearman_existing"];
    let columns = heading.len() - usize::from(!existing);
    let mut table = PlainTable::new(&heading[..columns]);
    let number = |value: Option<f64>| value.map(|value| format!("{value:.4}")).unwrap_or_default();
    for row in agreement {
        let mut cells = vec![
            row.kind.to_owned(),
            row.pictures.to_string(),
            number(row.published),
            number(row.calibrated),
            number(row.existing),
        ];
        cells.truncate(columns);
        table.push(cells);
    }
    table
}

fn tell(found: &Fit, stored: &Stored, report: &Report) {
    for tried in &found.tried {
        report.say_in_detail(&format!(
            "tried ridge {}, share {}: {:.4}",
            tried.ridge, tried.beta, tried.agreement
        ));
    }
    let Agreement { published, calibrated, existing, pictures, .. } = found.overall();
    let (before, after) = (published.unwrap_or(0.0), calibrated.unwrap_or(0.0));
    report.say(&format!(
        "fitted on {} faces (ridge {}, share of the published score {}, cross-validated rank \
         correlation with utility {:.3})",
        found.faces_fitted, found.ridge, found.beta, found.cross_validated
    ));
    let verdict = match stored {
        Stored::Fitted(_) => "the fitted key bias helps and is stored",
        Stored::Kept(_) => "the key bias of the file is kept, as was asked",
        Stored::Published => {
            "the fit does not help, so no key bias is stored and the published score is kept"
        }
    };
    let of_file =
        existing.map(|rho| format!(", {rho:.3} by the key bias of the file")).unwrap_or_default();
    report.say(&format!(
        "rank correlation with utility on {} faces held out ({pictures} pictures): {before:.3} \
         published, {after:.3} fitted{of_file}: {verdict}",
        found.faces_held_out
    ));
    match (existing, stored) {
        (Some(existing), Stored::Kept(_)) if after > *existing => report.say(
            "note: the fitted key bias follows utility better than the one that is kept; leave \
             out --keep-key-bias to store it",
        ),
        (Some(existing), Stored::Fitted(_) | Stored::Published) if *existing > after => report.say(
            "note: the key bias that the file had follows utility better; --keep-key-bias keeps it",
        ),
        _ => {}
    }
}

/// What the file says about its calibration.
fn record(
    args: &CalibrateArgs,
    found: &Fit,
    stored: &Stored,
    pictures: &[Picture],
) -> BTreeMap<String, String> {
    let name = |path: &std::path::Path| {
        path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
    };
    let recogniser = args.recogniser.as_deref().map_or("the model itself".to_owned(), name);
    let kinds: Vec<&str> = kinds(args).into_iter().map(Degradation::name).collect();
    let overall = found.overall();
    let number = |value: Option<f64>| value.map(|v| format!("{v:.4}")).unwrap_or_default();
    let key_bias = match stored {
        Stored::Fitted(_) => "fitted here",
        Stored::Kept(_) => "kept as the file had it",
        Stored::Published => "none",
    };
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
        ("held_out_spearman_fitted", number(overall.calibrated)),
        ("held_out_spearman_existing", number(overall.existing)),
        ("key_bias", key_bias.to_owned()),
        ("reference_set", "all faces, half of the weight as they are, half degraded".to_owned()),
    ];
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
