//! `attn-fiqa calibrate`: fits a score to recognition, and its scale of 0–100.

mod causes;
mod faces;
mod outcome;

use std::path::Path;

use attn_fiqa::checkpoint::{Calibration, Checkpoint, KEY_BIAS, write_calibrated};
use attn_fiqa::engine::{Engine, EngineOptions};
use attn_fiqa::onnx::OnnxModel;
use attn_fiqa::recognise::Recogniser;
use attn_fiqa::score::{Method, QualityScale};
use attn_fiqa_eval::calibrate::{
    Face, Fit, FitOptions, KeyBias, Measurements, Recogniser as Embeds, RecognitionError,
    RecognitionTarget, Reliability, Sample, Sampling, fit, measure, quality_map, quality_scale,
};
use attn_fiqa_eval::degrade::Degradation;

use super::model::refuse_overwriting;
use crate::args::{CalibrateArgs, OnlyChoice, RunOptions, TargetChoice};
use crate::exit::Exit;
use crate::log;
use crate::summary::{Activity, Summary};

pub(crate) fn run(args: &CalibrateArgs, run: &RunOptions) -> anyhow::Result<Exit> {
    refuse_overwriting(&args.model.file()?.unwrap_or_default(), &args.output)?;
    let checkpoint = args.model.open()?;
    let options = EngineOptions {
        threads: run.jobs,
        embedding: args.recogniser.is_none() && args.only.is_none(),
        precision: args.model.precision,
        ..EngineOptions::default()
    };
    let engine = Engine::new(&checkpoint, &options)?;
    if args.only == Some(OnlyChoice::Causes) {
        return causes::only(args, &checkpoint, &engine);
    }
    let recogniser = recogniser(args, &engine)?;
    if recogniser.is_none() && engine.config().embedding_head.is_none() {
        anyhow::bail!(
            "'{}' is a quality-only checkpoint without embeddings to fit to; calibrate the full \
             checkpoint, or give a --recogniser",
            args.model.name()
        );
    }

    let existing = existing_key_bias(args, &checkpoint)?;
    let chosen = faces::choose(args)?;
    let sources = faces::open(args)?;
    let mut summary = Summary::start(Activity::OnCrops("faces measured"), sources.progress());
    let faces = faces::load(&engine, sources, &chosen, &mut summary);
    let sampling = sampling(args);
    let other = recogniser.as_ref().map(|recogniser| recogniser as &dyn Embeds);
    let counted = |face: &Face, failure: Option<&attn_fiqa::status::Failure>| {
        summary.count_image(&face.name, &[], failure);
    };
    let measured = measure(&engine, other, &faces, &sampling, args.fmr, counted)?;

    let recognition = RecognitionTarget::of(&measured);
    if let (Some(TargetChoice::Recognition), Err(reason)) = (args.target, &recognition) {
        anyhow::bail!("{reason}; leave out --target or fit to --target cosine");
    }
    let by_match = args.target != Some(TargetChoice::Cosine);
    let targets: Vec<f64> = match &recognition {
        Ok(recognition) if by_match => {
            measured.samples.iter().map(|p| recognition.target(p)).collect()
        }
        _ => measured.samples.iter().map(|sample| sample.utility).collect(),
    };
    let fit_options = FitOptions {
        scale_over_heads: KeyBias::scale_over_heads(engine.config()),
        existing: existing.as_deref(),
        seed: args.seed,
    };
    let found = engine.install(|| fit(&measured, &targets, fit_options))?;
    let stored = Stored::choose(args, &found, existing.clone(), fit_options.scale_over_heads);

    let outcome = Outcome::of(args, recognition, &measured, &found, &stored);
    let method = stored.method();
    let key_bias = stored.key_bias().map(|bias| bias.values.clone());
    let record = outcome::record(args, &measured, &found, &stored, &outcome);
    let calibration = match &outcome.scale {
        Some(scale) => Calibration::with_scale(scale.clone(), method, record, key_bias.as_deref())?,
        None => {
            let map = quality_map(&measured.samples, method, |sample| stored.score(sample))?;
            Calibration::new(map, record, key_bias.as_deref())
        }
    };
    let map = &calibration.quality;
    outcome::table(&measured, &found, &stored, map, existing.is_some()).print()?;
    outcome::report(&found, &stored, &outcome);
    outcome::report_scale(&outcome);
    let calibration = causes::add(args, &engine, &faces, calibration, stored.key_bias())?;
    write_calibrated(&checkpoint, &args.output, key_bias, &calibration)?;
    log::info(format!(
        "wrote '{}', calibration {}, qualities of {method}",
        args.output.display(),
        calibration.id()
    ));
    Ok(summary.finish())
}

/// Findings about the stored score.
struct Outcome {
    /// The name of the recogniser.
    recogniser: String,
    /// What the score was fitted to, or why it was fitted to the cosine instead.
    recognition: Result<RecognitionTarget, String>,
    /// The meaning of 0–100, if it has one.
    scale: Option<QualityScale>,
    /// Reliability of the scale on held-out faces.
    reliability: Vec<Reliability>,
}

impl Outcome {
    fn of(
        args: &CalibrateArgs,
        recognition: Result<RecognitionTarget, RecognitionError>,
        measured: &Measurements,
        found: &Fit,
        stored: &Stored,
    ) -> Self {
        let recogniser =
            args.recogniser.as_deref().map_or("the model itself".to_owned(), file_name);
        let score = |sample: &Sample| stored.score(sample);
        let (mut scale, mut reliability) = (None, Vec::new());
        if let Ok(recognition) = &recognition
            && let Some(law) =
                recognition.match_model(measured, |face| !found.held_out[face], score)
        {
            scale = quality_scale(&measured.samples, score, law, &recogniser, measured.fmr);
            reliability =
                recognition.reliability(measured, law, |face| found.held_out[face], score);
        }
        let recognition = match args.target {
            Some(TargetChoice::Cosine) => Err("as asked".to_owned()),
            _ => recognition.map_err(|reason| reason.to_string()),
        };
        Self { recogniser, recognition, scale, reliability }
    }
}

/// The last part of a path, as stored in the file's record.
fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Which score is stored.
enum Stored {
    /// The fitted key bias.
    Fitted(KeyBias),
    /// The key bias that the file already had.
    Kept(KeyBias),
    /// No key bias: the published score.
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

    fn score(&self, sample: &Sample) -> f64 {
        self.key_bias().map_or(f64::from(sample.score), |bias| bias.score(sample))
    }
}

/// The key bias of the checkpoint.
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

/// The recogniser that decides utility, if it is not the model itself.
fn recogniser(args: &CalibrateArgs, engine: &Engine) -> anyhow::Result<Option<Recogniser>> {
    let Some(file) = &args.recogniser else { return Ok(None) };
    let recogniser = Recogniser::new(OnnxModel::open(file)?, args.preprocess, engine.threads())?;
    let (needed, found) = (recogniser.side(), engine.config().image_size);
    if needed != found {
        anyhow::bail!(
            "the recogniser takes crops of {needed}×{needed} pixels, but the model takes \
             {found}×{found}; both must see the same images: '{}'",
            file.display()
        );
    }
    Ok(Some(recogniser))
}

fn sampling(args: &CalibrateArgs) -> Sampling {
    Sampling { kinds: kinds(args), degraded: args.variants, seed: args.seed }
}

fn kinds(args: &CalibrateArgs) -> Vec<Degradation> {
    let wanted = |kind: &Degradation| args.kinds.is_empty() || args.kinds.contains(kind);
    Degradation::ALL.into_iter().filter(wanted).collect()
}
