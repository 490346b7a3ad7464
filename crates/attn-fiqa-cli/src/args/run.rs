//! How the work is done and how much is said about it.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use attn_fiqa::engine::PrecisionChoice;

use super::ModelOptions;

/// More images at once than this cost memory and gain nothing.
const MAX_BATCH: usize = 4096;

pub(super) fn batch(text: &str) -> Result<NonZeroUsize, String> {
    let batch: Option<NonZeroUsize> = text.parse().ok();
    batch.filter(|batch| batch.get() <= MAX_BATCH).ok_or(format!("expected 1 to {MAX_BATCH}"))
}

fn precision(name: &str) -> Result<PrecisionChoice, String> {
    PrecisionChoice::all().find(|choice| choice.name() == name).ok_or_else(|| {
        let names: Vec<_> = PrecisionChoice::all().map(PrecisionChoice::name).collect();
        format!("expected {}", names.join(", "))
    })
}

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// The checkpoint to score with: a .safetensors file, the index of one in shards, a PyTorch
    /// zip file, or a name of
    /// `attn-fiqa model list` [default: the built-in model].
    #[arg(long, short, value_name = "FILE|NAME", help_heading = "Model")]
    pub(crate) model: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) model_options: ModelOptions,

    /// How finely the blocks multiply: f32 gives the same scores on every machine to
    /// six digits; bf16 and int8 are faster where the machine multiplies them, and
    /// move scores a little (docs/performance.md says how much); auto takes the fastest
    /// that moves the scores of probe faces by less than 2 % of their range.
    #[arg(long, value_name = "NAME", default_value = "f32", value_parser = precision, help_heading = "Run")]
    pub(crate) precision: PrecisionChoice,

    /// Worker threads [default: one for every core].
    #[arg(long, short, value_name = "N", help_heading = "Run")]
    pub(crate) jobs: Option<NonZeroUsize>,

    /// Images that are decoded and scored together; scores do not depend on it.
    #[arg(long, value_name = "N", default_value = "32", value_parser = batch, help_heading = "Run")]
    pub(crate) batch: NonZeroUsize,

    /// Say nothing on standard error but why a run could not be done.
    #[arg(long, short, conflicts_with = "verbose", help_heading = "Run")]
    pub(crate) quiet: bool,

    /// Say on standard error what was loaded and every failure and note, not just a few.
    #[arg(long, short, help_heading = "Run")]
    pub(crate) verbose: bool,
}
