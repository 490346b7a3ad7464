//! Arguments of the commands that measure comparisons: verify, edc, advise.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use attn_fiqa_eval::edc::{Protocol, Target};
use attn_fiqa_eval::files::Missing;
use attn_fiqa_eval::verification::FOLDS;
use clap::ValueEnum;

use super::numbers::{finite, fraction};

/// Which comparisons are measured.
#[derive(Debug, clap::Args)]
pub(crate) struct ComparisonArgs {
    /// Pairs, one per line: `a b 1|0`, optionally with a comparison score
    #[arg(long, value_name = "FILE", help_heading = "Comparisons")]
    pub(crate) pairs: PathBuf,

    /// Embeddings to compare: a folder of .npy files, a .npy matrix, or Parquet
    ///
    /// The folder has one .npy file per image; a matrix needs --names; Parquet as written by
    /// 'attn-fiqa embed'. By default the scores in the fourth column of --pairs are used.
    #[arg(long, value_name = "PATH", help_heading = "Comparisons")]
    pub(crate) embeddings: Option<PathBuf>,

    /// Names of the rows of a .npy matrix, one path per line
    #[arg(
        long,
        value_name = "FILE",
        requires = "embeddings",
        hide_short_help = true,
        help_heading = "Comparisons"
    )]
    pub(crate) names: Option<PathBuf>,

    /// Scores in --pairs: cosine, similarity or distance
    ///
    /// Cosines range from -1 to 1. Higher similarities and lower distances are more alike.
    #[arg(
        long,
        value_enum,
        default_value = "cosine",
        conflicts_with = "embeddings",
        hide_possible_values = true,
        help_heading = "Comparisons"
    )]
    pub(crate) scale: ScaleChoice,

    /// Images missing in a table of embeddings, qualities or groups: fail, or skip
    ///
    /// 'skip' leaves their comparisons out and reports their number.
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "WHAT",
        hide_possible_values = true,
        hide_short_help = true,
        help_heading = "Comparisons"
    )]
    pub(crate) missing: MissingChoice,
}

/// What is done about images that a table lacks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum MissingChoice {
    /// An error that counts and names them
    #[default]
    Fail,
    /// Their comparisons are left out
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
    /// Cosine of two embeddings, -1 to 1
    Cosine,
    /// Higher is more alike
    Similarity,
    /// Lower is more alike
    Distance,
}

/// False match rates where nothing else fixes the threshold: the papers'.
const FMR_DEFAULT: &str = "1e-2,1e-3,1e-4";

/// What fixes the thresholds of comparisons: one of the three.
#[derive(Debug, clap::Args)]
pub(crate) struct TargetArgs {
    /// False match rates at which to set thresholds
    #[arg(long, value_name = "RATE,…", value_delimiter = ',', value_parser = fraction, default_value = FMR_DEFAULT, help_heading = "Threshold")]
    pub(crate) fmr: Vec<f64>,

    /// Or false non-match rates, before any rejection, at which to set thresholds
    #[arg(long, value_name = "RATE,…", value_delimiter = ',', value_parser = fraction, conflicts_with = "fmr", hide_short_help = true, help_heading = "Threshold")]
    pub(crate) start_fnmr: Vec<f64>,

    /// Or explicit thresholds, on the score scale
    ///
    /// A match is a cosine or similarity of at least this, a distance of at most this.
    #[arg(long, value_name = "SCORE,…", value_delimiter = ',', value_parser = finite, allow_hyphen_values = true, conflicts_with_all = ["fmr", "start_fnmr"], hide_short_help = true, help_heading = "Threshold")]
    pub(crate) threshold: Vec<f64>,
}

impl TargetArgs {
    /// One target per value of the flag that was given.
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
#[command(after_help = VERIFY_EXAMPLES)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) comparisons: ComparisonArgs,

    #[command(flatten)]
    pub(crate) targets: TargetArgs,

    /// Errors per quality band instead, at the thresholds of all comparisons
    ///
    /// From unusable to excellent, by the column 'quality' of an 'attn-fiqa score' table.
    #[arg(long, value_name = "FILE[:COLUMN]", help_heading = "Measures")]
    pub(crate) bands: Option<String>,

