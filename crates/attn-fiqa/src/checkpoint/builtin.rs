//! The model embedded in the program.

use super::{Checkpoint, CheckpointError, CheckpointOptions};

/// The built-in model's name in reports.
pub const BUILTIN_NAME: &str = "built-in attn-fiqa-t";

/// Opens the model embedded in the program: nothing needs to be downloaded.
///
/// Its model card, with its training data and limits of use, is `models/attn-fiqa-t.md`.
///
/// # Errors
///
/// None for the model as shipped; it goes through the same checks as any file.
pub fn builtin() -> Result<Checkpoint, CheckpointError> {
    let bytes = attn_fiqa_models::ATTN_FIQA_T;
    Checkpoint::from_static(bytes, BUILTIN_NAME, &CheckpointOptions::default())
}
