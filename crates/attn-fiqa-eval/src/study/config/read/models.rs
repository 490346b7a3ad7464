//! The networks of recognisers and methods.

use std::ops::Range;
use std::path::PathBuf;

use attn_fiqa::checkpoint::Preset;
use attn_fiqa::recognise::InputSpec;
use toml::Spanned;

use super::super::{ConfigError, ModelConfig};
use super::Reader;

impl Reader<'_> {
    /// Settings that a model's kind does not have.
    pub(super) fn check_model(
        &self,
        model: &ModelConfig,
        span: Option<Range<usize>>,
        input: Option<&Spanned<String>>,
    ) -> Result<(), ConfigError> {
        let known = |name: &String| Preset::from_name(name).is_some();
        if let Some(preset) = model.preset.as_ref().filter(|name| !known(name)) {
            let names: Vec<&str> = Preset::ALL.iter().map(|preset| preset.name()).collect();
            let message = format!("no preset '{preset}'; expected one of {}", names.join(", "));
            return self.refuse(span, message);
        }
        match (model.is_onnx(), input) {
            (true, _) if model.preset.is_some() || model.heads.is_some() => {
                self.refuse(span, "preset and heads belong to checkpoints, not to ONNX networks")
            }
            (true, Some(input)) => match input.get_ref().parse::<InputSpec>() {
                Ok(_) => Ok(()),
                Err(error) => self.refuse(Some(input.span()), format!("{error}")),
            },
            (false, Some(input)) => {
                self.refuse(Some(input.span()), "input belongs to ONNX networks (FILE.onnx)")
            }
            _ => Ok(()),
        }
    }

    /// The file of a model, or `None` for the built-in one.
    pub(super) fn model_file(
        &self,
        model: &Spanned<PathBuf>,
    ) -> Result<Option<PathBuf>, ConfigError> {
        if model.get_ref().as_os_str() == "builtin" {
            return Ok(None);
        }
        self.existing(model).map(Some)
    }
}
