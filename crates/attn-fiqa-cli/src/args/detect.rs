//! Arguments of `attn-fiqa detect`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::numbers::fraction_f32;
use super::{DetectorArgs, FolderArgs, FormatChoice, InputArgs, RowsPerFileArgs, ShardArgs};

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DetectArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    #[command(flatten)]
    pub(crate) detector: DetectorArgs,

    /// Compare with a reference instead of writing rows: recall, precision, landmark error
    #[arg(long, requires = "expected", conflicts_with_all = ["format", "draw"], help_heading = "Evaluation")]
    pub(crate) evaluate: bool,

    /// Detector whose faces are the reference
    #[arg(
        long,
        value_name = "FILE.onnx",
        group = "expected",
        requires = "evaluate",
        help_heading = "Evaluation"
    )]
    pub(crate) reference: Option<PathBuf>,

    /// Minimum detection score of reference faces
    #[arg(long, alias = "reference-confidence", value_name = "P", default_value_t = 0.9, value_parser = fraction_f32, hide_short_help = true, help_heading = "Evaluation")]
    pub(crate) reference_min_score: f32,

    /// Reference detection score from which another face is not counted as extra
    #[arg(long, alias = "reference-doubtful", value_name = "P", default_value_t = 0.3, value_parser = fraction_f32, hide_short_help = true, help_heading = "Evaluation")]
    pub(crate) reference_doubtful_score: f32,

    /// Reference CSV file, such as one written by this command
    ///
    /// Columns path,x,y,width,height,lx1,ly1,…,lx5,ly5, one row per face; an image without faces
    /// has one row with its path only.
    #[arg(
        long,
        value_name = "FILE.csv",
        group = "expected",
        requires = "evaluate",
        help_heading = "Evaluation"
    )]
    pub(crate) truth: Option<PathBuf>,

    /// Also list every image with a missed reference face
    #[arg(long, requires = "evaluate", hide_short_help = true, help_heading = "Evaluation")]
    pub(crate) missed: bool,

    /// Draw boxes and landmarks: write NAME.faces.png into this folder
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub(crate) draw: Option<PathBuf>,

    /// csv, jsonl or parquet [default: by --output, else csv]
    #[arg(long, value_enum, hide_possible_values = true, help_heading = "Output")]
    pub(crate) format: Option<RowFormat>,

    /// Write to this file, which appears only when it is complete
    #[arg(long, short, value_name = "FILE", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) folder: FolderArgs,

    #[command(flatten)]
    pub(crate) rows: RowsPerFileArgs,

    #[command(flatten)]
    pub(crate) shard: ShardArgs,
}

const EXAMPLES: &str = "\
Examples:
  attn-fiqa detect photos/ --draw found/ --output faces.csv
  attn-fiqa detect photos/ --evaluate --truth faces.csv";

/// The formats that hold rows without scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RowFormat {
    /// Comma-separated values with a header
    Csv,
    /// One JSON object per line
    Jsonl,
    /// Apache Parquet
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
