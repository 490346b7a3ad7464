//! What can be typed.

mod benchmark;
mod best;
mod calibrate;
mod compare;
mod crop;
mod degrade;
mod detect;
mod embed;
mod faces;
mod film;
mod groups;
mod input;
mod map;
mod method;
mod model;
mod run;
mod score;
mod validate;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub(crate) use benchmark::{BenchmarkArgs, ReportArgs};
pub(crate) use best::{BestArgs, BestFormat, GroupBy};
pub(crate) use calibrate::{CalibrateArgs, TargetChoice};
pub(crate) use compare::{
    AdviseArgs, BootstrapArgs, ComparisonArgs, EdcArgs, MissingChoice, ScaleChoice,
    ThresholdChoice, VerifyArgs,
};
pub(crate) use crop::{CropArgs, PictureFormat};
pub(crate) use degrade::{DegradeArgs, KindsArgs};
pub(crate) use detect::DetectArgs;
pub(crate) use embed::EmbedArgs;
pub(crate) use faces::{DetectorArgs, FaceArgs};
pub(crate) use film::FilmArgs;
pub(crate) use groups::GroupsArgs;
pub(crate) use input::InputArgs;
pub(crate) use map::{AttentionChoice, GridFormat, MapArgs, RangeChoice};
pub(crate) use method::QualityName;
pub(crate) use model::{ListFormat, ModelArgs, ModelCommand, ModelOptions};
pub(crate) use run::RunArgs;
pub(crate) use score::{Column, FormatChoice, ScoreArgs};
pub(crate) use validate::ValidateArgs;

/// Tells how usable a face image is for face recognition (ATTN-FIQA).
///
/// The score is the mean pre-softmax attention of the last block of a Vision
/// Transformer trained for face recognition: one forward pass, no further
/// training. Higher is better; values of different models cannot be compared.
#[derive(Debug, Parser)]
#[command(name = "attn-fiqa", version, after_help = EXIT_STATUS)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_STATUS: &str = "Exit status: 0 if every image was scored, 1 if some failed (their rows \
                           say why), 2 if the run could not start or its output not be written.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Find the faces in pictures and score each, one row a face.
    Score(ScoreArgs),
    /// Find faces: boxes, landmarks, and how well a detector finds them.
    Detect(DetectArgs),
    /// Cut out every face, aligned as recognisers take it, into a folder.
    Crop(CropArgs),
    /// Choose the best faces of each folder, film, track or person.
    Best(BestArgs),
    /// Turn faces into the embeddings by which they are compared.
    Embed(EmbedArgs),
    /// Draw which parts of each face the score comes from.
    Map(MapArgs),
    /// Make faces worse in known ways and strengths, to test a quality score with.
    Degrade(DegradeArgs),
    /// Fit a model's score to utility on your faces, and bring it to 0-100.
    Calibrate(CalibrateArgs),
    /// Measure how faithfully a score falls as faces get worse.
    Validate(ValidateArgs),
    /// Measure how well embeddings tell persons apart: accuracy by folds, EER, FNMR at FMRs.
    Verify(VerifyArgs),
    /// Draw how errors fall as comparisons of low quality are discarded (EDC, pAUC).
    Edc(EdcArgs),
    /// Tell which threshold rejects how many images and what that buys.
    Advise(AdviseArgs),
    /// Tell quality, bands and rejection by group, such as of age, from scores and labels.
    Groups(GroupsArgs),
    /// Measure quality methods on data sets with recognition models, as the papers do.
    Benchmark(BenchmarkArgs),
    /// Make a page, tables and figures of a benchmark run.
    Report(ReportArgs),
    /// Look at or convert a checkpoint; list, fetch and name models.
    Model(ModelArgs),
    /// Print a completion script for a shell.
    Completions(CompletionsArgs),
    /// Print the manual page, or write one page a command.
    Man(ManArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell that will read the script.
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// Write attn-fiqa.1, attn-fiqa-score.1, … into this folder instead.
    #[arg(long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
}
