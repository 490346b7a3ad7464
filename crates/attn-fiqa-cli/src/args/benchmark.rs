//! Arguments of `attn-fiqa benchmark` and `attn-fiqa report`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use super::MissingChoice;

#[derive(Debug, clap::Args)]
pub(crate) struct BenchmarkArgs {
    /// What to measure: data sets, recognition models, quality methods (docs/benchmarks.md).
    #[arg(value_name = "CONFIG.toml")]
    pub(crate) config: PathBuf,

    /// The folder for results, tables and figures [default: CONFIG.run beside the configuration].
    #[arg(long, short, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,

    /// The folder of scores, embeddings and curves that were computed before; several runs
    /// may share one [default: cache in the output folder].
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,

    /// What to do about images that are missing in a data set's folder, or in a file of scores
    /// or embeddings, in place of what the configuration says: fail, or skip their comparisons
    /// and report their number.
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) missing: Option<MissingChoice>,

    /// Worker threads [default: one for every core].
    #[arg(long, short, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,

    /// Say nothing on standard error but why a run could not be done.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ReportArgs {
    /// The output folder of `attn-fiqa benchmark`.
    #[arg(value_name = "RUN_DIR")]
    pub(crate) run: PathBuf,

    /// Say nothing on standard error but why the report could not be written.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}
