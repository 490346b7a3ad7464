//! Arguments of `attn-fiqa validate`.

use std::path::PathBuf;

use attn_fiqa::score::Method;

use super::{FaceArgs, InputArgs, KindsArgs, RunArgs};

#[derive(Debug, clap::Args)]
pub(crate) struct ValidateArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    #[command(flatten)]
    pub(crate) faces: FaceArgs,

    #[command(flatten)]
    pub(crate) run: RunArgs,

    #[command(flatten)]
    pub(crate) kinds: KindsArgs,

    /// Ways to a score, as in `attn-fiqa score` [default: attn-calibrated if the model was
    /// calibrated, else attn].
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', help_heading = "Output")]
    pub(crate) method: Vec<Method>,

    /// Also write kinds.csv (as on standard output), levels.csv (box plots), images.csv (every
    /// face's scores), validate.json and METHOD.svg and .png (box plots, a panel a kind) into
    /// this folder.
    #[arg(long, short, value_name = "DIR", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,
}
