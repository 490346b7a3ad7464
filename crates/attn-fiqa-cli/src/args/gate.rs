//! Arguments of `attn-fiqa gate`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::{BestFaceArgs, FaceArgs, InputArgs, ModelArgs};

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = super::join(POLICIES, EXAMPLES))]
pub(crate) struct GateArgs {
    /// A policy: enrol, probe, gallery, or a file in TOML
    #[arg(value_name = "POLICY", required = true)]
    pub(crate) policy: Option<String>,

    #[command(flatten)]
    pub(crate) input: InputArgs,

    #[command(flatten)]
    pub(crate) faces: FaceArgs,

    #[command(flatten)]
    pub(crate) best: BestFaceArgs,

    #[command(flatten)]
    pub(crate) model: ModelArgs,

    /// Print a built-in policy, as a starting point for your own, and exit
    #[arg(
        long,
        value_name = "NAME",
        exclusive = true,
        hide_short_help = true,
        help_heading = "Output"
    )]
    pub(crate) print_policy: Option<String>,

    /// table, csv or jsonl [default: by --output]
    ///
    /// Without --output: a table on a terminal, else csv. jsonl has reasons and advice as lists.
    #[arg(long, value_enum, hide_possible_values = true, help_heading = "Output")]
    pub(crate) format: Option<TextFormat>,

    /// Write to this file, which appears only when it is complete
    #[arg(long, short, value_name = "FILE", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,

    /// Also write a page with each refused face, its map and the reasons
    #[arg(long, value_name = "FILE.html", help_heading = "Output")]
    pub(crate) html: Option<PathBuf>,

    /// Show only the first N faces on the page
    #[arg(long, value_name = "N", default_value_t = 200, requires = "html", value_parser = clap::value_parser!(u16).range(1..), hide_short_help = true, help_heading = "Output")]
    pub(crate) html_faces: u16,
}

/// How rows are written that have texts and lists, for which Parquet is not offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TextFormat {
    Table,
    Csv,
    Jsonl,
}

const POLICIES: &str = "\
A policy is a table of rules, one per subject, each with any of min, max, reject_below and \
reject_above. A value outside min … max means 'retake', one outside reject_below … reject_above \
'reject':

  profile = \"enrol\"    # optional: start from the rules of a built-in policy
  [rules]
  quality = { min = \"good\", reject_below = 20 }
  faces = { max = 1 }
  inter_eye_distance = { min = 36 }
  yaw = { max = 25 }
  IlluminationUniformity = { min = 40 }

Subjects: quality (0-100), faces (in the image), inter_eye_distance (pixels), yaw and roll \
(degrees, without sign), detection_score (0-1), causes of low quality by name with their strength \
0-1 (docs/reasons.md), and component measures on 0-100 by name \
(docs/measures.md). Reasons that reject come first, then those farthest from their \
limit. A quality that could not be computed is refused; other missing values are listed as \
unchecked.

Exit status: 0 if every face was accepted, 1 if some were not, 2 if the run could not start, \
130 after Ctrl-C, 141 if the reader of the output left early.";

const EXAMPLES: &str = "\
Examples:
  attn-fiqa gate enrol photos/ --largest
  attn-fiqa gate policy.toml photos/ --output gate.csv --html refused.html
  attn-fiqa gate --print-policy enrol > policy.toml";
