//! Runs a study from its configuration to its record.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use attn_fiqa::threads::Threads;

use super::compute::Progress;
use super::config::StudyConfig;
use super::dataset_run::DatasetRun;
use super::inputs::Dataset;
use super::missing::check_files;
use super::networks::{Networks, check_images, check_sizes, open_networks};
use super::results::Results;
use super::{StudyError, find_faces, record};

/// Where a study is run.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The folder for all output.
    pub output: PathBuf,
    /// The folder of cached results; `cache` in the output folder if `None`.
    pub cache: Option<PathBuf>,
    /// Threads of a network; one for every core if `None`.
    pub threads: Option<NonZeroUsize>,
}

/// Messages while a study runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Progress of a step.
    Progress(Progress),
    /// A note for the user.
    Note(String),
}

/// Shared by all steps of a study.
pub(super) struct StudyRun<'a> {
    pub(super) config: &'a StudyConfig,
    pub(super) networks: &'a Networks,
    pub(super) cache: &'a Path,
    pub(super) output: &'a Path,
    pub(super) on_event: &'a dyn Fn(Event),
}

/// Runs a study and writes its record, the scores of every image, and examples of the best and
/// worst images.
///
/// Inputs that cannot be used as a whole are errors before anything is computed. Results of earlier
/// or killed runs are reused.
///
/// # Errors
///
/// If an input or an output file cannot be used; a bad image is a failure in the record.
pub fn run(
    config: &StudyConfig,
    options: &RunOptions,
    on_event: &dyn Fn(Event),
) -> Result<Results, StudyError> {
    let mut datasets = Vec::new();
    for dataset in &config.datasets {
        datasets.push(Dataset::open(dataset, config.settings.missing)?);
    }
    check_images(config, &datasets)?;
    let networks = open_networks(config, options.threads)?;
    check_sizes(config, &datasets, &networks)?;
    let missing = check_files(config, &datasets)?;
    let cache = options.cache.clone().unwrap_or_else(|| options.output.join("cache"));
    let (cache, output) = (cache.as_path(), options.output.as_path());
    std::fs::create_dir_all(output).map_err(StudyError::io(output, "cannot be made"))?;

    let study = StudyRun { config, networks: &networks, cache, output, on_event };
    let mut results = record::empty(config, &networks)?;
    for (number, (dataset, missing)) in datasets.iter_mut().zip(missing).enumerate() {
        if dataset.config.align && dataset.has_images() {
            let threads = Threads::new(options.threads)?;
            let progress = |progress| on_event(Event::Progress(progress));
            find_faces::find_main_faces(dataset, &threads, cache, &progress)?;
            note_without_face(dataset, on_event);
        }
        DatasetRun { study: &study, dataset, missing, number }.run(&mut results)?;
    }
    record::save(output, &results)?;
    Ok(results)
}

fn note_without_face(dataset: &Dataset<'_>, on_event: &dyn Fn(Event)) {
    if !dataset.without_face.is_empty() {
        on_event(Event::Note(format!(
            "{}: no face was found in {} of {} images, which are failures to acquire: {}",
            dataset.config.name,
            dataset.without_face.len(),
            dataset.benchmark.images.len(),
            dataset.without_face_examples()
        )));
    }
}
