//! Models of a study by name.

use std::path::Path;

use attn_fiqa_eval::study::config::ModelConfig;

use super::{Located, Registry, locate};

/// The model with a name from `attn-fiqa model list`; `None` if there is no such name.
///
/// # Errors
///
/// If there is one but its file is missing or has changed.
pub(crate) fn find_for_study(name: &str) -> Result<Option<ModelConfig>, String> {
    let message = |error: anyhow::Error| format!("{error:#}");
    if Registry::open().map_err(message)?.find(name).is_none() {
        return Ok(None);
    }
    Ok(match locate(Path::new(name)).map_err(message)? {
        Located::BuiltIn => Some(ModelConfig::default()),
        Located::File(file, entry) => {
            let entry = entry.unwrap_or_default();
            Some(ModelConfig {
                file: Some(file),
                preset: entry.preset.clone(),
                heads: entry.heads,
                activation: entry.activation.clone(),
                ..ModelConfig::default()
            })
        }
    })
}
