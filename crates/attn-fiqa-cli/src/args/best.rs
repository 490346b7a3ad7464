//! Arguments of `attn-fiqa best`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use attn_fiqa::best::{DEFAULT_SAME_IDENTITY, DEFAULT_SAME_IMAGE};
use attn_fiqa::score::Method;
use clap::ValueEnum;

use super::numbers::finite_f32;
use super::{BestFaceArgs, FaceArgs, FolderArgs, ImageFormat, InputArgs, ModelArgs, VideoArgs};

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BestArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    #[command(flatten)]
    pub(crate) video: VideoArgs,

    #[command(flatten)]
    pub(crate) faces: FaceArgs,

    #[command(flatten)]
    pub(crate) best: BestFaceArgs,

    #[command(flatten)]
    pub(crate) model: ModelArgs,

    /// Group faces by folder (or video), track or person
    ///
    /// 'folder': each folder or video; 'track-file': each track of --tracks, the default with
    /// that option; 'identity': each person, by the model's own embedding.
    #[arg(
        long,
        value_enum,
        value_name = "GROUP",
        hide_possible_values = true,
        help_heading = "Choice"
    )]
    group_by: Option<GroupBy>,

    /// CSV file of tracks: path,track or path,face,track
    ///
    /// A video's path stands for all its frames; without a face number, a line covers all faces of
    /// an image.
    #[arg(long, value_name = "FILE.csv", hide_short_help = true, help_heading = "Choice")]
    pub(crate) tracks: Option<PathBuf>,

    /// At most K faces per group
    #[arg(long, value_name = "K", default_value = "1", help_heading = "Choice")]
    pub(crate) top: NonZeroUsize,

    /// Leave out near-duplicates: faces whose thumbnails correlate by at least R
    ///
    /// A face's 16×16 grey thumbnail is compared with those of better faces in its group; above 1,
    /// all faces are kept.
    #[arg(long, value_name = "R", default_value_t = DEFAULT_SAME_IMAGE, value_parser = finite_f32, hide_short_help = true, alias = "same-picture", help_heading = "Choice")]
    pub(crate) same_image: f32,

    /// Minimum cosine for the same person, with --group-by identity
    ///
    /// Best first, each face joins the person with the nearest mean embedding if it is near enough;
    /// otherwise it starts a new person. The right value depends on the model.
    #[arg(long, value_name = "COSINE", default_value_t = DEFAULT_SAME_IDENTITY, value_parser = finite_f32, allow_hyphen_values = true, hide_short_help = true, help_heading = "Choice")]
    pub(crate) same_identity: f32,

    /// Method to rank by [default: the model's calibrated one, else attn]
    #[arg(long, value_name = "NAME", hide_short_help = true, help_heading = "Choice")]
    pub(crate) method: Option<Method>,

    /// Also write the crops of the chosen faces into this folder
    ///
    /// Nothing in it is overwritten.
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub(crate) crops: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) folder: FolderArgs,

    /// File format of the crops; png is lossless
    #[arg(long, alias = "crop-format", value_enum, default_value_t = ImageFormat::Png, requires = "crops", hide_short_help = true, help_heading = "Output")]
    pub(crate) image_format: ImageFormat,

    /// csv or jsonl [default: by --output]
    ///
    /// Without --output: a table on a terminal, else csv.
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        hide_short_help = true,
        help_heading = "Output"
    )]
    pub(crate) format: Option<BestFormat>,

    /// Write to this file, which appears only when it is complete
    #[arg(long, short, value_name = "FILE", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  attn-fiqa best people/ --crops best/
  attn-fiqa best album/ --group-by identity --output best.csv";

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
    /// Comma-separated values with a header.
    Csv,
    /// One JSON object per line.
    Jsonl,
}

impl BestArgs {
    /// The kind of group, with its settings.
    pub(crate) fn group_by(&self) -> anyhow::Result<GroupBy> {
        match (self.group_by, &self.tracks) {
            (None, None) => Ok(GroupBy::Folder),
            (None, Some(_)) => Ok(GroupBy::TrackFile),
            (Some(GroupBy::TrackFile), None) => {
                anyhow::bail!(
                    "--group-by track-file needs a track file: give one with --tracks FILE.csv"
                )
            }
            (Some(GroupBy::Folder | GroupBy::Identity), Some(_)) => {
                anyhow::bail!("--tracks needs --group-by track-file, not folder or identity")
            }
            (Some(group_by), _) => Ok(group_by),
        }
    }
}
