//! Scores of a data set by each method, and the files that hold them.

use std::collections::BTreeMap;
use std::path::Path;

use attn_fiqa::score::Method;

use super::StudyError;
use super::cache::write_atomic;
use super::compute::{self, Column};
use super::config::{MethodConfig, ModelConfig, ScoresFrom, StudyConfig};
use super::dataset_run::describe_failures;
use super::inputs::Dataset;
use super::results::CorrelationRecord;
use super::run::{Event, StudyRun};
use crate::files::MatchedQualities;
use crate::statistics::spearman;

/// Scores of a data set by one method.
pub(super) struct Scored {
    /// In the images' order; minus infinity if an image has none.
    pub(super) scores: Vec<f64>,
    /// Some of the images without a score, and why.
    pub(super) failures: Vec<String>,
    /// Number of images that should have a score and have none.
    pub(super) failed: usize,
}

impl From<Column> for Scored {
    fn from(found: Column) -> Self {
        Self {
            failures: describe_failures(&found.failures),
            failed: found.scores.iter().filter(|score| !score.is_finite()).count(),
            scores: found.scores,
        }
    }
}

impl Scored {
    /// Norms of embeddings; images that a file lacks (`missing`) are not failures.
    pub(super) fn from_norms(scores: Vec<f64>, missing: &[bool]) -> Self {
        let absent = |image: &usize| !scores[*image].is_finite() && !missing[*image];
        let failed = (0..scores.len()).filter(absent).count();
        Self { scores, failures: Vec::new(), failed }
    }

    /// Scores computed elsewhere.
    pub(super) fn from_file(mut matched: MatchedQualities) -> Self {
        // No comparison uses these.
        matched.missing.iter().for_each(|&image| matched.values[image] = f64::NEG_INFINITY);
        Self { scores: matched.values, failures: Vec::new(), failed: matched.failed }
    }
}

/// The scores of every attention-based method, by the method's index; methods of one network share
/// its forward passes.
pub(super) fn attention(
    study: &StudyRun<'_>,
    dataset: &mut Dataset<'_>,
) -> Result<BTreeMap<usize, Column>, StudyError> {
    let progress = |progress| (study.on_event)(Event::Progress(progress));
    let mut found = BTreeMap::new();
    for (model, network) in study.networks {
        let own = methods_of(study.config, model);
        if own.is_empty() {
            continue;
        }
        let mut methods: Vec<Method> = Vec::new();
        for (_, method) in &own {
            if !methods.contains(method) {
                methods.push(*method);
            }
        }
        let columns =
            compute::attention_scores(dataset, network, &methods, study.cache, &progress)?;
        for (index, method) in own {
            let column = methods.iter().position(|known| *known == method).unwrap_or(0);
            found.insert(index, columns[column].clone());
        }
    }
    Ok(found)
}

/// The methods that use this network's attention, by index.
fn methods_of(config: &StudyConfig, model: &ModelConfig) -> Vec<(usize, Method)> {
    let own = |(index, method): (usize, &MethodConfig)| match &method.from {
        ScoresFrom::Attention(of, method) if of == model => Some((index, *method)),
        _ => None,
    };
    config.methods.iter().enumerate().filter_map(own).collect()
}

/// The norm of each image's embedding; minus infinity if it has none.
pub(super) fn embedding_norms(
    images: usize,
    dim: usize,
    mut read: impl FnMut(u32, &mut [f32]) -> Result<bool, StudyError>,
) -> Result<Vec<f64>, StudyError> {
    let mut row = vec![0.0; dim];
    let mut length = |image: u32| {
        Ok(match read(image, &mut row)? {
            true => row.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt(),
            false => f64::NEG_INFINITY,
        })
    };
    (0..images as u32).map(&mut length).collect()
}

pub(super) fn correlations(
    dataset: &str,
    scored: &[Scored],
    missing: &[bool],
) -> CorrelationRecord {
    let there = |scored: &Scored| -> Vec<f64> {
        let scores = scored.scores.iter().zip(missing);
        scores.filter(|(_, missing)| !**missing).map(|(&score, _)| score).collect()
    };
    let scored: Vec<Vec<f64>> = scored.iter().map(there).collect();
    let of = |a: &[f64], b: &[f64]| spearman(a, b);
    let spearman = scored.iter().map(|a| scored.iter().map(|b| of(a, b)).collect()).collect();
    CorrelationRecord { dataset: dataset.to_owned(), spearman }
}

/// The file with every image's scores, in a run's folder.
pub(super) fn scores_file(number: usize, dataset: &str) -> String {
    let plain = |letter: char| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' => letter,
        _ => '_',
    };
    let name: String = dataset.chars().map(plain).take(60).collect();
    format!("scores/{}-{name}.csv", number + 1)
}

pub(super) fn write_scores(
    path: &Path,
    names: &[String],
    methods: &[MethodConfig],
    scored: &[Scored],
) -> Result<(), StudyError> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let unexpected = |error: csv::Error| StudyError::UnexpectedContent {
        path: path.to_owned(),
        problem: error.to_string(),
    };
    let heading = std::iter::once("path").chain(methods.iter().map(|m| m.name.as_str()));
    csv.write_record(heading).map_err(unexpected)?;
    for (index, name) in names.iter().enumerate() {
        let score = |scored: &Scored| match scored.scores[index] {
            score if score.is_finite() => score.to_string(),
            _ => String::new(),
        };
        let row = std::iter::once(name.clone()).chain(scored.iter().map(score));
        csv.write_record(row).map_err(unexpected)?;
    }
    let bytes = csv.into_inner().map_err(|error| StudyError::UnexpectedContent {
        path: path.to_owned(),
        problem: error.to_string(),
    })?;
    write_atomic(path, &bytes)
}
