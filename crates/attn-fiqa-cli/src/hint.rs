//! Maps library errors, whose messages name no flags, to the flags that resolve them; and errors of
//! a study to keys of its description.

use attn_fiqa::checkpoint::{CheckpointError, CheckpointProblem};
use attn_fiqa::decode::VIDEO_NOT_IMAGE;
use attn_fiqa::engine::RequestError;
use attn_fiqa::export::{ExportError, ExportProblem};
use attn_fiqa::measure::QualityNetworkError;
use attn_fiqa::recognise::RecogniserError;
use attn_fiqa::source::SourceError;
use attn_fiqa::status::{Failure, Status};
use attn_fiqa_eval::files::{FileError, FileProblem};
use attn_fiqa_eval::study::StudyError;

use crate::inputs::NO_COLUMN;

/// An image's failure as shown in a row or a line for people.
pub(crate) fn message_of(failure: &Failure) -> String {
    with_hint(failure, "leave out --aligned to find and align faces, or add --resize")
}

/// As [`message_of`], for a command that takes only aligned crops.
pub(crate) fn message_of_crop(failure: &Failure) -> String {
    with_hint(failure, "`attn-fiqa crop` does both")
}

/// The message, with what resolves it in the words of the command line.
fn with_hint(failure: &Failure, for_wrong_size: &str) -> String {
    let Failure { status, message } = failure;
    let hint = match status {
        Status::WrongSize => for_wrong_size,
        Status::TooLarge => "--max-pixels, --max-bytes and --max-memory are the limits",
        Status::NotAnImage if message == VIDEO_NOT_IMAGE => "`best` reads videos frame by frame",
        _ => return message.clone(),
    };
    format!("{message} ({hint})")
}

/// The flag that resolves an error which ends the run.
pub(crate) fn for_error(error: &anyhow::Error) -> Option<&'static str> {
    error.chain().find_map(|cause| {
        if let Some(error) = cause.downcast_ref() {
            return for_study(error);
        }
        if let Some(error) = cause.downcast_ref::<FileError>() {
            return match error.problem() {
                FileProblem::Missing { .. } => Some("--missing skip leaves their comparisons out"),
                FileProblem::NoColumn { .. } => Some("FILE:COLUMN names another"),
                FileProblem::NoNames => Some("--names FILE"),
                _ => None,
            };
        }
        if let Some(SourceError::NoImages { unsearched: true, .. }) = cause.downcast_ref() {
            return Some("without --no-recursive they are searched");
        }
        if let Some(SourceError::Unusable { message, .. }) = cause.downcast_ref()
            && message.starts_with(NO_COLUMN)
        {
            return Some("--column names another");
        }
        if let Some(RequestError::NoEmbeddingHead) = cause.downcast_ref() {
            return Some("`model convert --quality-only` writes such files");
        }
        if let Some(RequestError::NoCauses) = cause.downcast_ref() {
            return Some("`calibrate --only causes` adds them to a calibrated model");
        }
        if let Some(error) = cause.downcast_ref::<ExportError>() {
            return for_export(error.problem());
        }
        match cause.downcast_ref::<CheckpointError>()?.problem() {
            CheckpointProblem::HeadsUnknown { .. } => Some("--heads N or --preset NAME"),
            CheckpointProblem::Layout(mismatch) if !mismatch.harmless.is_empty() => {
                Some("--allow-unused accepts these")
            }
            _ => None,
        }
    })
}

fn for_export(problem: &ExportProblem) -> Option<&'static str> {
    match problem {
        ExportProblem::NoQuality => Some("`calibrate` adds one"),
        ExportProblem::NoCauses => Some("`calibrate --only causes` adds one to a calibrated model"),
        ExportProblem::NoEmbedding => Some("`model convert --quality-only` writes such files"),
        ExportProblem::OtherMethod { .. } => Some("--outputs lists what is written"),
        ExportProblem::Overflow { .. } => Some("--dtype f32"),
        ExportProblem::TooLarge { .. } => Some("--dtype f16, or --outputs without embedding"),
        _ => None,
    }
}

/// The key of a study's description that resolves an error.
fn for_study(error: &StudyError) -> Option<&'static str> {
    match error {
        StudyError::File(error) => match error.problem() {
            FileProblem::Missing { .. } | FileProblem::Incomplete { .. } => Some(
                "missing = \"skip\" under [settings], or --missing skip, leaves their comparisons \
                 out",
            ),
            FileProblem::NoColumn { .. } => {
                Some("column = \"NAME\", or columns = [\"NAME\", …], next to scores names others")
            }
            FileProblem::NoNames => Some("lists = { DATASET = \"FILE\" } next to embeddings"),
            _ => None,
        },
        StudyError::Checkpoint(error) => match error.problem() {
            CheckpointProblem::HeadsUnknown { .. } => {
                Some("heads = N or preset = \"NAME\" next to model")
            }
            _ => None,
        },
        StudyError::Recogniser(RecogniserError::NoSpec { .. })
        | StudyError::QualityNetwork(QualityNetworkError::Recogniser(RecogniserError::NoSpec {
            ..
        })) => Some("preprocess = \"NAME\" next to it"),
        StudyError::QualityNetwork(QualityNetworkError::NotOneNumber { .. }) => {
            Some("norm_of = \"RECOGNISER\" is that length")
        }
        StudyError::Method { source: RequestError::NoEmbeddingHead, .. } => {
            Some("name the whole checkpoint as model; `model convert --quality-only` leaves it out")
        }
        _ => None,
    }
}
