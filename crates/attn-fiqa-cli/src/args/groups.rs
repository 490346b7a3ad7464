//! Arguments of `attn-fiqa groups`.

use std::path::PathBuf;

use super::MissingChoice;

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct GroupsArgs {
    /// Qualities from 0 to 100 as written by 'attn-fiqa score' (.csv, .jsonl or .parquet)
    ///
    /// The column is 'quality' or the one named.
    #[arg(value_name = "SCORES[:COLUMN]")]
    pub(crate) scores: String,

    /// Labels of the images: a .csv with a column 'path' (or 'name') and the columns of --by
    #[arg(long, value_name = "FILE.csv")]
    pub(crate) labels: PathBuf,

    /// Columns of --labels to group by, one table after the other
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',', required = true)]
    pub(crate) by: Vec<String>,

    /// Reject images of a quality below this, and those without one
    #[arg(long, value_name = "QUALITY", default_value_t = 40, value_parser = clap::value_parser!(i8).range(0..=100))]
    pub(crate) below: i8,

    /// Images without a label: fail, or skip them and report their number
    #[arg(long, value_enum, default_value_t, value_name = "WHAT", hide_possible_values = true)]
    pub(crate) missing: MissingChoice,
}

const EXAMPLES: &str = "\
Examples:
  attn-fiqa groups scores.csv --labels labels.csv --by age,gender
  attn-fiqa groups scores.parquet --labels labels.csv --by camera --below 60";
