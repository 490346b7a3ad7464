//! Arguments of `attn-fiqa filter`.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use attn_fiqa::gate::{Policy, Subject};
use attn_fiqa::status::Status;
use attn_fiqa_eval::selection::{GroupBy, SelectionOptions};
use clap::ValueEnum;

use super::MissingChoice;
use super::numbers::fraction;
use crate::output::{folder_of, is_stdout};

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct FilterArgs {
    /// Scores by 'attn-fiqa score': .csv, .jsonl, .parquet, or folders of .parquet files
    ///
    /// Several are read as one table, one after the other.
    #[arg(value_name = "SCORES", required = true)]
    pub(crate) scores: Vec<PathBuf>,

    /// Reject images of a quality below this, and those without one
    #[arg(long, value_name = "QUALITY", value_parser = clap::value_parser!(i8).range(0..=100), help_heading = "Choice")]
    below: Option<i8>,

    /// Reject below a policy's quality, as written by 'advise --write-policy'
    ///
    /// Policies with any other rule are refused: 'attn-fiqa gate' applies those.
    #[arg(long, value_name = "POLICY", conflicts_with = "below", help_heading = "Choice")]
    policy: Option<PathBuf>,

    /// Keep this fraction of each group, best first, rounded up
    ///
    /// Of the rows that pass --status and --below, ranked by quality, then score.
    #[arg(long, value_name = "FRACTION", value_parser = fraction, help_heading = "Choice")]
    top_share: Option<f64>,

    /// At most K faces per group
    #[arg(long, value_name = "K", help_heading = "Choice")]
    top: Option<NonZeroU64>,

    /// Column that names the group, such as an identity: in --labels, or else in SCORES
    #[arg(long, value_name = "COLUMN", help_heading = "Choice")]
    by: Option<String>,

    /// Grouping without --by: each 'folder', or 'all' rows
    #[arg(
        long,
        value_enum,
        value_name = "GROUP",
        default_value = "folder",
        conflicts_with = "by",
        hide_possible_values = true,
        help_heading = "Choice"
    )]
    group_by: FilterGroup,

    /// Labels of the images: a .csv with a column 'path' (or 'name') and the column of --by
    #[arg(long, value_name = "FILE.csv", requires = "by", help_heading = "Choice")]
    labels: Option<PathBuf>,

    /// Images without a label: fail, or skip them and report their number
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "WHAT",
        hide_possible_values = true,
        hide_short_help = true,
        help_heading = "Choice"
    )]
    missing: MissingChoice,

    /// Keep rows of these statuses only, such as no-face,broken-image
    #[arg(
        long,
        value_name = "STATUS,…",
        value_delimiter = ',',
        default_value = "ok",
        value_parser = status,
        help_heading = "Choice"
    )]
    status: Vec<&'static str>,

    /// list, csv, jsonl or parquet [default: by --output, else list]
    ///
    /// A list has one path per line, as read by --list, and one line for consecutive rows of the
    /// same image. A table has the rows and columns of SCORES and must have its format.
    #[arg(long, value_enum, hide_possible_values = true, help_heading = "Output")]
    format: Option<FilterFormat>,

    /// Separate the paths of a list by zero bytes, for names with line breaks
    #[arg(long, short = '0', help_heading = "Output")]
    pub(crate) null: bool,

    /// Write to this file, which appears only when it is complete
    #[arg(long, short, value_name = "FILE", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  attn-fiqa filter scores.csv --below 40 --output good.txt
  attn-fiqa filter scores.parquet --top-share 0.8 --by identity --output best.parquet
  attn-fiqa filter scores.csv --status no-face,broken-image";

/// What makes a group where no column does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FilterGroup {
    Folder,
    All,
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FilterFormat {
    /// Paths.
    List,
    Csv,
    Jsonl,
    Parquet,
}

impl FilterFormat {
    /// The format of a table by its extension.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            "parquet" => Some(Self::Parquet),
            "txt" | "list" | "lst" => Some(Self::List),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
        }
    }
}

fn status(text: &str) -> Result<&'static str, String> {
    let mut names = Status::ALL.iter().map(|status| status.name());
    names.clone().find(|name| *name == text).ok_or_else(|| {
        let first = names.next().unwrap_or_default();
        format!("expected one of {}", names.fold(first.to_owned(), |all, name| all + ", " + name))
    })
}

impl FilterArgs {
    /// What is kept.
    ///
    /// # Errors
    ///
    /// If the policy cannot be read or has other rules than a least quality.
    pub(crate) fn options(&self) -> anyhow::Result<SelectionOptions> {
        let reject_below = match &self.policy {
            Some(policy) => Some(quality_of(policy)?),
            None => self.below,
        };
        let by = match (&self.by, self.group_by) {
            (Some(column), _) => GroupBy::Column(column.clone()),
            (None, FilterGroup::Folder) => GroupBy::Folder,
            (None, FilterGroup::All) => GroupBy::All,
        };
        let ranks = self.top.is_some() || self.top_share.is_some();
        if self.by.is_some() && !ranks {
            bail!("--by makes groups, and --top-share or --top keeps the best of each; give one");
        }
        let output = self.output.as_deref().filter(|output| !is_stdout(output));
        Ok(SelectionOptions {
            statuses: self.status.iter().map(|&name| name.to_owned()).collect(),
            reject_below,
            top: self.top.map(NonZeroU64::get),
            top_fraction: self.top_share,
            by,
            labels: self.labels.clone(),
            missing: self.missing.into(),
            // The folder of the output must have room anyway.
            folder: output.map_or_else(std::env::temp_dir, folder_of),
            ..SelectionOptions::default()
        })
    }

    /// What is written.
    ///
    /// # Errors
    ///
    /// If neither the format nor the output's extension says it.
    pub(crate) fn format(&self) -> anyhow::Result<FilterFormat> {
        let Some(output) = self.output.as_deref().filter(|output| !is_stdout(output)) else {
            return Ok(self.format.unwrap_or(FilterFormat::List));
        };
        match self.format.or_else(|| FilterFormat::of(output)) {
            Some(format) => Ok(format),
            None => bail!(
                "the extension of '{}' does not give a format; expected .txt, .csv, .jsonl or \
                 .parquet, or name it with --format",
                output.display()
            ),
        }
    }
}

/// The least quality that a policy accepts.
fn quality_of(file: &Path) -> anyhow::Result<i8> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the policy '{}'", file.display()))?;
    let policy = Policy::from_toml(&file.display().to_string(), &text)?;
    let [rule] = &policy.rules[..] else {
        let names: Vec<String> = policy.rules.iter().map(|rule| rule.subject.to_string()).collect();
        bail!(
            "the policy '{}' has rules for {}, but a table of scores can be filtered only by \
             quality; apply it with 'attn-fiqa gate'",
            file.display(),
            names.join(", ")
        );
    };
    match (rule.subject, rule.min, rule.max, rule.reject_below, rule.reject_above) {
        (Subject::Quality, Some(min), None, None, None) => Ok(min.ceil() as i8),
        _ => bail!(
            "the policy '{}' is not just a minimum quality: expected only quality = {{ min = N }}",
            file.display()
        ),
    }
}
