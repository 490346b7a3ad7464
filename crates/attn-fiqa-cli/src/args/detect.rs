//! Arguments of `attn-fiqa detect`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::ValueEnum;

use super::{DetectorArgs, FormatChoice, InputArgs, run};

#[derive(Debug, clap::Args)]
pub(crate) struct DetectArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    #[command(flatten)]
    pub(crate) detector: DetectorArgs,

    /// Compare with a reference instead of writing rows: recall, precision and landmark error.
    #[arg(long, requires = "expected", conflicts_with_all = ["format", "draw"], help_heading = "Evaluation")]
    pub(crate) evaluate: bool,

    /// The reference is what this detector finds, as sure as --reference-confidence.
    #[arg(
        long,
        value_name = "FILE.onnx",
        group = "expected",
        requires = "evaluate",
        help_heading = "Evaluation"
    )]
    pub(crate) reference: Option<PathBuf>,

    /// How sure the reference detector must be of a face.
    #[arg(long, value_name = "P", default_value_t = 0.9, value_parser = super::faces::share, help_heading = "Evaluation")]
    pub(crate) reference_confidence: f32,

    /// A face found that the reference detector is at least as sure of as this is not extra.
    #[arg(long, value_name = "P", default_value_t = 0.3, value_parser = super::faces::share, help_heading = "Evaluation")]
    pub(crate) reference_doubtful: f32,

    /// The reference is this CSV file: path,x,y,width,height,lx1,ly1,…,lx5,ly5, one row a
    /// face, or one that this command wrote; a picture without faces has one row with nothing
    /// but its path.
    #[arg(
        long,
        value_name = "FILE.csv",
        group = "expected",
        requires = "evaluate",
        help_heading = "Evaluation"
    )]
    pub(crate) truth: Option<PathBuf>,

    /// Also list every picture in which a face of the reference was missed.
    #[arg(long, requires = "evaluate", help_heading = "Evaluation")]
    pub(crate) missed: bool,

    /// Write each picture with its boxes and landmarks drawn into this folder, as NAME.faces.png.
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub(crate) draw: Option<PathBuf>,

    /// How rows are written [default: by the ending of --output, else csv].
    #[arg(long, value_enum, help_heading = "Output")]
    pub(crate) format: Option<RowFormat>,

    /// Write to this file, which appears only when it is complete.
    #[arg(long, short, value_name = "FILE", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,

    /// Worker threads [default: one for every core].
    #[arg(long, short, value_name = "N", help_heading = "Run")]
    pub(crate) jobs: Option<NonZeroUsize>,

    /// Images that are read together; what is found does not depend on it.
    #[arg(long, value_name = "N", default_value = "32", value_parser = run::batch, help_heading = "Run")]
    pub(crate) batch: NonZeroUsize,

    /// Say nothing on standard error but why a run could not be done.
    #[arg(long, short, conflicts_with = "verbose", help_heading = "Run")]
    pub(crate) quiet: bool,

    /// Say on standard error what was loaded and every failure and note, not just a few.
    #[arg(long, short, help_heading = "Run")]
    pub(crate) verbose: bool,
}

/// The formats that hold rows without scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RowFormat {
    /// Comma-separated values with a heading.
    Csv,
    /// A JSON object a line.
    Jsonl,
    /// Apache Parquet.
    Parquet,
}

impl From<RowFormat> for FormatChoice {
    fn from(format: RowFormat) -> Self {
        match format {
            RowFormat::Csv => Self::Csv,
            RowFormat::Jsonl => Self::Jsonl,
            RowFormat::Parquet => Self::Parquet,
        }
    }
}
