//! Arguments of `attn-fiqa score`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::{FaceArgs, InputArgs, QualityName, RunArgs};

#[derive(Debug, clap::Args)]
#[command(after_help = QUALITY)]
pub(crate) struct ScoreArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    #[command(flatten)]
    pub(crate) faces: FaceArgs,

    /// Align each face N times more with noise of 2 % of the eye distance on its landmarks:
    /// column jitter_std, the standard deviation of the score.
    #[arg(long, value_name = "N", conflicts_with = "aligned", value_parser = clap::value_parser!(u16).range(2..=1000), help_heading = "Faces")]
    pub(crate) jitter: Option<u16>,

    #[command(flatten)]
    pub(crate) run: RunArgs,

    /// Ways to a score, the first one being the column 'score': attn (published),
    /// attn-calibrated, attn-median, attn-max, attn-inverse-std, each with
    /// @block=N and @head=N; vitnt, vitnt-weighted, norm, dropout, of the same
    /// model; and without it laplacian, eye-distance, detector-score and
    /// `onnx:FILE[@input=SPEC]`, a quality network (docs/methods.md) [default:
    /// attn-calibrated if the model was calibrated, else attn].
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', help_heading = "Output")]
    pub(crate) method: Vec<QualityName>,

    /// Further columns.
    #[arg(long, value_enum, value_name = "NAME,…", value_delimiter = ',', help_heading = "Output")]
    pub(crate) columns: Vec<Column>,

    /// How rows are written [default: by the ending of --output; a table on a terminal, else csv].
    #[arg(long, value_enum, help_heading = "Output")]
    pub(crate) format: Option<FormatChoice>,

    /// Write to this file, which appears only when it is complete.
    #[arg(long, short, value_name = "FILE", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,
}

const QUALITY: &str = "\
The column 'quality' is the score brought to 0 (worst) … 100 (best) as in ISO/IEC 29794-1, by the \
calibration stored with the model for one method; -1 where no quality could be computed. It is \
empty for a model, or a method, without a calibration: `attn-fiqa calibrate --faces DIR --model \
FILE --output NEW.safetensors` makes one. Of the built-in model 60 means: known again 95 % of the \
time at FMR 1e-3, by SFace, on damaged and turned faces; 20 means half of the time, 80 is an \
ordinary clean face. Qualities of different models do not compare.";

/// A column on request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Column {
    /// band: the quality in a word: unusable (0-19), poor (20-39), fair (40-59), good (60-79),
    /// excellent (80-100).
    Band,
    /// match_probability: the chance, 0 to 1, that the recogniser of the model's calibration
    /// knows the face again; the score has to be the one that was calibrated.
    MatchProbability,
    /// width and height of the picture in its file, upright, in pixels.
    Size,
    /// left_eye_x, left_eye_y, right_eye_…, nose_…, left_mouth_…, right_mouth_…: landmarks in
    /// pixels of the upright picture, left and right as seen in it.
    Landmarks,
    /// received: attention received by each patch, row by row; its mean is the score.
    Map,
    /// embedding: the recognition embedding as the network gives it, not normalised.
    Embedding,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatChoice {
    /// For people: path, score and a bar over the range of the set; 'path#1' is a second face.
    Table,
    /// Comma-separated values with a heading; lists inside a cell are separated by spaces.
    Csv,
    /// A JSON object a line.
    Jsonl,
    /// Apache Parquet.
    Parquet,
    /// The field's quality file: path and score with 15 digits; 'path#1', 'path#2', … for
    /// further faces of a picture, 'nan' where an image failed, '\u{fffd}' for a line break in
    /// a path.
    Txt,
}
