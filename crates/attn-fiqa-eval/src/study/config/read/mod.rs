//! Parses the text of a study file; each error names its line.

mod datasets;
mod methods;
mod models;
mod recognisers;
mod settings;

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::{ConfigError, DatasetConfig, FindModel, MethodConfig, RecogniserConfig, Settings};

use datasets::RawDataset;
use methods::RawMethod;
use recognisers::RawRecogniser;

/// The named parts of a study file.
pub(super) struct Parts {
    pub(super) settings: Settings,
    pub(super) datasets: Vec<DatasetConfig>,
    pub(super) recognisers: Vec<RecogniserConfig>,
    pub(super) methods: Vec<MethodConfig>,
}

/// Parses a study file's text; relative paths start from `folder`, and `find_model` finds models by
/// name.
pub(super) fn parts(
    file: &str,
    text: &str,
    folder: &Path,
    find_model: FindModel<'_>,
) -> Result<Parts, ConfigError> {
    let reader = Reader { file, text, folder, find_model };
    let raw: Raw = toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| reader.line(&span));
        ConfigError { file: file.to_owned(), line, message: error.message().to_owned() }
    })?;
    let settings = reader.settings(raw.settings)?;
    let datasets = reader.datasets(raw.dataset)?;
    let recognisers = reader.recognisers(raw.recogniser, &datasets)?;
    let methods = reader.methods(raw.method, &datasets, &recognisers)?;
    Ok(Parts { settings, datasets, recognisers, methods })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    settings: Option<Spanned<Settings>>,
    #[serde(default)]
    dataset: Vec<RawDataset>,
    #[serde(default)]
    recogniser: Vec<RawRecogniser>,
    #[serde(default)]
    method: Vec<RawMethod>,
}

/// Reads one file; errors name it and the line.
struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    folder: &'a Path,
    find_model: FindModel<'a>,
}

impl Reader<'_> {
    fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.as_bytes().get(..span.start).unwrap_or_default();
        before.iter().filter(|&&byte| byte == b'\n').count() + 1
    }

    fn refuse<T>(
        &self,
        span: Option<Range<usize>>,
        message: impl Into<String>,
    ) -> Result<T, ConfigError> {
        let line = span.map(|span| self.line(&span));
        Err(ConfigError { file: self.file.to_owned(), line, message: message.into() })
    }

    fn path(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }

    fn existing(&self, path: &Spanned<PathBuf>) -> Result<PathBuf, ConfigError> {
        let found = self.path(path.get_ref());
        match fs::metadata(&found) {
            Ok(_) => Ok(found),
            Err(error) => {
                let message = format!("'{}' cannot be read: {error}", found.display());
                self.refuse(Some(path.span()), message)
            }
        }
    }

    fn check_names<'n>(
        &self,
        what: &str,
        names: impl Iterator<Item = &'n Spanned<String>>,
    ) -> Result<(), ConfigError> {
        let mut known: BTreeMap<&str, usize> = BTreeMap::new();
        for name in names {
            let (span, text) = (name.span(), name.get_ref().as_str());
            let line = self.line(&span);
            if text.trim().is_empty() || text.chars().any(char::is_control) {
                return self
                    .refuse(Some(span), format!("a {what} needs a name of visible characters"));
            }
            if let Some(first) = known.insert(text, line) {
                let message = format!("{what} '{text}' was already described on line {first}");
                return self.refuse(Some(span), message);
            }
        }
        if known.is_empty() {
            return self.refuse(None, format!("there is no [[{what}]]"));
        }
        Ok(())
    }

    /// Checks that there is a file for every data set, and for nothing else.
    fn check_datasets(
        &self,
        name: &str,
        span: &Option<Range<usize>>,
        files: &BTreeMap<Spanned<String>, PathBuf>,
        datasets: &[DatasetConfig],
    ) -> Result<(), ConfigError> {
        for (dataset, file) in files {
            let text = dataset.get_ref();
            if !datasets.iter().any(|known| &known.name == text) {
                let message = format!("there is no dataset '{text}'");
                return self.refuse(Some(dataset.span()), message);
            }
            if let Err(error) = fs::metadata(self.path(file)) {
                let message = format!("'{}' cannot be read: {error}", self.path(file).display());
                return self.refuse(Some(dataset.span()), message);
            }
        }
        let missing =
            |dataset: &&DatasetConfig| !files.keys().any(|known| known.get_ref() == &dataset.name);
        match datasets.iter().find(missing) {
            None => Ok(()),
            Some(dataset) => {
                let message = format!("'{name}' has no file for the dataset '{}'", dataset.name);
                self.refuse(span.clone(), message)
            }
        }
    }
}
