//! Arguments of `attn-fiqa embed`.

use std::path::PathBuf;

use attn_fiqa::recognise::InputSpec;
use clap::ValueEnum;

use super::{FaceArgs, FolderArgs, InputArgs, ModelArgs, RowsPerFileArgs, ShardArgs};

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct EmbedArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    #[command(flatten)]
    pub(crate) faces: FaceArgs,

    #[command(flatten)]
    pub(crate) model: ModelArgs,

    /// Preprocessing of an ONNX model: its name or rgb|bgr:MEAN:STD
    ///
    /// One of arcface, elasticface, magface, curricularface, sface, mobilefacenet, or rgb:MEAN:STD
    /// or bgr:MEAN:STD for levels of 0 to 255. Known for SFace and InsightFace files.
    #[arg(long, alias = "pixels", value_name = "SPEC", help_heading = "Model")]
    pub(crate) preprocess: Option<InputSpec>,

    /// Concatenate the embeddings of the face and of its mirror image
    ///
    /// Each has length 1, as in the CR-FIQA evaluation.
    #[arg(long, help_heading = "Output")]
    pub(crate) flip: bool,

    /// Normalise each embedding to length 1
    ///
    /// Without it (and --flip), embeddings are raw network output.
    #[arg(long, alias = "normalize", conflicts_with = "flip", help_heading = "Output")]
    pub(crate) normalise: bool,

    /// FILE.npy, .csv, .jsonl, .parquet, '-' (CSV on standard output) or a folder
    ///
    /// FILE.npy: one float32 matrix, plus FILE.txt with one name per row. FILE.csv,
    /// .jsonl or .parquet: one row per face; its column 'score' is the length of the embedding
    /// before normalisation. DIR: STEM.npy for each face.
    #[arg(long, short, value_name = "DIR|FILE", help_heading = "Output")]
    pub(crate) output: PathBuf,

    /// npy, csv, jsonl or parquet [default: by --output]
    ///
    /// 'parquet' with a folder writes a data set.
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        hide_short_help = true,
        help_heading = "Output"
    )]
    pub(crate) format: Option<EmbeddingFormat>,

    #[command(flatten)]
    pub(crate) rows: RowsPerFileArgs,

    #[command(flatten)]
    pub(crate) folder: FolderArgs,

    #[command(flatten)]
    pub(crate) shard: ShardArgs,
}

const EXAMPLES: &str = "\
Examples:
  attn-fiqa embed photos/ --normalise --output embeddings.npy
  attn-fiqa embed crops/ --aligned --model w600k_r50.onnx --output embeddings.parquet";

/// How embeddings are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EmbeddingFormat {
    /// NumPy arrays
    Npy,
    /// Comma-separated values with a header
    Csv,
    /// One JSON object per line
    Jsonl,
    /// Apache Parquet
    Parquet,
}
