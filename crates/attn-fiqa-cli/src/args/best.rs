//! Arguments of `attn-fiqa best`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use attn_fiqa::best::{DEFAULT_SAME_IDENTITY, DEFAULT_SAME_IMAGE};
use attn_fiqa::score::Method;
use clap::ValueEnum;

use super::{FaceArgs, FilmArgs, InputArgs, PictureFormat, RunArgs};

#[derive(Debug, clap::Args)]
pub(crate) struct BestArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    #[command(flatten)]
    pub(crate) films: FilmArgs,

    #[command(flatten)]
    pub(crate) faces: FaceArgs,

    #[command(flatten)]
    pub(crate) run: RunArgs,

    /// Whose best faces: of each folder (or film), of each track of --tracks, or of each
    /// person by the model's own embedding [default: folder, or track-file with --tracks].
    #[arg(long, value_enum, value_name = "GROUP", help_heading = "Choice")]
    group_by: Option<GroupBy>,

    /// A CSV file with lines of path,track or path,face,track; a film's own path stands for
    /// all of its frames, and without a face's number a line stands for all faces of a picture.
    #[arg(long, value_name = "FILE.csv", help_heading = "Choice")]
    pub(crate) tracks: Option<PathBuf>,

    /// The most faces of each group.
    #[arg(long, value_name = "K", default_value = "1", help_heading = "Choice")]
    pub(crate) top: NonZeroUsize,

    /// Leave out faces whose 16×16 grey thumbnail correlates with that of a better one of
    /// their group by at least this; above 1 nothing is left out.
    #[arg(long, value_name = "R", default_value_t = DEFAULT_SAME_IMAGE, value_parser = number, help_heading = "Choice")]
    pub(crate) same_picture: f32,

    /// Cosine of embeddings from which on a face is taken for a person's (--group-by
    /// identity): the best faces first, each joins the person whose mean is nearest, if
    /// that is near enough, else it is a new person. Models differ in what fits.
    #[arg(long, value_name = "COSINE", default_value_t = DEFAULT_SAME_IDENTITY, value_parser = number, allow_hyphen_values = true, help_heading = "Choice")]
    pub(crate) same_identity: f32,

    /// The score to rank by [default: attn-calibrated if the model was calibrated, else attn].
    #[arg(long, value_name = "NAME", help_heading = "Choice")]
    pub(crate) method: Option<Method>,

    /// Also write the crops of the faces chosen into this folder. Nothing in it is written over.
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub(crate) crops: Option<PathBuf>,

    /// File format of the crops; only png keeps every level.
    #[arg(long, value_enum, default_value_t = PictureFormat::Png, requires = "crops", help_heading = "Output")]
    pub(crate) crop_format: PictureFormat,

    /// How rows are written [default: by the ending of --output, else a table on a terminal
    /// and csv elsewhere].
    #[arg(long, value_enum, help_heading = "Output")]
    pub(crate) format: Option<BestFormat>,

    /// Write to this file, which appears only when it is complete.
    #[arg(long, short, value_name = "FILE", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,
}

/// What makes a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GroupBy {
    Folder,
    TrackFile,
    Identity,
}

/// The formats of ranked faces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BestFormat {
    /// Comma-separated values with a heading.
    Csv,
    /// A JSON object a line.
    Jsonl,
}

impl BestArgs {
    /// What makes a group, with what it needs.
    pub(crate) fn group_by(&self) -> anyhow::Result<GroupBy> {
        match (self.group_by, &self.tracks) {
            (None, None) => Ok(GroupBy::Folder),
            (None, Some(_)) => Ok(GroupBy::TrackFile),
            (Some(GroupBy::TrackFile), None) => {
                anyhow::bail!(
                    "--group-by track-file needs the file: name it with --tracks FILE.csv"
                )
            }
            (Some(GroupBy::Folder | GroupBy::Identity), Some(_)) => {
                anyhow::bail!("--tracks has no place beside --group-by folder or identity")
            }
            (Some(group_by), _) => Ok(group_by),
        }
    }
}

fn number(text: &str) -> Result<f32, String> {
    let number: Option<f32> = text.parse().ok();
    number.filter(|number| number.is_finite()).ok_or_else(|| "expected a number".to_owned())
}
