//! Arguments of the commands that measure comparisons: verify, edc, advise.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use attn_fiqa_eval::edc::{Protocol, Target};
use attn_fiqa_eval::files::Missing;
use clap::ValueEnum;

/// Which comparisons are measured.
#[derive(Debug, clap::Args)]
pub(crate) struct ComparisonArgs {
    /// The pairs: `a b 1|0` a line, perhaps with a comparison score behind.
    #[arg(long, value_name = "FILE", help_heading = "Comparisons")]
    pub(crate) pairs: PathBuf,

    /// Embeddings to compare: a folder with a .npy an image, a .npy matrix (with
    /// --names), or Parquet as 'attn-fiqa embed' writes it [default: the scores in
    /// the fourth column of --pairs].
    #[arg(long, value_name = "PATH", help_heading = "Comparisons")]
    pub(crate) embeddings: Option<PathBuf>,

    /// The names of a matrix's rows, a path a line.
    #[arg(long, value_name = "FILE", requires = "embeddings", help_heading = "Comparisons")]
    pub(crate) names: Option<PathBuf>,

    /// What the scores in --pairs mean.
    #[arg(
        long,
        value_enum,
        default_value = "cosine",
        conflicts_with = "embeddings",
        help_heading = "Comparisons"
    )]
    pub(crate) scale: ScaleChoice,

    /// What to do about images that are missing in a table, of embeddings, qualities or
    /// groups: fail, or skip their comparisons and report their number.
    #[arg(long, value_enum, default_value_t, value_name = "WHAT", help_heading = "Comparisons")]
    pub(crate) missing: MissingChoice,
}

/// What images come to that a table lacks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum MissingChoice {
    /// An error that counts and names them.
    #[default]
    Fail,
    /// Their comparisons are left out.
    Skip,
}

impl From<MissingChoice> for Missing {
    fn from(choice: MissingChoice) -> Self {
        match choice {
            MissingChoice::Fail => Self::Fail,
            MissingChoice::Skip => Self::Skip,
        }
    }
}

/// What a comparison score means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScaleChoice {
    /// Cosine of two embeddings, -1 to 1.
    Cosine,
    /// Higher is more alike.
    Similarity,
    /// Lower is more alike.
    Distance,
}

/// A share between 0 and 1.
fn share(text: &str) -> Result<f64, String> {
    let share: Option<f64> = text.parse().ok();
    share.filter(|share| (0.0..=1.0).contains(share)).ok_or("expected a number from 0 to 1".into())
}

/// A finite number.
fn number(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok();
    number.filter(|number| number.is_finite()).ok_or("expected a finite number".into())
}

/// False match rates where nothing else fixes the threshold: the papers'.
const FMR_DEFAULT: &str = "1e-2,1e-3,1e-4";

/// What fixes the threshold of comparisons: one of the three.
#[derive(Debug, clap::Args)]
pub(crate) struct TargetArgs {
    /// False match rates at which thresholds are put.
    #[arg(long, value_name = "RATE,…", value_delimiter = ',', value_parser = share, default_value = FMR_DEFAULT, help_heading = "Threshold")]
    pub(crate) fmr: Vec<f64>,

    /// Put thresholds at these starting false non-match rates instead.
    #[arg(long, value_name = "RATE,…", value_delimiter = ',', value_parser = share, conflicts_with = "fmr", help_heading = "Threshold")]
    pub(crate) start_fnmr: Vec<f64>,

    /// Take these thresholds instead, on the scores' own scale: a match is a cosine or
    /// similarity of at least this, a distance of at most this.
    #[arg(long, value_name = "SCORE,…", value_delimiter = ',', value_parser = number, allow_hyphen_values = true, conflicts_with_all = ["fmr", "start_fnmr"], help_heading = "Threshold")]
    pub(crate) threshold: Vec<f64>,
}

impl TargetArgs {
    /// One target a value of the flag that was given.
    pub(crate) fn targets(&self) -> Vec<Target> {
        let Self { fmr, start_fnmr, threshold } = self;
        match (start_fnmr.as_slice(), threshold.as_slice()) {
            ([], []) => fmr.iter().copied().map(Target::Fmr).collect(),
            (rates, []) => rates.iter().copied().map(Target::Fnmr).collect(),
            (_, thresholds) => thresholds.iter().copied().map(Target::Threshold).collect(),
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) comparisons: ComparisonArgs,

    #[command(flatten)]
    pub(crate) targets: TargetArgs,

    /// Instead: the errors of each band of quality, unusable to excellent, at the thresholds of
    /// all comparisons. A table of 'attn-fiqa score' with its column 'quality'.
    #[arg(long, value_name = "FILE[:COLUMN]")]
    pub(crate) bands: Option<String>,

    /// Folds of the accuracy, equal parts of the list in its order.
    #[arg(long, value_name = "N", default_value = "10")]
    pub(crate) folds: NonZeroUsize,

    /// Thresholds tried for the accuracy.
    #[arg(long, value_enum, default_value = "insightface")]
    pub(crate) thresholds: ThresholdChoice,

    /// Say nothing on standard error but why it could not be done.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// Thresholds tried for the accuracy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ThresholdChoice {
    /// 0, 0.01, … 3.99 on the squared distance of normalised embeddings.
    #[value(name = "insightface")]
    InsightFace,
    /// Between all neighbouring distances.
    Exact,
}

/// What intervals are made of.
#[derive(Debug, clap::Args)]
pub(crate) struct BootstrapArgs {
    /// Bootstrap replicates behind confidence intervals; 0 for none.
    #[arg(long, value_name = "N", default_value = "0", help_heading = "Intervals")]
    pub(crate) bootstrap: usize,

