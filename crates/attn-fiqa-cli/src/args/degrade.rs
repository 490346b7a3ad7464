//! Arguments of `attn-fiqa degrade`, and the degradations that other commands share with it.

use std::path::PathBuf;

use attn_fiqa::crop::Fit;
use attn_fiqa::pipeline::{FaceOptions, FaceSource};
use attn_fiqa_eval::degrade::{Degradation, Level};
use clap::builder::{PossibleValuesParser, RangedU64ValueParser, TypedValueParser};

use super::numbers::fraction;
use super::{FolderArgs, InputArgs};

/// Which degradations, how strong, and from which seed.
#[derive(Debug, clap::Args)]
pub(crate) struct DegradationArgs {
    /// Kinds of degradation, such as blur,jpeg,yaw [default: all]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = kinds(), hide_possible_values = true, long_help = kinds_help(), help_heading = "Degradation")]
    kinds: Vec<Degradation>,

    /// Strengths per kind, from 0 (clean) to 1 (unusable)
    ///
    /// In equal steps.
    #[arg(long, value_name = "N", default_value = "11", value_parser = RangedU64ValueParser::<usize>::new().range(2..=101), help_heading = "Degradation")]
    levels: usize,

    /// Seed of noise, colours and directions
    ///
    /// The same seed gives the same images on every machine.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        hide_short_help = true,
        help_heading = "Degradation"
    )]
    pub(crate) seed: u64,
}

pub(super) fn kinds_help() -> String {
    let names = Degradation::ALL.map(Degradation::name).join(", ");
    format!("Kinds of degradation [default: all]: {names}")
}

pub(super) fn kinds() -> impl TypedValueParser<Value = Degradation> {
    PossibleValuesParser::new(Degradation::ALL.map(Degradation::name))
        .try_map(|name| name.parse::<Degradation>())
}

impl DegradationArgs {
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
#[command(after_help = EXAMPLES)]
pub(crate) struct DegradeArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    #[command(flatten)]
    pub(crate) degradation: DegradationArgs,

    /// Write KIND-LEVEL/NAME.png, clean/NAME.png and a manifest.csv into this folder
    ///
    /// The level is in percent.
    #[arg(long, short, value_name = "DIR", help_heading = "Output")]
    pub(crate) output: PathBuf,

    #[command(flatten)]
    pub(crate) folder: FolderArgs,

    /// One image per face instead: this fraction is degraded, the rest stays clean
    ///
    /// The seed draws the faces, the kind and a uniform strength in 0-1; each image is written
    /// under its own name.
    #[arg(long, value_name = "FRACTION", value_parser = fraction, conflicts_with = "levels", help_heading = "Degradation")]
    pub(crate) mixed: Option<f64>,

    /// Side of the crops in pixels
    #[arg(long, value_name = "PIXELS", default_value = "112", value_parser = RangedU64ValueParser::<usize>::new().range(16..=1024), hide_short_help = true, help_heading = "Input")]
    pub(crate) side: usize,

    /// Resize crops of another size, as OpenCV's INTER_LINEAR does
    #[arg(long, hide_short_help = true, help_heading = "Input")]
    resize: bool,
}

const EXAMPLES: &str = "\
Examples:
  attn-fiqa degrade crops/ --output degraded/
  attn-fiqa degrade crops/ --kinds blur,yaw --levels 5 --output degraded/
  attn-fiqa degrade crops/ --mixed 0.5 --seed 7 --output mixed/";

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
