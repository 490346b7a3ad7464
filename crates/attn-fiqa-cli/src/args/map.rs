//! Arguments of `attn-fiqa map`.

use std::path::PathBuf;
use std::str::FromStr;

use attn_fiqa::score::Method;
use attn_fiqa::visualize::Colormap;
use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::numbers::fraction_f32;
use super::{BestFaceArgs, FaceArgs, FolderArgs, InputArgs, ModelArgs, RunOptions, ShardArgs};
use crate::output::RunPlan;

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("result").required(true).multiple(true).args(["output", "sheet"])), after_help = EXAMPLES)]
pub(crate) struct MapArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    #[command(flatten)]
    pub(crate) faces: FaceArgs,

    #[command(flatten)]
    pub(crate) best: BestFaceArgs,

    #[command(flatten)]
    pub(crate) model: ModelArgs,

    /// Write overlays, maps, grids, annotated photos and a manifest.csv here
    #[arg(long, short, value_name = "DIR", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) folder: FolderArgs,

    #[command(flatten)]
    pub(crate) shard: ShardArgs,

    /// Do not also draw the maps on the photos of the faces (NAME.photo.png)
    #[arg(long, requires = "output", hide_short_help = true, help_heading = "Output")]
    pub(crate) no_photo: bool,

    /// Longest side of those photos in pixels; larger ones are reduced
    #[arg(long, value_name = "PIXELS", default_value_t = 1600, value_parser = clap::value_parser!(u32).range(1..=10_000), hide_short_help = true, help_heading = "Output")]
    pub(crate) photo_side: u32,

    /// Write a contact sheet of all faces, best first
    ///
    /// Per face: image, map, overlay, name and score.
    #[arg(long, value_name = "FILE.png", help_heading = "Output")]
    pub(crate) sheet: Option<PathBuf>,

    /// At most N faces on the sheet; of more, N evenly spaced in score order
    #[arg(
        long,
        value_name = "N",
        default_value_t = 200,
        hide_short_help = true,
        help_heading = "Output"
    )]
    pub(crate) sheet_faces: usize,

    /// Ends of the colour scale: set, per-image or LOW,HIGH
    ///
    /// 'set': lowest and highest of all images.
    #[arg(long, default_value = "set", allow_hyphen_values = true, help_heading = "Drawing")]
    pub(crate) range: RangeChoice,

    /// Colour map: viridis or jet
    ///
    /// viridis is perceptually uniform; the paper uses jet.
    #[arg(long, default_value = "viridis", value_parser = colormaps(), hide_possible_values = true, help_heading = "Drawing")]
    pub(crate) colormap: Colormap,

    /// Weight of the map over the face in an overlay, 0 to 1
    #[arg(long, default_value_t = attn_fiqa::visualize::DEFAULT_ALPHA, value_parser = fraction_f32, hide_short_help = true, help_heading = "Drawing")]
    pub(crate) alpha: f32,

    /// Attention that each patch receives from all, or pays to all
    #[arg(long, value_enum, default_value_t = AttentionChoice::Received, hide_short_help = true, help_heading = "Drawing")]
    pub(crate) attention: AttentionChoice,

    /// Also write the maps of every head
    #[arg(long, requires = "output", hide_short_help = true, help_heading = "Drawing")]
    pub(crate) per_head: bool,

    /// File format of the raw grids
    #[arg(long, value_enum, default_value_t = GridFormat::Json, hide_short_help = true, help_heading = "Output")]
    pub(crate) grid: GridFormat,

    /// Method of the map: attn or attn-calibrated
    ///
    /// Each with @block=N and @head=N. The default is attn-calibrated for a calibrated model,
    /// else attn.
    #[arg(long, value_name = "NAME", help_heading = "Output")]
    pub(crate) method: Option<Method>,
}

const EXAMPLES: &str = "\
Examples:
  attn-fiqa map photo.jpg --output maps/
  attn-fiqa map faces/ --sheet sheet.png";

impl MapArgs {
    /// How to store images whose scores are computed with the settings in `about`.
    pub(crate) fn plan(&self, run: &RunOptions, about: &[(&'static str, String)]) -> RunPlan {
        self.shard.plan(run, about, self.folder.overwrite)
    }

    /// Refuses a sheet under a name that says something else than PNG.
    pub(crate) fn check_sheet(&self) -> anyhow::Result<()> {
        match &self.sheet {
            Some(sheet) if !sheet.extension().is_some_and(|e| e.eq_ignore_ascii_case("png")) => {
                anyhow::bail!(
                    "the sheet is a PNG image, but '{}' does not end in .png",
                    sheet.display()
                )
            }
            _ => Ok(()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AttentionChoice {
    Received,
    Paid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GridFormat {
    Json,
    Npy,
}

/// Which values the ends of the colours stand for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum RangeChoice {
    Set,
    PerImage,
    Fixed { low: f32, high: f32 },
}

impl FromStr for RangeChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected 'set', 'per-image' or two numbers LOW,HIGH".to_owned();
        match text {
            "set" => Ok(Self::Set),
            "per-image" => Ok(Self::PerImage),
            _ => {
                let (low, high) = text.split_once(',').ok_or_else(expected)?;
                let number = |text: &str| text.trim().parse().map_err(|_| expected());
                Ok(Self::Fixed { low: number(low)?, high: number(high)? })
            }
        }
    }
}

fn colormaps() -> impl TypedValueParser<Value = Colormap> {
    PossibleValuesParser::new(Colormap::ALL.iter().map(|map| map.name()))
        .try_map(|name| Colormap::from_name(&name).ok_or("unknown colour map"))
}
