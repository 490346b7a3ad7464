//! Arguments of `attn-fiqa benchmark`.

use std::path::PathBuf;

use super::MissingChoice;

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BenchmarkArgs {
    /// What to measure: data sets, recognition models, quality methods (docs/benchmarks.md)
    #[arg(value_name = "STUDY.toml")]
    pub(crate) study: PathBuf,

    /// Folder for results, tables and figures [default: STUDY.run beside the study]
    #[arg(long, short, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,

    /// Folder of results to reuse, shared between runs [default: cache in --output]
    ///
    /// It holds scores, embeddings and curves. Environment: ATTN_FIQA_CACHE.
    #[arg(long, value_name = "DIR", env = "ATTN_FIQA_CACHE", hide_env = true)]
    pub(crate) cache: Option<PathBuf>,

    /// Images missing in a data set or a file: fail, or skip their comparisons
    ///
    /// Overrides the study; the number of skipped comparisons is reported.
    #[arg(long, value_enum, value_name = "WHAT", hide_possible_values = true)]
    pub(crate) missing: Option<MissingChoice>,
}

const EXAMPLES: &str = "\
Examples:
  attn-fiqa benchmark lfw.toml
  attn-fiqa benchmark lfw.toml --output results/ --cache ~/.cache/fiqa";
