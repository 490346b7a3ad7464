//! Arguments of `attn-fiqa crop`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::{FaceArgs, FolderArgs, InputArgs, ShardArgs};

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CropArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    #[command(flatten)]
    pub(crate) faces: FaceArgs,

    /// Write the crops and a manifest.csv into this folder
    #[arg(long, short, value_name = "DIR", help_heading = "Output")]
    pub(crate) output: PathBuf,

    #[command(flatten)]
    pub(crate) folder: FolderArgs,

    #[command(flatten)]
    pub(crate) shard: ShardArgs,

    /// For `benchmark`: one crop per image, at its path below the input folder
    ///
    /// Crops the main face (large and near the middle). Text lists (.txt) in the folders are
    /// copied.
    #[arg(long, conflicts_with = "max_faces", help_heading = "Output")]
    pub(crate) keep_layout: bool,

    /// Side of the crops in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 112, value_parser = clap::value_parser!(u16).range(16..=2048), help_heading = "Output")]
    pub(crate) side: u16,

    /// File format of the crops; png is lossless
    #[arg(long, alias = "format", value_enum, default_value_t = ImageFormat::Png, hide_short_help = true, help_heading = "Output")]
    pub(crate) image_format: ImageFormat,
}

const EXAMPLES: &str = "\
Examples:
  attn-fiqa crop photos/ --output crops/
  attn-fiqa crop photos/ --largest --side 224 --output crops/";

/// A format of image files that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImageFormat {
    /// Lossless
    Png,
    /// Quality 95
    Jpg,
}
