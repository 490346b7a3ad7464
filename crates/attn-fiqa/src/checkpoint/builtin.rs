//! The model that is part of the program.

use super::{Checkpoint, CheckpointError, CheckpointOptions};

/// The built-in model's name in reports.
pub const BUILTIN_NAME: &str = "built-in attn-fiqa-t";

/// Opens the model that is embedded in the program: nothing to download.
///
/// Its card, with what it was trained on and what it is not for, is
/// `models/attn-fiqa-t.md`.
///
/// # Errors
///
/// Never for the model as it ships; the same checks run as for any file.
pub fn builtin() -> Result<Checkpoint, CheckpointError> {
    let bytes = attn_fiqa_models::ATTN_FIQA_T;
    Checkpoint::from_static(bytes, BUILTIN_NAME, &CheckpointOptions::default())
}
