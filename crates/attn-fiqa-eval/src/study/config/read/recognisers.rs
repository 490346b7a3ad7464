//! The recognition models.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::super::{ConfigError, DatasetConfig, EmbeddingsFrom, ModelConfig, RecogniserConfig};
use super::Reader;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRecogniser {
    pub(super) name: Spanned<String>,
    pub(super) model: Option<Spanned<PathBuf>>,
    pub(super) preset: Option<String>,
    pub(super) heads: Option<usize>,
    #[serde(default)]
    pub(super) flip: bool,
    #[serde(alias = "input")]
    pub(super) preprocess: Option<Spanned<String>>,
    pub(super) embeddings: Option<BTreeMap<Spanned<String>, PathBuf>>,
    pub(super) lists: Option<BTreeMap<Spanned<String>, PathBuf>>,
}

impl Reader<'_> {
    pub(super) fn recognisers(
        &self,
        raw: Vec<RawRecogniser>,
        datasets: &[DatasetConfig],
    ) -> Result<Vec<RecogniserConfig>, ConfigError> {
        self.check_names("recogniser", raw.iter().map(|recogniser| &recogniser.name))?;
        let recogniser = |raw: RawRecogniser| {
            let from = self.embeddings_from(&raw, datasets)?;
            Ok(RecogniserConfig { name: raw.name.into_inner(), from })
        };
        raw.into_iter().map(recogniser).collect()
    }

    fn embeddings_from(
        &self,
        raw: &RawRecogniser,
        datasets: &[DatasetConfig],
    ) -> Result<EmbeddingsFrom, ConfigError> {
        let (name, span) = (raw.name.get_ref(), Some(raw.name.span()));
        match (&raw.model, &raw.embeddings) {
            (Some(_), Some(_)) => {
                self.refuse(span, format!("'{name}' has both a model and embeddings"))
            }
            (None, None) => {
                let message = format!(
                    "'{name}' needs model = \"FILE\" (or \"built-in\"), or embeddings = {{ \
                     DATASET = \"FILE\" }}"
                );
                self.refuse(span, message)
            }
            (Some(_), None) if raw.lists.is_some() => {
                self.refuse(span, format!("'{name}' has lists but no embeddings"))
            }
            (Some(model), None) => {
                let preprocess = raw.preprocess.as_ref().map(|spec| spec.get_ref().clone());
                let found = self.model(model)?;
                let model = ModelConfig {
                    preset: raw.preset.clone().or(found.preset.clone()),
                    heads: raw.heads.or(found.heads),
                    flip: raw.flip,
                    preprocess,
                    ..found
                };
                self.check_model(&model, span, raw.preprocess.as_ref())?;
                Ok(EmbeddingsFrom::Model(model))
            }
            (None, Some(files)) => self.embedding_files(raw, files, datasets),
        }
    }

    /// Embeddings computed elsewhere, with their lists of names.
    fn embedding_files(
        &self,
        raw: &RawRecogniser,
        files: &BTreeMap<Spanned<String>, PathBuf>,
        datasets: &[DatasetConfig],
    ) -> Result<EmbeddingsFrom, ConfigError> {
        let span = Some(raw.name.span());
        if raw.preset.is_some() || raw.heads.is_some() || raw.flip || raw.preprocess.is_some() {
            let message = "preset, heads, flip and preprocess belong to a model, not to embeddings";
            return self.refuse(span, message);
        }
        self.check_datasets(raw.name.get_ref(), &span, files, datasets)?;
        for list in raw.lists.iter().flat_map(BTreeMap::keys) {
            if !files.contains_key(list) {
                let message = format!("no embeddings for the list of '{}'", list.get_ref());
                return self.refuse(Some(list.span()), message);
            }
        }
        let file = |(dataset, file): (&Spanned<String>, &PathBuf)| {
            let list = raw.lists.as_ref().and_then(|lists| lists.get(dataset));
            let list = list.map(|list| self.path(list));
            (dataset.get_ref().clone(), (self.path(file), list))
        };
        Ok(EmbeddingsFrom::Files(files.iter().map(file).collect()))
    }
}
