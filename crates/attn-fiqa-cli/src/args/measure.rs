//! Arguments of `attn-fiqa measure`.

use std::path::PathBuf;

use super::{FaceArgs, InputArgs, TextFormat};

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = super::join(ABOUT, EXAMPLES))]
pub(crate) struct MeasureArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    #[command(flatten)]
    pub(crate) faces: FaceArgs,

    /// table, csv or jsonl [default: by --output]
    ///
    /// Without --output: a table on a terminal, else csv, with one row per face and measure.
    #[arg(long, value_enum, hide_possible_values = true, help_heading = "Output")]
    pub(crate) format: Option<TextFormat>,

    /// Write to this file, which appears only when it is complete
    #[arg(long, short, value_name = "FILE", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,
}

const ABOUT: &str = "\
Measures of ISO/IEC 29794-5 that five landmarks, the face boxes and the pixels allow, under its \
names, and measures of our own in lower case: the native value, the value on 0 (worst) … 100 \
(best) where there is such a scale, and the basis: 'same formula', 'estimate' or 'own'. None is \
tested for conformance (docs/measures.md). They do not affect the quality, and need a face \
detected or aligned by landmarks. `attn-fiqa score --columns components` writes them with the \
quality, one row per face.";

const EXAMPLES: &str = "\
Examples:
  attn-fiqa measure photo.jpg
  attn-fiqa measure photos/ --largest --output measures.csv";
