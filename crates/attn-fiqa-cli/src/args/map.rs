//! Arguments of `attn-fiqa map`.

use std::path::PathBuf;
use std::str::FromStr;

use attn_fiqa::score::Method;
use attn_fiqa::visualize::Colormap;
use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::{FaceArgs, InputArgs, RunArgs};

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("result").required(true).multiple(true).args(["output", "sheet"])))]
pub(crate) struct MapArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    #[command(flatten)]
    pub(crate) faces: FaceArgs,

    #[command(flatten)]
    pub(crate) run: RunArgs,

    /// Write each face's overlay, bare map and raw grid into this folder, and each photo with its
    /// maps on it, with a manifest.csv.
    #[arg(long, short, value_name = "DIR", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,

    /// Do not also draw the maps back onto the photos that faces were found in (NAME.photo.png).
    #[arg(long, requires = "output", help_heading = "Output")]
    pub(crate) no_photo: bool,

    /// Shrink those photos until their longer side is at most this.
    #[arg(long, value_name = "PIXELS", default_value_t = 1600, value_parser = clap::value_parser!(u32).range(1..=10_000), help_heading = "Output")]
    pub(crate) photo_side: u32,

    /// Write one picture of all faces: image, map, overlay, name and score, best first.
    #[arg(long, value_name = "FILE.png", help_heading = "Output")]
    pub(crate) sheet: Option<PathBuf>,

    /// The most faces on the sheet; of a larger set every so-manieth in the order of scores.
    #[arg(long, value_name = "N", default_value_t = 200, help_heading = "Output")]
    pub(crate) sheet_faces: usize,

    /// Values at the two ends of the colours: 'set' (least and greatest of all images),
    /// 'per-image', or LOW,HIGH.
    #[arg(long, default_value = "set", allow_hyphen_values = true, help_heading = "Picture")]
    pub(crate) range: RangeChoice,

    /// Colours: viridis is perceptually uniform; jet is the paper's.
    #[arg(long, default_value = "viridis", value_parser = colormaps(), help_heading = "Picture")]
    pub(crate) colormap: Colormap,

    /// Weight of the map over the face in an overlay, from 0 to 1.
    #[arg(long, default_value_t = attn_fiqa::visualize::DEFAULT_ALPHA, value_parser = alpha, help_heading = "Picture")]
    pub(crate) alpha: f32,

    /// Which attention: received by a patch from all, or paid by it to all.
    #[arg(long, value_enum, default_value_t = AttentionChoice::Received, help_heading = "Picture")]
    pub(crate) attention: AttentionChoice,

    /// Also write every head's own maps.
    #[arg(long, requires = "output", help_heading = "Picture")]
    pub(crate) per_head: bool,

    /// File format of the raw grids.
    #[arg(long, value_enum, default_value_t = GridFormat::Json, help_heading = "Output")]
    pub(crate) grid: GridFormat,

    /// The score the map belongs to: attn or attn-calibrated, with @block=N and @head=N
    /// [default: attn-calibrated if the model was calibrated, else attn].
    #[arg(long, value_name = "NAME", help_heading = "Output")]
    pub(crate) method: Option<Method>,
}

impl MapArgs {
    /// Refuses a sheet under a name that says something else than PNG.
    pub(crate) fn check_sheet(&self) -> anyhow::Result<()> {
        match &self.sheet {
            Some(sheet) if !sheet.extension().is_some_and(|e| e.eq_ignore_ascii_case("png")) => {
                anyhow::bail!(
                    "the sheet is a PNG picture, but '{}' does not end in .png",
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

fn alpha(text: &str) -> Result<f32, String> {
    let alpha: f32 = text.parse().map_err(|_| "expected a number".to_owned())?;
    if (0.0..=1.0).contains(&alpha) { Ok(alpha) } else { Err("expected 0 to 1".to_owned()) }
}

fn colormaps() -> impl TypedValueParser<Value = Colormap> {
    PossibleValuesParser::new(Colormap::ALL.iter().map(|map| map.name()))
        .try_map(|name| Colormap::from_name(&name).ok_or("unknown colour map"))
}
