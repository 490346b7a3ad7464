//! Arguments of `attn-fiqa validate`.

use std::path::PathBuf;

use super::{BestFaceArgs, DegradationArgs, FaceArgs, InputArgs, ModelArgs, QualityName};

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ValidateArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    #[command(flatten)]
    pub(crate) faces: FaceArgs,

    #[command(flatten)]
    pub(crate) best: BestFaceArgs,

    #[command(flatten)]
    pub(crate) model: ModelArgs,

    #[command(flatten)]
    pub(crate) degradation: DegradationArgs,

    /// Quality methods [default: the model's calibrated one, else attn]
    ///
    /// As in `attn-fiqa score`, except those that do not depend on the crop's pixels:
    /// inter-eye-distance and detection-score.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', help_heading = "Output")]
    pub(crate) method: Vec<QualityName>,

    /// Also write tables, scores and box plots into this folder
    ///
    /// kinds.csv (as on standard output), levels.csv (box plots), images.csv (every face's
    /// scores), validate.json and METHOD.svg and .png (box plots, one panel per kind).
    #[arg(long, short, value_name = "DIR", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  attn-fiqa validate crops/ --aligned
  attn-fiqa validate crops/ --aligned --method attn,laplacian --output validation/";
