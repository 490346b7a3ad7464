//! Shared by `score` and `map`: a model, its images, and the run over them.

use std::sync::Arc;

use attn_fiqa::checkpoint::{Checkpoint, Provenance};
use attn_fiqa::engine::{Engine, EngineOptions};
use attn_fiqa::pipeline::{FaceOptions, FacePipeline, FaceSource, Row, ScoreOptions, Scorer};
use attn_fiqa::score::Method;

use crate::args::{FaceArgs, InputArgs, ModelArgs, RunOptions};
use crate::journal::Images;
use crate::log;
use crate::summary::{Activity, Summary};

/// A model ready to score.
pub(super) struct Session {
    pub(super) engine: Arc<Engine>,
    pub(super) model_name: String,
    activation: String,
    calibration: Option<String>,
}

impl Session {
    /// Opens the model with everything that `methods`, and an embedding if requested, need.
    pub(super) fn open(
        model: &ModelArgs,
        run: &RunOptions,
        methods: &[Method],
        embedding: bool,
    ) -> anyhow::Result<Self> {
        let whole = methods.iter().any(|method| method.needs_full_forward());
        let embedding = embedding || whole;
        let checkpoint = model.open()?;
        let options = EngineOptions {
            threads: run.jobs,
            embedding,
            precision: model.precision,
            methods: methods.to_vec(),
            ..EngineOptions::default()
        };
        let engine = Arc::new(Engine::new(&checkpoint, &options)?);
        Ok(Self {
            engine,
            model_name: model.name(),
            activation: activation(&checkpoint),
            calibration: checkpoint.calibration().map(|calibration| calibration.id().to_owned()),
        })
    }

    /// How the scores were made, for the output's metadata.
    pub(super) fn about(&self) -> Vec<(&'static str, String)> {
        let mut about = vec![
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("model", self.model_name.clone()),
            ("activation", self.activation.clone()),
            ("precision", self.engine.precision().to_string()),
            ("instruction_set", self.engine.instruction_set().to_owned()),
        ];
        about.extend(self.calibration.clone().map(|id| ("calibration", id)));
        about
    }

    /// How the run turns images into crops; detection shares the engine's threads.
    pub(super) fn faces(&self, input: &InputArgs, faces: &FaceArgs) -> anyhow::Result<FaceOptions> {
        faces.options(input, self.engine.threads(), self.engine.precision().precision)
    }

    /// The model combined with a way to find faces.
    pub(super) fn pipeline(
        &self,
        faces: FaceOptions,
        options: impl Into<ScoreOptions>,
    ) -> anyhow::Result<FacePipeline> {
        Ok(FacePipeline::new(Arc::clone(&self.engine), faces, options)?)
    }

    /// Runs every image through the model; `sink` gets each row in order, after it has been
    /// counted.
    ///
    /// # Errors
    ///
    /// Also if there was no image at all, so that nothing was done.
    pub(super) fn run(
        &self,
        images: Images,
        pipeline: &FacePipeline,
        input: &InputArgs,
        run: &RunOptions,
        sink: impl FnMut(Row, &mut Summary) -> anyhow::Result<()>,
    ) -> anyhow::Result<Summary> {
        self.run_counting(images, pipeline, input, run, Summary::count, sink)
    }

    /// The same with a different way to count a row.
    pub(super) fn run_counting(
        &self,
        images: Images,
        pipeline: &FacePipeline,
        input: &InputArgs,
        run: &RunOptions,
        count: impl Fn(&mut Summary, &Row),
        mut sink: impl FnMut(Row, &mut Summary) -> anyhow::Result<()>,
    ) -> anyhow::Result<Summary> {
        let mut summary = Summary::of_images(Activity::Score, &images);
        let config = self.engine.config();
        log::debug(format!(
            "model {}: {} blocks, {} heads, patch {}, method {}, {} on {}",
            self.model_name,
            config.depth,
            config.num_heads,
            config.patch_size,
            scorers(pipeline.options()).join(", "),
            self.engine.precision(),
            self.engine.instruction_set()
        ));
        let faces = &pipeline.faces().faces;
        if let FaceSource::Detected(detector) = faces {
            log::debug(format!(
                "detector {}: outputs as {}'s, {} landmarks",
                detector.name(),
                detector.format_name(),
                if detector.refines_landmarks() { "refined" } else { "its own" }
            ));
        }
        let outcome = pipeline.run(images, &input.stream(run.batch), |row| {
            count(&mut summary, &row);
            sink(row, &mut summary)
        });
        if let FaceSource::Landmarks(file) = faces {
            log::note(format!("landmark file: {}", file.report()));
        }
        outcome?;
        summary.refuse_empty()?;
        Ok(summary)
    }
}

/// The non-linearity of the MLP, marked if it was only assumed.
fn activation(checkpoint: &Checkpoint) -> String {
    let found = checkpoint.config_values().iter().find(|value| value.name == "activation");
    match found {
        Some(value) if value.from == Provenance::Assumed => {
            format!("{} ({})", value.value, value.from)
        }
        _ => checkpoint.config().activation.name().to_owned(),
    }
}

/// The names of the scoring methods of a run, in order.
fn scorers(options: &ScoreOptions) -> Vec<String> {
    if options.scorers.is_empty() {
        return options.request.methods.iter().map(Method::to_string).collect();
    }
    options.scorers.iter().map(Scorer::name).collect()
}
