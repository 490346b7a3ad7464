//! From the text of a description to its parts, each refused with its line.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use attn_fiqa::checkpoint::Preset;
use attn_fiqa::measure::MeasureName;
use attn_fiqa::pixels::ChannelOrder;
use attn_fiqa::recognise::InputSpec;
use attn_fiqa::score::Method;
use serde::Deserialize;
use toml::Spanned;

use super::{
    ConfigError, DatasetConfig, EmbeddingsFrom, MethodConfig, ModelConfig, RecogniserConfig,
    ScoresFrom, Settings,
};
use crate::Fraction;
use crate::benchmark::BenchmarkKind;
use crate::files::quality_columns;

/// What a description names.
pub(super) struct Parts {
    pub(super) settings: Settings,
    pub(super) datasets: Vec<DatasetConfig>,
    pub(super) recognisers: Vec<RecogniserConfig>,
    pub(super) methods: Vec<MethodConfig>,
}

/// Reads a description's text; relative paths start from `folder`.
pub(super) fn parts(file: &str, text: &str, folder: &Path) -> Result<Parts, ConfigError> {
    let reader = Reader { file, text, folder };
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDataset {
    name: Spanned<String>,
    kind: Spanned<String>,
    path: Spanned<PathBuf>,
    pairs: Option<Spanned<PathBuf>>,
    channels: Option<Spanned<String>>,
    #[serde(default)]
    resize: bool,
    align: Option<Spanned<bool>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRecogniser {
    name: Spanned<String>,
    model: Option<Spanned<PathBuf>>,
    preset: Option<String>,
    heads: Option<usize>,
    #[serde(default)]
    flip: bool,
    input: Option<Spanned<String>>,
    embeddings: Option<BTreeMap<Spanned<String>, PathBuf>>,
    lists: Option<BTreeMap<Spanned<String>, PathBuf>>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMethod {
    name: Option<Spanned<String>>,
    method: Option<Spanned<String>>,
    model: Option<Spanned<PathBuf>>,
    preset: Option<String>,
    heads: Option<usize>,
    input: Option<Spanned<String>>,
    norm_of: Option<Spanned<String>>,
    scores: Option<BTreeMap<Spanned<String>, PathBuf>>,
    column: Option<String>,
    columns: Option<Spanned<Vec<String>>>,
}

struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    folder: &'a Path,
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

    fn settings(&self, settings: Option<Spanned<Settings>>) -> Result<Settings, ConfigError> {
        let Some(settings) = settings else { return Ok(Settings::default()) };
        let span = settings.span();
        let settings = settings.into_inner();
        let rate = |value: &f64| Fraction::new(*value).is_some_and(Fraction::is_inside);
        let problem = if settings.fmr.is_empty() || !settings.fmr.iter().all(rate) {
            "fmr needs rates between 0 and 1, such as [1e-2, 1e-3]"
        } else if has_twice(&settings.fmr) {
            "fmr names a rate twice"
        } else if settings.protocols.is_empty() || has_twice(&settings.protocols) {
            "protocols needs each of crfiqa, iso and nist at most once, and one at least"
        } else if !rate(&settings.max_discard) || !rate(&settings.confidence_level) {
            "max_discard and confidence_level are fractions between 0 and 1"
        } else if settings.bootstrap > 100_000 || settings.orders > 10_000 || settings.faces > 100 {
            "at most bootstrap = 100000, orders = 10000 and faces = 100"
        } else if settings.orders == 0 {
            "orders is at least 1"
        } else {
            return Ok(settings);
        };
        self.refuse(Some(span), problem)
    }

    fn datasets(&self, raw: Vec<RawDataset>) -> Result<Vec<DatasetConfig>, ConfigError> {
        self.check_names("dataset", raw.iter().map(|dataset| &dataset.name))?;
        let dataset = |raw: RawDataset| {
            let kind: BenchmarkKind = match raw.kind.get_ref().parse() {
                Ok(kind) => kind,
                Err(message) => return self.refuse(Some(raw.kind.span()), message),
            };
            if let (Some(pairs), true) = (&raw.pairs, kind != BenchmarkKind::Pairs) {
                let message = format!("'pairs' belongs to kind = \"pairs\"; {kind} has its own");
                return self.refuse(Some(pairs.span()), message);
            }
            let channels = match raw.channels.as_ref().map(|channels| channels.get_ref().as_str()) {
                None | Some("rgb") => ChannelOrder::Rgb,
                Some("swapped") => ChannelOrder::Bgr,
                Some(other) => {
                    let message = format!("channels is 'rgb' or 'swapped', not '{other}'");
                    return self.refuse(raw.channels.as_ref().map(Spanned::span), message);
                }
            };
            if let Some(align) = raw.align.as_ref().filter(|align| *align.get_ref()) {
                let message = match (raw.resize, kind) {
                    (true, _) => {
                        "align finds faces in pictures of any size, and resize takes the picture \
                         for an aligned face; choose one of them"
                    }
                    (false, BenchmarkKind::IjbC) => {
                        "ijb-c has landmarks of its own, by which its faces are aligned; leave \
                         align out"
                    }
                    _ => "",
                };
                if !message.is_empty() {
                    return self.refuse(Some(align.span()), message);
                }
            }
            Ok(DatasetConfig {
                align: raw.align.is_some_and(Spanned::into_inner),
                name: raw.name.into_inner(),
                kind,
                path: self.existing(&raw.path)?,
                pairs: raw.pairs.as_ref().map(|pairs| self.existing(pairs)).transpose()?,
                channels,
                resize: raw.resize,
            })
        };
        raw.into_iter().map(dataset).collect()
    }

    fn recognisers(
        &self,
        raw: Vec<RawRecogniser>,
        datasets: &[DatasetConfig],
    ) -> Result<Vec<RecogniserConfig>, ConfigError> {
        self.check_names("recogniser", raw.iter().map(|recogniser| &recogniser.name))?;
        let recogniser = |raw: RawRecogniser| {
            let span = Some(raw.name.span());
            let name = raw.name.get_ref();
            let from = match (&raw.model, &raw.embeddings) {
                (Some(_), Some(_)) => {
                    return self.refuse(span, format!("'{name}' has both a model and embeddings"));
                }
                (None, None) => {
                    let message = format!(
                        "'{name}' needs model = \"FILE\" (or \"builtin\"), or embeddings = {{ \
                         DATASET = \"FILE\" }}"
                    );
                    return self.refuse(span, message);
                }
                (Some(model), None) if raw.lists.is_none() => {
                    let file = self.model_file(model)?;
                    let (preset, heads, flip) = (raw.preset.clone(), raw.heads, raw.flip);
                    let input = raw.input.as_ref().map(|input| input.get_ref().clone());
                    let model = ModelConfig { file, preset, heads, flip, input };
                    self.check_model(&model, span, raw.input.as_ref())?;
                    EmbeddingsFrom::Model(model)
                }
                (Some(_), None) => {
                    return self.refuse(span, format!("'{name}' has lists, but no embeddings"));
                }
                (None, Some(files)) => {
                    if raw.preset.is_some()
                        || raw.heads.is_some()
                        || raw.flip
                        || raw.input.is_some()
                    {
                        let message =
                            "preset, heads, flip and input belong to a model, not to embeddings";
                        return self.refuse(span, message);
                    }
                    let lists = raw.lists.unwrap_or_default();
                    self.check_datasets(name, &span, files, datasets)?;
                    for list in lists.keys() {
                        if !files.contains_key(list) {
                            let message =
                                format!("no embeddings for the list of '{}'", list.get_ref());
                            return self.refuse(Some(list.span()), message);
                        }
                    }
                    let file = |(dataset, file): (&Spanned<String>, &PathBuf)| {
                        let list = lists.get(dataset).map(|list| self.path(list));
                        (dataset.get_ref().clone(), (self.path(file), list))
                    };
                    EmbeddingsFrom::Files(files.iter().map(file).collect())
                }
            };
            Ok(RecogniserConfig { name: raw.name.into_inner(), from })
        };
        raw.into_iter().map(recogniser).collect()
    }

    fn methods(
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
        let method = |(raw_name, raw): (Spanned<String>, RawMethod)| {
            let span = Some(raw_name.span());
            let name = raw_name.get_ref();
            let network = raw.method.is_some()
                || raw.model.is_some()
                || raw.preset.is_some()
                || raw.heads.is_some()
                || raw.input.is_some();
            let from = match (&raw.scores, &raw.norm_of) {
                (Some(_), Some(_)) => {
                    return self.refuse(span, format!("'{name}' has both scores and norm_of"));
                }
                (Some(_), None) | (None, Some(_)) if network => {
                    let message = format!(
                        "'{name}' has scores or norm_of, and so no method, model, preset, heads or \
                         input"
                    );
                    return self.refuse(span, message);
                }
                (Some(files), None) => {
                    self.check_datasets(name, &span, files, datasets)?;
                    let file = |(dataset, file): (&Spanned<String>, &PathBuf)| {
                        (dataset.get_ref().clone(), self.path(file))
                    };
                    ScoresFrom::Files(files.iter().map(file).collect(), raw.column.clone())
                }
                (None, Some(of)) => {
                    let found = recognisers.iter().position(|r| &r.name == of.get_ref());
                    let Some(found) = found else {
                        let message = format!("there is no recogniser '{}'", of.get_ref());
                        return self.refuse(Some(of.span()), message);
                    };
                    let flip = matches!(
                        &recognisers[found].from,
                        EmbeddingsFrom::Model(ModelConfig { flip: true, .. })
                    );
                    if flip {
                        let message = format!(
                            "the embeddings of '{}' are normalised, because it has flip = true; \
                             all are equally long",
                            of.get_ref()
                        );
                        return self.refuse(Some(of.span()), message);
                    }
                    ScoresFrom::EmbeddingNorm(found)
                }
                (None, None) if self.names_measure(&raw_name, &raw) => {
                    self.measure(&raw_name, &raw)?
                }
                (None, None) => {
                    let text = raw.method.as_ref().unwrap_or(&raw_name);
                    let method: Method = match text.get_ref().parse() {
                        Ok(method) => method,
                        Err(error) => return self.refuse(Some(text.span()), format!("{error}")),
                    };
                    let file = match &raw.model {
                        Some(model) => self.model_file(model)?,
                        None => None,
                    };
                    let (preset, heads) = (raw.preset.clone(), raw.heads);
                    let model = ModelConfig { file, preset, heads, flip: false, input: None };
                    self.check_model(
                        &ModelConfig { file: None, ..model.clone() },
                        span.clone(),
                        None,
                    )?;
                    if let (true, Some(file)) = (model.is_onnx(), &model.file) {
                        let message = format!(
                            "'{method}' reads a Vision Transformer of ours; an ONNX quality \
                             network is method = \"onnx:{}\"",
                            file.display()
                        );
                        return self.refuse(raw.model.as_ref().map(Spanned::span), message);
                    }
                    if let Some(input) = &raw.input {
                        let message = "input belongs to ONNX networks";
                        return self.refuse(Some(input.span()), message);
                    }
                    ScoresFrom::Attention(model, method)
                }
            };
            if raw.column.is_some() && raw.scores.is_none() {
                return self.refuse(span, format!("'{name}' has a column, but no scores"));
            }
            Ok(MethodConfig { name: raw_name.into_inner(), from })
        };
        named.into_iter().map(method).collect()
    }

    /// A method by its name; one for each of `columns`, where there are some.
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
                format!("columns names no column, or '{}' has none of qualities", file.display());
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
        let (file, spec) = match text.get_ref().parse() {
            Err(error) => return self.refuse(span, format!("{error}")),
            Ok(MeasureName::Laplacian) if raw.input.is_none() => return Ok(ScoresFrom::Laplacian),
            Ok(MeasureName::Laplacian) => {
                return self.refuse(span, "'laplacian' reads the crop as it is; it has no input");
            }
            Ok(name @ (MeasureName::EyeDistance | MeasureName::DetectorScore)) => {
                let message = format!(
                    "'{name}' belongs to faces found in photos, and a benchmark has crops; write \
                     it with `attn-fiqa score --method {name} --output FILE.csv` and name that \
                     file under scores"
                );
                return self.refuse(span, message);
            }
            Ok(MeasureName::Onnx(file, spec)) => (file, spec),
        };
        if spec.is_some() {
            return self.refuse(span, "say what the network does to pixels with input = \"SPEC\"");
        }
        let file = self.path(&file);
        if let Err(error) = fs::metadata(&file) {
            let message = format!("'{}' cannot be read: {error}", file.display());
            return self.refuse(span, message);
        }
        let input = raw.input.as_ref().map(|input| input.get_ref().clone());
        let model = ModelConfig { file: Some(file), preset: None, heads: None, flip: false, input };
        self.check_model(&model, span, raw.input.as_ref())?;
        Ok(ScoresFrom::Network(model))
    }

    /// Settings that a model's kind does not have.
    fn check_model(
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
    fn model_file(&self, model: &Spanned<PathBuf>) -> Result<Option<PathBuf>, ConfigError> {
        if model.get_ref().as_os_str() == "builtin" {
            return Ok(None);
        }
        self.existing(model).map(Some)
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
                    .refuse(Some(span), format!("a {what} needs a name of visible letters"));
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

    /// There must be a file for every data set, and for nothing else.
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

fn has_twice<T: PartialEq>(values: &[T]) -> bool {
    values.iter().enumerate().any(|(index, value)| values[..index].contains(value))
}
