//! Arguments of `attn-fiqa score`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::{BestFaceArgs, FaceArgs, InputArgs, ModelArgs, QualityName, ResumeArgs};

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = super::join(QUALITY, EXAMPLES))]
pub(crate) struct ScoreArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    #[command(flatten)]
    pub(crate) faces: FaceArgs,

    #[command(flatten)]
    pub(crate) best: BestFaceArgs,

    /// Also align each face N times with noise on its landmarks (column jitter_std)
    ///
    /// The noise is 2 % of the inter-eye distance; jitter_std is the standard deviation of the
    /// score.
    #[arg(long, value_name = "N", conflicts_with = "aligned", value_parser = clap::value_parser!(u16).range(2..=1000), hide_short_help = true, help_heading = "Faces")]
    pub(crate) jitter: Option<u16>,

    #[command(flatten)]
    pub(crate) model: ModelArgs,

    /// Quality methods; the first is the column 'score'
    ///
    /// Of the model: attn (as published), attn-calibrated, attn-median, attn-max,
    /// attn-inverse-std, each with @block=N and @head=N; vitnt, vitnt-weighted, norm, dropout.
    /// Without the model: laplacian, inter-eye-distance, detection-score and
    /// `onnx:FILE[@preprocess=SPEC]`, a quality network (docs/methods.md). The default is
    /// attn-calibrated for a calibrated model, else attn.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', help_heading = "Output")]
    pub(crate) method: Vec<QualityName>,

    /// Further columns: band, match_probability, main_cause, causes, weak_regions, size,
    /// landmarks, components, map, embedding
    #[arg(long, value_enum, value_name = "NAME,…", value_delimiter = ',', hide_possible_values = true, help_heading = "Output", long_help = COLUMNS)]
    pub(crate) columns: Vec<Column>,

    /// table, csv, jsonl, parquet or txt [default: by --output]
    ///
    /// Without --output: a table on a terminal, else csv.
    /// table: for people, with a bar over the range of the set; 'path#1' is a second face.
    /// csv: comma-separated values with a header; lists in a cell are separated by spaces.
    /// jsonl: one JSON object per line.
    /// parquet: Apache Parquet.
    /// txt: the usual quality file, path and score with 15 digits; 'path#1', 'path#2', … for
    /// further faces of an image, 'nan' for a failed image, '\u{fffd}' for a line break in a
    /// path.
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        verbatim_doc_comment,
        help_heading = "Output"
    )]
    pub(crate) format: Option<FormatChoice>,

    /// Write to this file, which appears only when it is complete
    #[arg(long, short, value_name = "FILE", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) resume: ResumeArgs,
}

const COLUMNS: &str = "\
Further columns:
band: the quality as a word: unusable (0-19), poor (20-39), fair (40-59), good (60-79), excellent \
(80-100)
match_probability: probability, 0 to 1, that the recogniser of the model's calibration matches \
the face with a clean image of the same person; needs the calibrated method
main_cause: what costs the face most quality, such as blur, too_dark or pose; empty where nothing \
does (docs/reasons.md); needs a calibration with causes
causes: everything that costs it quality, as cause:strength, strongest first; strengths range \
from 0 to 1
weak_regions: parts of the face whose attention is far below that of good faces, the weakest \
first: left_eye, right_eye, nose, mouth, chin, forehead
size: width and height of the image in its file, upright, in pixels
landmarks: left_eye_x, left_eye_y, right_eye_…, nose_…, left_mouth_…, right_mouth_…, in pixels of \
the upright image, left and right as seen in it
components: component measures, each with its native value and on 0-100: InterEyeDistance, \
InterEyeDistance.scalar, … (docs/measures.md)
map: attention received by each patch, row by row; its mean is the score
embedding: the recognition embedding as output by the network, unnormalised";

const QUALITY: &str = "\
The column 'quality' is the score mapped to 0 (worst) … 100 (best) as in ISO/IEC 29794-1, by the \
calibration stored with the model for one method; -1 where no quality could be computed. It is \
empty for a model, or a method, without a calibration: `attn-fiqa calibrate DIR --model FILE \
--output NEW.safetensors` makes one. For the built-in model 60 means: recognised 95 % of the time \
at FMR 1e-3, by SFace, on degraded and turned faces; 20 means half of the time, 80 is an ordinary \
clean face. Qualities of different models are not comparable.";

const EXAMPLES: &str = "\
Examples:
  attn-fiqa score photo.jpg
  attn-fiqa score photos/ --output scores.csv
  attn-fiqa score crops/ --aligned --columns band,map --output scores.parquet";

/// A column on request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Column {
    Band,
    MatchProbability,
    MainCause,
    Causes,
    WeakRegions,
    Size,
    Landmarks,
    /// Component measures, also named after the standard that defines most of them.
    #[value(alias = "iso")]
    Components,
    Map,
    Embedding,
}

impl Column {
    /// Whether its cells are lists of numbers, for which a table has no place.
    pub(crate) fn is_list(self) -> bool {
        matches!(self, Self::Map | Self::Embedding)
    }
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatChoice {
    Table,
    Csv,
    Jsonl,
    Parquet,
    Txt,
}