    /// Number of accuracy folds: equal parts of the list, in its order
    #[arg(
        long,
        value_name = "N",
        default_value_t = FOLDS,
        value_parser = clap::value_parser!(u16).range(2..),
        help_heading = "Measures"
    )]
    pub(crate) folds: u16,

    /// Thresholds tried for the accuracy: insightface or exact
    ///
    /// 'insightface': 0, 0.01, … 3.99 on the squared distance of normalised embeddings, the
    /// default where the scores are cosines or come from --embeddings. 'exact': between all
    /// neighbouring scores, the default for similarities and distances.
    #[arg(
        long,
        alias = "thresholds",
        value_enum,
        value_name = "GRID",
        hide_possible_values = true,
        hide_short_help = true,
        help_heading = "Measures"
    )]
    pub(crate) threshold_grid: Option<GridChoice>,
}

const VERIFY_EXAMPLES: &str = "\
Examples:
  attn-fiqa verify --pairs pairs.txt --embeddings embeddings.parquet
  attn-fiqa verify --pairs scored.txt --scale similarity --fmr 1e-3
  attn-fiqa verify --pairs pairs.txt --embeddings embeddings.parquet --bands scores.csv";

/// Thresholds tried for the accuracy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GridChoice {
    /// 0, 0.01, … 3.99 on the squared distance of normalised embeddings
    #[value(name = "insightface")]
    InsightFace,
    /// Between all neighbouring scores
    Exact,
}

/// How confidence intervals are computed.
#[derive(Debug, clap::Args)]
pub(crate) struct BootstrapArgs {
    /// Bootstrap replicates for confidence intervals; 0 for none
    #[arg(long, value_name = "N", default_value = "0", help_heading = "Intervals")]
    pub(crate) bootstrap: usize,

    /// Resample persons instead of pairs: `path person` per line
    #[arg(long, value_name = "FILE", hide_short_help = true, help_heading = "Intervals")]
    pub(crate) identities: Option<PathBuf>,

    /// Resample persons named as in LFW: Ann_Lee_0001 shows Ann_Lee
    #[arg(long, conflicts_with = "identities", hide_short_help = true, help_heading = "Intervals")]
    pub(crate) identities_by_name: bool,

    /// Confidence level of the intervals
    #[arg(long, alias = "level", value_name = "FRACTION", default_value = "0.95", value_parser = fraction, hide_short_help = true, help_heading = "Intervals")]
    pub(crate) confidence_level: f64,

    /// Random seed
    #[arg(
        long,
        value_name = "N",
        default_value = "0",
        hide_short_help = true,
        help_heading = "Intervals"
    )]
    pub(crate) seed: u64,
}

#[derive(Debug, clap::Args)]
#[command(after_help = EDC_EXAMPLES)]
pub(crate) struct EdcArgs {
    #[command(flatten)]
    pub(crate) comparisons: ComparisonArgs,

    /// Qualities of the images: text (`path score` per line), .csv, .jsonl or .parquet
    ///
    /// May be repeated. The column is 'score' or the one named; several columns are separated by
    /// commas, '*' stands for all qualities of the file.
    #[arg(
        long,
        value_name = "[NAME=]FILE[:COLUMN,…]",
        required = true,
        help_heading = "Qualities"
    )]
    pub(crate) quality: Vec<String>,

    /// Images without a quality count as the lowest instead of being refused
    #[arg(long, hide_short_help = true, help_heading = "Qualities")]
    pub(crate) failed_lowest: bool,

    /// Protocols: crfiqa (the papers'), iso, nist
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

    /// Discard fraction up to which pAUC is computed
    ///
    /// At most 0.95 for crfiqa and nist, whose curves end there.
    #[arg(long, alias = "limit", value_name = "FRACTION", default_value = "0.3", value_parser = fraction, help_heading = "Curves")]
    pub(crate) max_discard: f64,

    #[command(flatten)]
    pub(crate) bootstrap: BootstrapArgs,

    /// Number of random orders, for the row 'random' and for the range of ties
    #[arg(
        long,
        value_name = "N",
        default_value = "20",
        hide_short_help = true,
        help_heading = "Intervals"
    )]
    pub(crate) orders: NonZeroUsize,

    /// Groups of the images, for a table of errors by group
    ///
    /// `path group` per line, or a .csv with column 'group' or the one named. Writes rejection and error rates by group.
    #[arg(
        long,
        alias = "group-by",
        value_name = "FILE[:COLUMN]",
        requires = "output",
        help_heading = "Groups"
    )]
    pub(crate) groups: Option<String>,

    /// Fraction of images rejected in the table of groups
    #[arg(long, value_name = "FRACTION", default_value = "0.1", value_parser = fraction, requires = "groups", hide_short_help = true, help_heading = "Groups")]
    pub(crate) reject: f64,

    /// Also write tables and edc.json into this folder
    ///
    /// pauc.csv (as on standard output), differences.csv (paired, between qualities),
    /// curves.csv, correlations.csv, and with --groups groups.csv.
    #[arg(long, short, value_name = "DIR", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,
}

