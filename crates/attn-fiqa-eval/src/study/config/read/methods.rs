//! The quality methods.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use attn_fiqa::measure::MeasureName;
use attn_fiqa::score::Method;
use serde::Deserialize;
use toml::Spanned;

use super::super::{
    ConfigError, CropMeasure, DatasetConfig, EmbeddingsFrom, MethodConfig, ModelConfig,
    RecogniserConfig, ScoresFrom,
};
use super::Reader;
use crate::files::quality_columns;

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMethod {
    pub(super) name: Option<Spanned<String>>,
    pub(super) method: Option<Spanned<String>>,
    pub(super) model: Option<Spanned<PathBuf>>,
    pub(super) preset: Option<String>,
    pub(super) heads: Option<usize>,
    #[serde(alias = "input")]
    pub(super) preprocess: Option<Spanned<String>>,
    pub(super) norm_of: Option<Spanned<String>>,
    pub(super) scores: Option<BTreeMap<Spanned<String>, PathBuf>>,
    pub(super) column: Option<String>,
    pub(super) columns: Option<Spanned<Vec<String>>>,
}

impl Reader<'_> {
    pub(super) fn methods(
        &self,
        raw: Vec<RawMethod>,
        datasets: &[DatasetConfig],
        recognisers: &[RecogniserConfig],
    ) -> Result<Vec<MethodConfig>, ConfigError> {
        let mut named = Vec::with_capacity(raw.len());
        for raw in raw {
            self.expand(raw, &mut named)?;
        }
        self.check_names("method", named.iter().map(|(name, _)| name))?;
        let method = |(name, raw): (Spanned<String>, RawMethod)| {
            let from = self.scores_from(&name, &raw, datasets, recognisers)?;
            if raw.column.is_some() && raw.scores.is_none() {
                let message = format!("'{}' has a column but no scores", name.get_ref());
                return self.refuse(Some(name.span()), message);
            }
            Ok(MethodConfig { name: name.into_inner(), from })
        };
        named.into_iter().map(method).collect()
    }

    fn scores_from(
        &self,
        raw_name: &Spanned<String>,
        raw: &RawMethod,
        datasets: &[DatasetConfig],
        recognisers: &[RecogniserConfig],
    ) -> Result<ScoresFrom, ConfigError> {
        let (name, span) = (raw_name.get_ref(), Some(raw_name.span()));
        let has_network = raw.method.is_some()
            || raw.model.is_some()
            || raw.preset.is_some()
            || raw.heads.is_some()
            || raw.preprocess.is_some();
        match (&raw.scores, &raw.norm_of) {
            (Some(_), Some(_)) => {
                self.refuse(span, format!("'{name}' has both scores and norm_of"))
            }
            (Some(_), None) | (None, Some(_)) if has_network => {
                let message = format!(
                    "'{name}' has scores or norm_of, so it takes no method, model, preset, heads \
                     or preprocess"
                );
                self.refuse(span, message)
            }
            (Some(files), None) => {
                self.check_datasets(name, &span, files, datasets)?;
                let file = |(dataset, file): (&Spanned<String>, &PathBuf)| {
                    (dataset.get_ref().clone(), self.path(file))
                };
                Ok(ScoresFrom::Files(files.iter().map(file).collect(), raw.column.clone()))
            }
            (None, Some(of)) => self.embedding_norm(of, recognisers),
            (None, None) if self.names_measure(raw_name, raw) => self.measure(raw_name, raw),
            (None, None) => self.attention(raw_name, raw),
        }
    }

    /// The norm of a recogniser's embedding as a method.
    fn embedding_norm(
        &self,
        of: &Spanned<String>,
        recognisers: &[RecogniserConfig],
    ) -> Result<ScoresFrom, ConfigError> {
        let name = of.get_ref();
        let Some(found) = recognisers.iter().position(|r| &r.name == name) else {
            return self.refuse(Some(of.span()), format!("there is no recogniser '{name}'"));
        };
        if let EmbeddingsFrom::Model(ModelConfig { flip: true, .. }) = &recognisers[found].from {
            let message = format!(
                "the embeddings of '{name}' are normalised, because it has flip = true, so all \
                 have the same length"
            );
            return self.refuse(Some(of.span()), message);
        }
        Ok(ScoresFrom::EmbeddingNorm(found))
    }

    /// A method based on the attention of a Vision Transformer.
    fn attention(
        &self,
        name: &Spanned<String>,
        raw: &RawMethod,
    ) -> Result<ScoresFrom, ConfigError> {
        let text = raw.method.as_ref().unwrap_or(name);
        let method: Method = match text.get_ref().parse() {
            Ok(method) => method,
            Err(error) => return self.refuse(Some(text.span()), format!("{error}")),
        };
        let found = raw.model.as_ref().map(|model| self.model(model)).transpose()?;
        let found = found.unwrap_or_default();
        let model = ModelConfig {
            preset: raw.preset.clone().or(found.preset.clone()),
            heads: raw.heads.or(found.heads),
            ..found
        };
        let checked = ModelConfig { file: None, ..model.clone() };
        self.check_model(&checked, Some(name.span()), None)?;
        if let (true, Some(file)) = (model.is_onnx(), &model.file) {
            let message = format!(
                "'{method}' reads a Vision Transformer checkpoint; an ONNX quality network is \
                 method = \"onnx:{}\"",
                file.display()
            );
            return self.refuse(raw.model.as_ref().map(Spanned::span), message);
        }
        if let Some(input) = &raw.preprocess {
            return self.refuse(Some(input.span()), "preprocess belongs to ONNX networks");
        }
        Ok(ScoresFrom::Attention(model, method))
    }

    /// A method by its name; one per column if `columns` are given.
    fn expand(
        &self,
        mut raw: RawMethod,
        named: &mut Vec<(Spanned<String>, RawMethod)>,
    ) -> Result<(), ConfigError> {
        let Some(columns) = raw.columns.take() else {
            let Some(name) = raw.name.clone() else {
                let spans = [&raw.method, &raw.norm_of].map(|key| key.as_ref().map(Spanned::span));
                let of_model = raw.model.as_ref().map(Spanned::span);
                let [method, norm] = spans;
                let span = method.or(norm).or(of_model);
                return self.refuse(span, "a [[method]] needs a name, such as name = \"attn\"");
            };
            named.push((name, raw));
            return Ok(());
        };
        let span = Some(columns.span());
        let file = match raw.scores.as_ref().and_then(|files| files.values().next()) {
            Some(file) if raw.column.is_none() => self.path(file),
            _ => {
                let message = "columns belongs to scores = { DATASET = \"FILE\" }, without column";
                return self.refuse(span, message);
            }
        };
        let mut wanted = columns.get_ref().clone();
        if wanted == ["*"] {
            wanted = match quality_columns(&file) {
                Ok(found) => found,
                Err(error) => return self.refuse(span, error.to_string()),
            };
        }
        if wanted.is_empty() {
            let message =
                format!("columns names no column, or '{}' has no quality columns", file.display());
            return self.refuse(span, message);
        }
        for column in wanted {
            let name = match &raw.name {
                Some(name) => format!("{}: {column}", name.get_ref()),
                None => column.clone(),
            };
            let of_column = RawMethod { column: Some(column), ..raw.clone() };
            named.push((Spanned::new(columns.span(), name), of_column));
        }
        Ok(())
    }

    fn names_measure(&self, name: &Spanned<String>, raw: &RawMethod) -> bool {
        MeasureName::claims(raw.method.as_ref().unwrap_or(name).get_ref())
    }

    /// A method that needs no Vision Transformer.
    fn measure(&self, name: &Spanned<String>, raw: &RawMethod) -> Result<ScoresFrom, ConfigError> {
        let text = raw.method.as_ref().unwrap_or(name);
        let span = Some(text.span());
        if raw.model.is_some() || raw.preset.is_some() || raw.heads.is_some() {
            let message = format!("'{}' takes no model, preset or heads", text.get_ref());
            return self.refuse(span, message);
        }
        let name: MeasureName = match text.get_ref().parse() {
            Ok(name) => name,
            Err(error) => return self.refuse(span, format!("{error}")),
        };
        if let Some(measure) = CropMeasure::from_name(&name) {
            if raw.preprocess.is_some() {
                let message = format!("'{name}' reads the crop as it is; it has no preprocess");
                return self.refuse(span, message);
            }
            return Ok(ScoresFrom::Crop(measure));
        }
        let MeasureName::Onnx(file, spec) = name else {
            let message = format!(
                "'{name}' belongs to faces found in photos, but a benchmark has crops; write it \
                 with `attn-fiqa score --method {name} --output FILE.csv` and name that file under \
                 scores"
            );
            return self.refuse(span, message);
        };
        if spec.is_some() {
            return self.refuse(span, "give the preprocessing with preprocess = \"SPEC\"");
        }
        let file = self.path(&file);
        if let Err(error) = fs::metadata(&file) {
            let message = format!("'{}' cannot be read: {error}", file.display());
            return self.refuse(span, message);
        }
        let preprocess = raw.preprocess.as_ref().map(|spec| spec.get_ref().clone());
        let model = ModelConfig { file: Some(file), preprocess, ..ModelConfig::default() };
        self.check_model(&model, span, raw.preprocess.as_ref())?;
        Ok(ScoresFrom::Network(model))
    }
}
