//! Arguments of `attn-fiqa report`.

use std::path::{Path, PathBuf};

use anyhow::bail;
use attn_fiqa_eval::overview::OverviewOptions;

use super::MissingChoice;
use crate::output::{is_stdout, same_file};

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ReportArgs {
    /// Output folder of 'attn-fiqa benchmark', or .csv, .jsonl or .parquet of 'attn-fiqa score'
    ///
    /// For a run: page, tables and figures in its folder. For scores: one page on the set's
    /// qualities, with causes and component measures if the file has these columns.
    #[arg(value_name = "RUN_DIR|SCORES")]
    pub(crate) input: PathBuf,

    /// Page for SCORES
    #[arg(long, short, value_name = "FILE", help_heading = "Scores")]
    output: Option<PathBuf>,

    /// Number of worst and of best faces to show; 0 for none
    #[arg(long, value_name = "K", default_value_t = 12, value_parser = clap::value_parser!(u16).range(0..=200), help_heading = "Scores")]
    top: u16,

    /// Folder of the images named in SCORES [default: the current one]
    #[arg(long, value_name = "DIR", help_heading = "Scores")]
    images: Option<PathBuf>,

    /// Reject images of a quality below this, and those without one
    #[arg(long, value_name = "QUALITY", default_value_t = 40, value_parser = clap::value_parser!(i8).range(0..=100), help_heading = "Scores")]
    below: i8,

    /// Columns to compare groups by: in --labels, or else in SCORES
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',', help_heading = "Scores")]
    by: Vec<String>,

    /// Labels of the images: a .csv with a column 'path' (or 'name') and the columns of --by
    #[arg(long, value_name = "FILE.csv", requires = "by", help_heading = "Scores")]
    labels: Option<PathBuf>,

    /// Images without a label: fail, or skip them and report their number
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "WHAT",
        hide_possible_values = true,
        help_heading = "Scores"
    )]
    missing: MissingChoice,
}

const EXAMPLES: &str = "\
Examples:
  attn-fiqa report lfw.run
  attn-fiqa report scores.csv --output page.html
  attn-fiqa report scores.csv --output page.html --labels labels.csv --by age,race";

/// What is reported on.
pub(crate) enum Reported<'a> {
    /// The folder of a benchmark run.
    Run(&'a Path),
    /// Scores, and where their page is written.
    Scores { file: &'a Path, output: &'a Path, images: Option<&'a Path>, options: OverviewOptions },
}

impl ReportArgs {
    /// The options of the report that these arguments ask for.
    ///
    /// # Errors
    ///
    /// If the options are not those of the input, or the page would replace what is read or
    /// anything but a page.
    pub(crate) fn reported(&self) -> anyhow::Result<Reported<'_>> {
        let input = &self.input;
        // A missing run is reported as such rather than as a table.
        if input.is_dir() || (!input.exists() && input.extension().is_none_or(|end| end == "run")) {
            let given = [
                ("--output", self.output.is_some()),
                ("--images", self.images.is_some()),
                ("--by", !self.by.is_empty()),
            ];
            if let Some((flag, _)) = given.into_iter().find(|(_, given)| *given) {
                bail!(
                    "'{}' is a folder, and the page of a benchmark run is written into that \
                     folder: {flag} is only for a file written by 'attn-fiqa score'",
                    input.display()
                );
            }
            return Ok(Reported::Run(input));
        }
        let Some(output) = &self.output else {
            bail!("the page for '{}' needs an output file: --output FILE.html", input.display());
        };
        self.check_output(output)?;
        let options = OverviewOptions {
            top: self.top.into(),
            reject_below: self.below,
            by: self.by.clone(),
            labels: self.labels.clone(),
            missing: self.missing.into(),
        };
        Ok(Reported::Scores { file: input, output, images: self.images.as_deref(), options })
    }

    fn check_output(&self, output: &Path) -> anyhow::Result<()> {
        let is_page = output
            .extension()
            .is_some_and(|end| end.eq_ignore_ascii_case("html") || end.eq_ignore_ascii_case("htm"));
        if let Some(input) = [Some(&self.input), self.labels.as_ref()]
            .into_iter()
            .flatten()
            .find(|input| same_file(input, output))
        {
            bail!("'{}' is an input; name another file to write", input.display());
        }
        if !is_page && !is_stdout(output) {
            bail!("the page is HTML, but '{}' does not end in .html", output.display());
        }
        Ok(())
    }
}