    /// Draw persons instead of pairs: `path person` a line.
    #[arg(long, value_name = "FILE", help_heading = "Intervals")]
    pub(crate) identities: Option<PathBuf>,

    /// Draw persons, named as in LFW: Ann_Lee_0001 is of Ann_Lee.
    #[arg(long, conflicts_with = "identities", help_heading = "Intervals")]
    pub(crate) identities_by_name: bool,

    /// Confidence level.
    #[arg(long, value_name = "SHARE", default_value = "0.95", value_parser = share, help_heading = "Intervals")]
    pub(crate) level: f64,

    /// Seed of everything that is drawn.
    #[arg(long, value_name = "N", default_value = "0", help_heading = "Intervals")]
    pub(crate) seed: u64,
}

#[derive(Debug, clap::Args)]
pub(crate) struct EdcArgs {
    #[command(flatten)]
    pub(crate) comparisons: ComparisonArgs,

    /// Qualities of the images, one or several times: text (`path score` a line) or
    /// a .csv, .jsonl or .parquet file, whose column is 'score' or the one named; several
    /// columns separated by commas, or all of qualities with '*'.
    #[arg(
        long,
        value_name = "[NAME=]FILE[:COLUMN,…]",
        required = true,
        help_heading = "Qualities"
    )]
    pub(crate) quality: Vec<String>,

    /// Count images without a quality as the lowest instead of refusing them.
    #[arg(long, help_heading = "Qualities")]
    pub(crate) failed_lowest: bool,

    /// Ways to draw curves: crfiqa (the papers'), iso, nist.
    #[arg(
        long,
        value_name = "NAME,…",
        value_delimiter = ',',
        default_value = "crfiqa",
        help_heading = "Curves"
    )]
    pub(crate) protocol: Vec<Protocol>,

    #[command(flatten)]
    pub(crate) targets: TargetArgs,

    /// The discard fraction up to which pAUC is taken.
    #[arg(long, value_name = "SHARE", default_value = "0.3", value_parser = share, help_heading = "Curves")]
    pub(crate) limit: f64,

    #[command(flatten)]
    pub(crate) bootstrap: BootstrapArgs,

    /// Random orders behind the row 'random' and behind the range of ties.
    #[arg(long, value_name = "N", default_value = "20", help_heading = "Intervals")]
    pub(crate) orders: NonZeroUsize,

    /// Groups of the images (`path group` a line, or a .csv with column 'group' or the
    /// one named): a table of rejection and error rates by group.
    #[arg(long, value_name = "FILE[:COLUMN]", requires = "output", help_heading = "Groups")]
    pub(crate) group_by: Option<String>,

    /// Share of images rejected in the table of groups.
    #[arg(long, value_name = "SHARE", default_value = "0.1", value_parser = share, requires = "group_by", help_heading = "Groups")]
    pub(crate) reject: f64,

    /// Also write pauc.csv (as on standard output), differences.csv (paired, between
    /// qualities), curves.csv, correlations.csv, with
    /// --group-by groups.csv, and edc.json into this folder.
    #[arg(long, short, value_name = "DIR", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,

    /// Say nothing on standard error but why it could not be done.
    #[arg(long, short, help_heading = "Output")]
    pub(crate) quiet: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AdviseArgs {
    #[command(flatten)]
    pub(crate) comparisons: ComparisonArgs,

    /// Qualities of the images: text (`path score` a line) or a .csv, .jsonl or
    /// .parquet file, whose column is 'score' or the one named.
    #[arg(long, value_name = "FILE[:COLUMN]", help_heading = "Qualities")]
    pub(crate) quality: String,

    /// Count images without a quality as the lowest instead of refusing them.
    #[arg(long, help_heading = "Qualities")]
    pub(crate) failed_lowest: bool,

    /// The false match rate at which the system is run.
    #[arg(long, value_name = "RATE", default_value = "1e-3", value_parser = share, help_heading = "Threshold")]
    pub(crate) fmr: f64,

    /// The false non-match rate at which it is run instead, before any rejection.
    #[arg(long, value_name = "RATE", value_parser = share, conflicts_with = "fmr", help_heading = "Threshold")]
    pub(crate) start_fnmr: Option<f64>,

    /// Its threshold instead, on the scores' own scale: a match is a cosine or similarity
    /// of at least this, a distance of at most this.
    #[arg(long, value_name = "SCORE", value_parser = number, allow_hyphen_values = true, conflicts_with_all = ["fmr", "start_fnmr"], help_heading = "Threshold")]
    pub(crate) threshold: Option<f64>,

    /// Shares of images to reject.
    #[arg(long, value_name = "SHARE,…", value_delimiter = ',', value_parser = share, default_value = "0.01,0.02,0.05,0.1,0.2")]
    pub(crate) reject: Vec<f64>,

    /// Reject images below these qualities instead.
    #[arg(
        long,
        value_name = "QUALITY,…",
        value_delimiter = ',',
        allow_hyphen_values = true,
        conflicts_with = "reject"
    )]
    pub(crate) below: Vec<f64>,

    #[command(flatten)]
    pub(crate) bootstrap: BootstrapArgs,

    /// Say nothing on standard error but why it could not be done.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

impl AdviseArgs {
    /// What fixes the threshold.
    pub(crate) fn target(&self) -> Target {
        match (self.start_fnmr, self.threshold) {
            (_, Some(threshold)) => Target::Threshold(threshold),
            (Some(rate), None) => Target::Fnmr(rate),
            (None, None) => Target::Fmr(self.fmr),
        }
    }
}
