//! What happens to the output of an earlier run, and which part of the images a run takes.

use std::num::NonZeroU64;

use crate::journal::{Fingerprint, Shard};
use crate::output::{Existing, RunPlan};

use super::RunOptions;

/// For commands whose rows go into one file, or into a data set.
#[derive(Debug, clap::Args)]
pub(crate) struct ResumeArgs {
    /// Discard what an unfinished run, or a shard, with other options left
    ///
    /// A killed or interrupted run is continued by the same command, without this option
    /// (docs/large-runs.md). One with other options, another model or other inputs is refused,
    /// since rows of both would be mixed.
    #[arg(long, hide_short_help = true, help_heading = "Output")]
    pub(crate) overwrite: bool,

    #[command(flatten)]
    pub(crate) rows: RowsPerFileArgs,

    #[command(flatten)]
    pub(crate) shard: ShardArgs,
}

/// How a data set is divided into files.
#[derive(Debug, clap::Args)]
pub(crate) struct RowsPerFileArgs {
    /// Rows of each file where --output is a folder of Parquet files [default: 100000]
    ///
    /// The rows of one image stay together, so a file may have a few more.
    #[arg(long, value_name = "N", hide_short_help = true, help_heading = "Output")]
    pub(crate) rows_per_file: Option<NonZeroU64>,
}

/// For commands that write a folder of files.
#[derive(Debug, clap::Args)]
pub(crate) struct FolderArgs {
    /// Write into a non-empty folder, overwriting files of the same names
    ///
    /// Without it and --skip-existing such a folder is refused before any work, unless it holds
    /// an unfinished run of the same command that can be continued: one of crop, map, embed or
    /// detect.
    #[arg(long, help_heading = "Output", hide_short_help = true)]
    pub(crate) overwrite: bool,

    /// Skip images whose files already exist in the folder; the manifest keeps their rows
    #[arg(long, conflicts_with = "overwrite", help_heading = "Output", hide_short_help = true)]
    pub(crate) skip_existing: bool,
}

/// Which part of the images.
#[derive(Debug, clap::Args)]
pub(crate) struct ShardArgs {
    /// Only part I of N of the images, from 1/N to N/N; `attn-fiqa merge` joins the outputs
    ///
    /// By a hash of each image's name in its input or archive, so N machines can share a set
    /// without a coordinator, wherever it is mounted.
    #[arg(long, value_name = "I/N", hide_short_help = true, help_heading = "Input")]
    pub(crate) shard: Option<Shard>,
}

impl FolderArgs {
    /// What is done about a folder that is not empty.
    pub(crate) fn existing(&self) -> Existing {
        match (self.overwrite, self.skip_existing) {
            (true, _) => Existing::Overwrite,
            (false, true) => Existing::Skip,
            (false, false) => Existing::Refuse,
        }
    }
}

impl ResumeArgs {
    /// How to store rows that are computed with the settings in `about`.
    pub(crate) fn plan(&self, run: &RunOptions, about: &[(&'static str, String)]) -> RunPlan {
        RunPlan {
            rows_per_file: self.rows.rows_per_file,
            ..self.shard.plan(run, about, self.overwrite)
        }
    }
}

impl ShardArgs {
    /// How to store rows that are computed with the settings in `about`.
    pub(crate) fn plan(
        &self,
        run: &RunOptions,
        about: &[(&'static str, String)],
        overwrite: bool,
    ) -> RunPlan {
        let fingerprint = Fingerprint::new(&run.typed, self.shard, about);
        RunPlan { fingerprint, overwrite, shard: self.shard, rows_per_file: None }
    }
}
