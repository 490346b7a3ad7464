//! The networks of recognisers and methods.

use std::ops::Range;
use std::path::PathBuf;

use attn_fiqa::checkpoint::Preset;
use attn_fiqa::recognise::InputSpec;
use toml::Spanned;

use super::super::{ConfigError, ModelConfig};
use super::Reader;

impl Reader<'_> {
    /// Settings that do not apply to a model's kind.
    pub(super) fn check_model(
        &self,
        model: &ModelConfig,
        span: Option<Range<usize>>,
        preprocess: Option<&Spanned<String>>,
    ) -> Result<(), ConfigError> {
        let known = |name: &String| Preset::from_name(name).is_some();
        if let Some(preset) = model.preset.as_ref().filter(|name| !known(name)) {
            let names: Vec<&str> = Preset::ALL.iter().map(|preset| preset.name()).collect();
            let message = format!("no preset '{preset}'; expected one of {}", names.join(", "));
            return self.refuse(span, message);
        }
        match (model.is_onnx(), preprocess) {
            (true, _) if model.preset.is_some() || model.heads.is_some() => {
                self.refuse(span, "preset and heads belong to checkpoints, not to ONNX networks")
            }
            (true, Some(spec)) => match spec.get_ref().parse::<InputSpec>() {
                Ok(_) => Ok(()),
                Err(error) => self.refuse(Some(spec.span()), format!("{error}")),
            },
            (false, Some(spec)) => {
                self.refuse(Some(spec.span()), "preprocess belongs to ONNX networks (FILE.onnx)")
            }
            _ => Ok(()),
        }
    }

    /// The model from a file or by name; an existing file has precedence.
    pub(super) fn model(&self, model: &Spanned<PathBuf>) -> Result<ModelConfig, ConfigError> {
        let path = self.path(model.get_ref());
        if path.exists() {
            return Ok(ModelConfig { file: Some(path), ..ModelConfig::default() });
        }
        match model.get_ref().to_str() {
            Some("built-in" | "builtin") => return Ok(ModelConfig::default()),
            Some(name) => match (self.find_model)(name) {
                Ok(Some(found)) => return Ok(found),
                Ok(None) => {}
                Err(message) => return self.refuse(Some(model.span()), message),
            },
            None => {}
        }
        let file = self.existing(model)?;
        Ok(ModelConfig { file: Some(file), ..ModelConfig::default() })
    }
}
