//! Arguments of `attn-fiqa groups`.

use std::path::PathBuf;

use super::MissingChoice;

#[derive(Debug, clap::Args)]
pub(crate) struct GroupsArgs {
    /// Qualities from 0 to 100 as 'attn-fiqa score' writes them (.csv, .jsonl or .parquet), in
    /// the column 'quality' or the one named.
    #[arg(value_name = "SCORES[:COLUMN]")]
    pub(crate) scores: String,

    /// What is known of each image: a .csv with a column 'path' (or 'name') and the columns of
    /// --by.
    #[arg(long, value_name = "FILE.csv")]
    pub(crate) labels: PathBuf,

    /// The columns of --labels by which images are grouped, one table after the other.
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',', required = true)]
    pub(crate) by: Vec<String>,

    /// Reject images of a quality below this, and those without one.
    #[arg(long, value_name = "QUALITY", default_value_t = 40, value_parser = clap::value_parser!(i8).range(0..=100))]
    pub(crate) below: i8,

    /// What to do about images without a label: fail, or skip them and report their number.
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    pub(crate) missing: MissingChoice,

    /// Say nothing on standard error but why it could not be done.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}
