//! How every command runs and what it reports; declared once for all of them.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{ColorChoice, ValueEnum};

use super::Typed;

/// More images at once than this cost memory and gain nothing.
const MAX_BATCH: usize = 4096;

fn batch(text: &str) -> Result<NonZeroUsize, String> {
    let batch: Option<NonZeroUsize> = text.parse().ok();
    batch.filter(|batch| batch.get() <= MAX_BATCH).ok_or(format!("expected 1 to {MAX_BATCH}"))
}

/// Options that every command takes.
#[derive(Debug, clap::Args)]
pub(crate) struct RunOptions {
    /// Worker threads [default: one per core]
    ///
    /// Environment: ATTN_FIQA_JOBS.
    #[arg(
        long,
        short,
        value_name = "N",
        env = "ATTN_FIQA_JOBS",
        hide_env = true,
        global = true,
        help_heading = "Run"
    )]
    pub(crate) jobs: Option<NonZeroUsize>,

    /// Images that are decoded and scored together; results do not depend on it
    #[arg(long, value_name = "N", default_value = "32", value_parser = batch, env = "ATTN_FIQA_BATCH", hide_env = true, global = true, hide_short_help = true, help_heading = "Run")]
    pub(crate) batch: NonZeroUsize,

    /// Report errors only
    #[arg(long, short, conflicts_with = "verbose", global = true, help_heading = "Run")]
    pub(crate) quiet: bool,

    /// Report what was loaded, and every failure and note
    #[arg(long, short, global = true, help_heading = "Run")]
    pub(crate) verbose: bool,

    /// Whether reports and help are coloured
    ///
    /// 'auto' colours on a terminal, unless NO_COLOR is set.
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "auto",
        env = "ATTN_FIQA_COLOR",
        hide_env = true,
        global = true,
        hide_short_help = true,
        help_heading = "Run"
    )]
    pub(crate) color: ColorChoice,

    /// How reports are written to standard error: as text, or one JSON object per line
    ///
    /// Each object has 'level' (error, warning, note, info, debug) and 'message'; failures of
    /// images, progress and the summary also have 'event' and their numbers.
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        default_value_t,
        env = "ATTN_FIQA_LOG_FORMAT",
        hide_env = true,
        global = true,
        hide_short_help = true,
        hide_possible_values = true,
        help_heading = "Run"
    )]
    pub(crate) log_format: LogFormat,

    /// TOML file with defaults for model, precision, jobs, batch, cache, color, log-format, and
    /// the options of `serve`
    ///
    /// The command line takes precedence, then the environment (ATTN_FIQA_MODEL,
    /// ATTN_FIQA_PRECISION, ATTN_FIQA_JOBS, ATTN_FIQA_BATCH, ATTN_FIQA_CACHE, ATTN_FIQA_COLOR,
    /// ATTN_FIQA_LOG_FORMAT, and those of `serve`), then the file. Environment: ATTN_FIQA_CONFIG.
    #[arg(
        long,
        value_name = "FILE.toml",
        env = "ATTN_FIQA_CONFIG",
        hide_env = true,
        global = true,
        hide_short_help = true,
        help_heading = "Run"
    )]
    pub(crate) config: Option<PathBuf>,

    /// What the rows of the command depend on.
    #[arg(skip)]
    pub(crate) typed: Typed,
}

/// How reports are written to standard error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines of text
    #[default]
    Text,
    /// One JSON object per line
    Json,
}
