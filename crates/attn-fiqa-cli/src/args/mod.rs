//! Arguments: what can be typed, and the help.

mod benchmark;
mod best;
mod calibrate;
mod command;
mod compare;
mod config;
mod crop;
mod degrade;
mod detect;
mod embed;
mod faces;
mod filter;
mod gate;
mod groups;
mod input;
mod map;
mod measure;
mod merge;
mod method;
mod model;
mod numbers;
mod report;
mod resume;
mod run;
mod score;
#[cfg(feature = "serve")]
mod serve;
mod shell;
mod typed;
mod validate;
mod video;

use clap::{Parser, Subcommand};

pub(crate) use benchmark::BenchmarkArgs;
pub(crate) use best::{BestArgs, BestFormat, GroupBy};
pub(crate) use calibrate::{CalibrateArgs, OnlyChoice, TargetChoice};
pub(crate) use command::{command, parse};
pub(crate) use compare::{
    AdviseArgs, BootstrapArgs, ComparisonArgs, EdcArgs, GridChoice, MissingChoice, ScaleChoice,
    VerifyArgs,
};
pub(crate) use crop::{CropArgs, ImageFormat};
pub(crate) use degrade::{DegradationArgs, DegradeArgs};
pub(crate) use detect::DetectArgs;
pub(crate) use embed::{EmbedArgs, EmbeddingFormat};
pub(crate) use faces::{BestFaceArgs, DetectorArgs, FaceArgs};
pub(crate) use filter::{FilterArgs, FilterFormat};
pub(crate) use gate::{GateArgs, TextFormat};
pub(crate) use groups::GroupsArgs;
pub(crate) use input::InputArgs;
pub(crate) use map::{AttentionChoice, GridFormat, MapArgs, RangeChoice};
pub(crate) use measure::MeasureArgs;
pub(crate) use merge::MergeArgs;
pub(crate) use method::QualityName;
pub(crate) use model::{
    CheckpointArgs, ExportArgs, ListFormat, ModelArgs, ModelCommand, ModelCommandArgs,
    NetworkChoice,
};
pub(crate) use report::{ReportArgs, Reported};
pub(crate) use resume::{FolderArgs, ResumeArgs, RowsPerFileArgs, ShardArgs};
pub(crate) use run::{LogFormat, RunOptions};
pub(crate) use score::{Column, FormatChoice, ScoreArgs};
#[cfg(feature = "serve")]
pub(crate) use serve::ServeArgs;
pub(crate) use shell::{CompletionsArgs, ManArgs};
pub(crate) use typed::Typed;
pub(crate) use validate::ValidateArgs;
pub(crate) use video::VideoArgs;

/// Face image quality for face recognition (ATTN-FIQA)
///
/// The score is the mean pre-softmax attention of the last block of a Vision Transformer trained
/// for face recognition: one forward pass, no further training. Higher is better; scores of
/// different models are not comparable.
#[derive(Debug, Parser)]
#[command(name = "attn-fiqa", version, after_help = EXAMPLES, after_long_help = join(EXIT_STATUS, EXAMPLES))]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    #[command(flatten)]
    pub(crate) run: RunOptions,
}

const EXIT_STATUS: &str = "Exit status: 0 if every image was processed, 1 if some failed (their \
                           rows say why), 2 if the run could not start or its output could not \
                           be written, 130 after Ctrl-C, 141 if the reader of the output \
                           left early, as `| head` does.";

const EXAMPLES: &str = "\
Examples:
  attn-fiqa score photos/ --output scores.csv";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Score the faces of images, one row per face
    Score(ScoreArgs),
    /// Choose the best faces of each folder, video, track or person
    Best(BestArgs),
    /// Accept or refuse faces by a policy, with reasons and advice
    Gate(GateArgs),
    /// Measure single properties of each face: size, pose, light, compression
    Measure(MeasureArgs),
    /// Show which regions of each face its score comes from
    Map(MapArgs),
    /// Detect faces: boxes and landmarks
    Detect(DetectArgs),
    /// Keep the good rows of a table of scores, as a list or a table
    Filter(FilterArgs),
    /// Align and crop every face
    Crop(CropArgs),
    /// Compute recognition embeddings of faces
    Embed(EmbedArgs),
    /// Join the outputs of all shards of a run
    Merge(MergeArgs),
    /// Serve scores over HTTP, with a demo page
    #[cfg(feature = "serve")]
    Serve(ServeArgs),
    /// Error-versus-discard curves and their area (EDC, pAUC)
    Edc(EdcArgs),
    /// Verification accuracy, EER, and FNMR at given FMRs
    Verify(VerifyArgs),
    /// Recommend a quality threshold: what each rejects and gains
    Advise(AdviseArgs),
    /// Quality, bands and rejection by group, such as age
    Groups(GroupsArgs),
    /// Evaluate quality methods on data sets with recognition models
    Benchmark(BenchmarkArgs),
    /// Make a page on a benchmark run, or on a set's qualities
    Report(ReportArgs),
    /// Degrade faces in known ways and strengths
    Degrade(DegradeArgs),
    /// Measure how reliably a score falls as faces are degraded
    Validate(ValidateArgs),
    /// Fit a model's score to recognition errors, and map it to 0-100
    Calibrate(CalibrateArgs),
    /// Inspect, convert, list, fetch and name checkpoints
    Model(ModelCommandArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Print the manual page, or write one page per command
    Man(ManArgs),
}

/// Two parts of a long help.
fn join(text: &str, examples: &str) -> String {
    format!("{text}\n\n{examples}")
}
