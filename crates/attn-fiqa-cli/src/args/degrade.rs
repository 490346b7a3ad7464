//! Arguments of `attn-fiqa degrade`, and the ways of degrading that other commands
//! share with it.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use attn_fiqa::crop::Fit;
use attn_fiqa::pipeline::{FaceOptions, FaceSource};
use attn_fiqa_eval::degrade::{Degradation, Level};
use clap::builder::{PossibleValuesParser, RangedU64ValueParser, TypedValueParser};

use super::InputArgs;

/// Which degradations, how strong, and from which seed.
#[derive(Debug, clap::Args)]
pub(crate) struct KindsArgs {
    /// Ways of degrading [default: all].
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = kinds(), help_heading = "Degradation")]
    kinds: Vec<Degradation>,

    /// Strengths of each, in equal steps from 0 (the face as it is) to 1 (beyond use).
    #[arg(long, value_name = "N", default_value = "11", value_parser = RangedU64ValueParser::<usize>::new().range(2..=101), help_heading = "Degradation")]
    levels: usize,

    /// Fixes noise, colours and directions; the same seed gives the same pictures everywhere.
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Degradation")]
    pub(crate) seed: u64,
}

fn share(text: &str) -> Result<f64, String> {
    let share: Option<f64> = text.parse().ok();
    share.filter(|share| (0.0..=1.0).contains(share)).ok_or("expected a number from 0 to 1".into())
}

pub(super) fn kinds() -> impl TypedValueParser<Value = Degradation> {
    PossibleValuesParser::new(Degradation::ALL.map(Degradation::name))
        .try_map(|name| name.parse::<Degradation>())
}

impl KindsArgs {
    /// The kinds asked for, each once, in the order of reports.
    pub(crate) fn kinds(&self) -> Vec<Degradation> {
        let wanted = |kind: &Degradation| self.kinds.is_empty() || self.kinds.contains(kind);
        Degradation::ALL.into_iter().filter(wanted).collect()
    }

    /// The levels, the first being [`Level::NONE`].
    pub(crate) fn levels(&self) -> Vec<Level> {
        Level::grid(self.levels)
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct DegradeArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    #[command(flatten)]
    pub(crate) kinds: KindsArgs,

    /// Write the pictures into this folder as KIND-LEVEL/NAME.png (level in percent; the faces
    /// themselves under clean/), with a manifest.csv.
    #[arg(long, short, value_name = "DIR", help_heading = "Output")]
    pub(crate) output: PathBuf,

    /// Instead, one picture of each face under its own name: so large a share of them, drawn by
    /// the seed, degraded in one way at a strength that is uniform in 0-1, the rest as they are.
    #[arg(long, value_name = "SHARE", value_parser = share, conflicts_with = "levels", help_heading = "Degradation")]
    pub(crate) mixed: Option<f64>,

    /// Side of the face crops, in pixels.
    #[arg(long, value_name = "PIXELS", default_value = "112", value_parser = RangedU64ValueParser::<usize>::new().range(16..=1024), help_heading = "Input")]
    pub(crate) side: usize,

    /// Resize crops of another size, as OpenCV's INTER_LINEAR does.
    #[arg(long, help_heading = "Input")]
    resize: bool,

    /// Worker threads [default: one for every core].
    #[arg(long, short, value_name = "N", help_heading = "Run")]
    pub(crate) jobs: Option<NonZeroUsize>,

    /// Say nothing on standard error but why a run could not be done.
    #[arg(long, short, conflicts_with = "verbose", help_heading = "Run")]
    pub(crate) quiet: bool,

    /// Say on standard error every failure and note, not just a few.
    #[arg(long, short, help_heading = "Run")]
    pub(crate) verbose: bool,
}

impl DegradeArgs {
    /// How images become faces: they are aligned already.
    pub(crate) fn faces(&self) -> FaceOptions {
        let fit = if self.resize { Fit::Resize } else { Fit::Exact };
        FaceOptions {
            limits: self.input.limits(),
            channels: self.input.channels(),
            ..FaceOptions::new(FaceSource::Aligned(fit))
        }
    }
}
