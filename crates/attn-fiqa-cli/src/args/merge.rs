//! Arguments of `attn-fiqa merge`.

use std::path::PathBuf;

use super::RowsPerFileArgs;

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct MergeArgs {
    /// The outputs of all shards, 1/N to N/N, each next to its FILE.journal
    ///
    /// CSV, JSONL, txt and Parquet files, or folders of Parquet files.
    #[arg(value_name = "PART", required = true)]
    pub(crate) parts: Vec<PathBuf>,

    /// Write to this file, or into this folder as a data set
    #[arg(long, short, value_name = "DIR|FILE", help_heading = "Output")]
    pub(crate) output: PathBuf,

    /// Replace the data set, or discard the unfinished run, in a folder
    #[arg(long, help_heading = "Output")]
    pub(crate) overwrite: bool,

    #[command(flatten)]
    pub(crate) rows: RowsPerFileArgs,
}

const EXAMPLES: &str = "\
Examples:
  attn-fiqa merge scores-1.csv scores-2.csv scores-3.csv --output scores.csv
  attn-fiqa merge shard-1/ shard-2/ --output scores/";
