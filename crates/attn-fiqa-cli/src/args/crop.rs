//! Arguments of `attn-fiqa crop`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::ValueEnum;

use super::{FaceArgs, InputArgs, run};

#[derive(Debug, clap::Args)]
pub(crate) struct CropArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    #[command(flatten)]
    pub(crate) faces: FaceArgs,

    /// Write the crops into this folder, with a manifest.csv. Nothing in it is written over.
    #[arg(long, short, value_name = "DIR", help_heading = "Output")]
    pub(crate) output: PathBuf,

    /// For `benchmark`: one crop per picture, of its main face (large and near the middle), at
    /// the picture's own path below its folder; with it the text lists (.txt) of the folders.
    #[arg(long, conflicts_with = "max_faces", help_heading = "Output")]
    pub(crate) keep_layout: bool,

    /// Side of the crops in pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = 112, value_parser = clap::value_parser!(u16).range(16..=2048), help_heading = "Output")]
    pub(crate) side: u16,

    /// File format of the crops; only png keeps every level.
    #[arg(long, value_enum, default_value_t = PictureFormat::Png, help_heading = "Output")]
    pub(crate) format: PictureFormat,

    /// Worker threads [default: one for every core].
    #[arg(long, short, value_name = "N", help_heading = "Run")]
    pub(crate) jobs: Option<NonZeroUsize>,

    /// Images that are read together; the crops do not depend on it.
    #[arg(long, value_name = "N", default_value = "32", value_parser = run::batch, help_heading = "Run")]
    pub(crate) batch: NonZeroUsize,

    /// Say nothing on standard error but why a run could not be done.
    #[arg(long, short, conflicts_with = "verbose", help_heading = "Run")]
    pub(crate) quiet: bool,

    /// Say on standard error every failure and note, not just a few.
    #[arg(long, short, help_heading = "Run")]
    pub(crate) verbose: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PictureFormat {
    Png,
    /// Quality 95.
    Jpg,
}