const EDC_EXAMPLES: &str = "\
Examples:
  attn-fiqa edc --pairs pairs.txt --embeddings embeddings.parquet --quality scores.csv
  attn-fiqa edc --pairs pairs.txt --embeddings e.parquet --quality 'scores.csv:*' --output edc/";

#[derive(Debug, clap::Args)]
#[command(after_help = ADVISE_EXAMPLES)]
pub(crate) struct AdviseArgs {
    #[command(flatten)]
    pub(crate) comparisons: ComparisonArgs,

    /// Qualities of the images: text (`path score` per line), .csv, .jsonl or .parquet
    ///
    /// The column is 'score' or the one named.
    #[arg(long, value_name = "FILE[:COLUMN]", help_heading = "Qualities")]
    pub(crate) quality: String,

    /// Images without a quality count as the lowest instead of being refused
    #[arg(long, hide_short_help = true, help_heading = "Qualities")]
    pub(crate) failed_lowest: bool,

    /// False match rate at which the system operates
    #[arg(long, value_name = "RATE", default_value = "1e-3", value_parser = fraction, help_heading = "Threshold")]
    pub(crate) fmr: f64,

    /// Or the false non-match rate at which it operates, before any rejection
    #[arg(long, value_name = "RATE", value_parser = fraction, conflicts_with = "fmr", hide_short_help = true, help_heading = "Threshold")]
    pub(crate) start_fnmr: Option<f64>,

    /// Or the threshold at which it operates, on the score scale
    ///
    /// A match is a cosine or similarity of at least this, a distance of at most this.
    #[arg(long, value_name = "SCORE", value_parser = finite, allow_hyphen_values = true, conflicts_with_all = ["fmr", "start_fnmr"], hide_short_help = true, help_heading = "Threshold")]
    pub(crate) threshold: Option<f64>,

    /// Fractions of images to reject
    #[arg(long, value_name = "FRACTION,…", value_delimiter = ',', value_parser = fraction, default_value = "0.01,0.02,0.05,0.1,0.2", help_heading = "Rejection")]
    pub(crate) reject: Vec<f64>,

    /// Reject images below these qualities instead
    #[arg(
        long,
        value_name = "QUALITY,…",
        value_delimiter = ',',
        value_parser = finite,
        allow_hyphen_values = true,
        conflicts_with = "reject",
        help_heading = "Rejection"
    )]
    pub(crate) below: Vec<f64>,

    /// Write the threshold as a policy for 'attn-fiqa gate'
    ///
    /// Needs one threshold (--reject or --below with one value) and qualities from 0 to 100.
    #[arg(long, value_name = "FILE.toml", help_heading = "Rejection")]
    pub(crate) write_policy: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) bootstrap: BootstrapArgs,
}

const ADVISE_EXAMPLES: &str = "\
Examples:
  attn-fiqa advise --pairs pairs.txt --embeddings embeddings.parquet --quality scores.csv
  attn-fiqa advise --pairs scored.txt --quality scores.csv:quality --below 20,40,60
  attn-fiqa advise --pairs p.txt --quality q.csv:quality --below 40 --write-policy policy.toml";

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
