//! Arguments of `attn-fiqa embed`.

use std::path::PathBuf;

use attn_fiqa::recognise::InputSpec;

use super::{FaceArgs, InputArgs, RunArgs};

#[derive(Debug, clap::Args)]
pub(crate) struct EmbedArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    #[command(flatten)]
    pub(crate) faces: FaceArgs,

    #[command(flatten)]
    pub(crate) run: RunArgs,

    /// What an ONNX model wants done to pixels: arcface, elasticface, magface, curricularface,
    /// sface, mobilefacenet, or rgb:MEAN:STD or bgr:MEAN:STD for levels of 0 to 255 [default:
    /// known for SFace's and InsightFace's files].
    #[arg(long, value_name = "SPEC", help_heading = "Model")]
    pub(crate) pixels: Option<InputSpec>,

    /// Put the embeddings of the face and of its mirror image one after the other, each at
    /// length 1, as the CR-FIQA evaluation compares them.
    #[arg(long, help_heading = "Output")]
    pub(crate) flip: bool,

    /// Bring each embedding to length 1; without it (and --flip) they are as the network
    /// gives them.
    #[arg(long, conflicts_with = "flip", help_heading = "Output")]
    pub(crate) normalise: bool,

    /// FILE.npy: one float32 matrix, and FILE.txt beside it with a name a row. FILE.csv,
    /// .jsonl or .parquet: a row a face, its column 'score' being the length of the embedding
    /// before it was normalised. '-': such rows as CSV on standard output. DIR: STEM.npy for each
    /// face.
    #[arg(long, short, value_name = "DIR|FILE", help_heading = "Output")]
    pub(crate) output: PathBuf,
}
