//! `attn-fiqa model export`: networks for other runtimes.

use std::path::{Path, PathBuf};

use attn_fiqa::export::{ExportOptions, export_detector, export_landmarks, export_score};

use super::check_output;
use crate::args::{ExportArgs, NetworkChoice};
use crate::models::{BUILT_IN_LICENCE, Located, locate};

const FORMAT: &str = "an ONNX file";
const ENDING: &str = "onnx";

pub(super) fn run(args: &ExportArgs) -> anyhow::Result<()> {
    if args.network == NetworkChoice::Score {
        return score(args);
    }
    let given = args.given_for_the_score();
    if !given.is_empty() {
        anyhow::bail!(
            "{} describe a score; the detector and the landmark network are written as they are",
            given.join(", ")
        );
    }
    check_output(Path::new(""), &args.output, FORMAT, ENDING)?;
    match args.network {
        NetworkChoice::Detector => export_detector(&args.output, args.opset)?,
        _ => export_landmarks(&args.output, args.opset)?,
    }
    Ok(())
}

fn score(args: &ExportArgs) -> anyhow::Result<()> {
    let located = match &args.model {
        Some(model) => locate(model)?,
        None => Located::BuiltIn,
    };
    let (input, licence) = match located {
        Located::BuiltIn => (PathBuf::new(), Some(BUILT_IN_LICENCE.to_owned())),
        Located::File(file, entry) => (file, entry.and_then(|entry| entry.licence)),
    };
    check_output(&input, &args.output, FORMAT, ENDING)?;
    let checkpoint = args.options.open(args.model.as_deref())?;
    let outputs: Vec<_> = args.outputs.iter().map(|&output| output.into()).collect();
    let options = ExportOptions {
        dtype: args.dtype.into(),
        outputs: (!outputs.is_empty()).then_some(outputs),
        opset: args.opset,
        licence,
    };
    export_score(&checkpoint, &args.output, &options)?;
    Ok(())
}
