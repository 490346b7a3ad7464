//! The model embedded in the program.

use super::{Checkpoint, CheckpointError, CheckpointOptions};

/// The built-in model's name in reports.
pub const BUILTIN_NAME: &str = "built-in attn-fiqa-t";

/// Opens the model embedded in the program: nothing needs to be downloaded.
///
/// Its model card, with its training data and limits of use, is `models/attn-fiqa-t.md`. With the
/// feature `builtin-embedding`, which is on by default, it computes embeddings as well as scores;
/// without it, the model is [quality-only](Checkpoint::is_quality_only) and 10 MB smaller. Scores
/// are bit for bit identical.
///
/// # Errors
///
/// None for the model as shipped; it goes through the same checks as any file.
#[allow(clippy::needless_return, reason = "it ends the function for one of two features")]
pub fn builtin() -> Result<Checkpoint, CheckpointError> {
    let options = CheckpointOptions::default();
    #[cfg(feature = "builtin-embedding")]
    return full::open(BUILTIN_NAME, &options)
        .map_err(|problem| CheckpointError::new(BUILTIN_NAME, problem));
    #[cfg(not(feature = "builtin-embedding"))]
    Checkpoint::from_static(attn_fiqa_models::ATTN_FIQA_T, BUILTIN_NAME, &options)
}

/// The model in two parts, since a crate package is limited to 10 MB.
#[cfg(feature = "builtin-embedding")]
mod full {
    use super::super::bytes::Bytes;
    use super::super::error::CheckpointProblem;
    use super::super::safetensors;
    use super::{Checkpoint, CheckpointOptions};

    /// The query and key rows of the last block, which the second part holds with its value rows.
    const QUERY_AND_KEY: &str = ".attn.qk.";

    pub(super) fn open(
        name: &str,
        options: &CheckpointOptions,
    ) -> Result<Checkpoint, CheckpointProblem> {
        let parts = [attn_fiqa_models::ATTN_FIQA_T, attn_fiqa_models_embedding::ATTN_FIQA_T];
        let [mut contents, embedding] =
            [safetensors::read(parts[0])?, safetensors::read(parts[1])?];
        contents.tensors.retain(|(name, _)| !name.contains(QUERY_AND_KEY));
        for (name, mut tensor) in embedding.tensors {
            tensor.file = 1;
            contents.tensors.push((name, tensor));
        }
        // The metadata of the embedding part describe the combined model.
        contents.metadata.extend(embedding.metadata);
        let shards = parts.map(Bytes::Static).into();
        Checkpoint::load(Bytes::Static(&[]), shards, contents, name, Vec::new(), options)
    }
}
