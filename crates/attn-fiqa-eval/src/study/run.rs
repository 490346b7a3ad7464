//! The steps of a study, in order.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use attn_fiqa::score::Method;
use attn_fiqa::threads::Threads;

use super::StudyError;
use super::cache::write_atomic;
use super::compute::{self, Column, Progress};
use super::config::{
    ConfigError, EmbeddingsFrom, MethodConfig, ModelConfig, RecogniserConfig, ScoresFrom,
    StudyConfig,
};
use super::differences::differences;
use super::evaluation::{RecogniserEvaluation, TemplateEmbeddings};
use super::examples::{MapSource, extremes};
use super::find_faces;
use super::hash::hash_files;
use super::inputs::Dataset;
use super::network::{CROP_SIDE, Network, Required, embedding, scores};
use super::results::{
    CorrelationRecord, DatasetRecord, FORMAT, MethodRecord, MissingRecord, QualityRecord,
    RecogniserRecord, Results,
};
use crate::figure::Histogram;
use crate::files::{EmbeddingFile, Failed, MatchedRows, QualityFile, first_names};
use crate::statistics::spearman;

/// The record, below a run's folder.
pub const RESULTS_FILE: &str = "results.json";

/// How many failed images a record names.
const FAILURES_NAMED: usize = 5;

/// Larger than any record: ten thousand curves.
const MAX_RESULTS_BYTES: u64 = 1 << 30;

/// Where a study works.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The folder for everything it writes.
    pub output: PathBuf,
    /// The folder of what was computed before; `cache` below the output if `None`.
    pub cache: Option<PathBuf>,
    /// Threads of a network; one for every core if `None`.
    pub threads: Option<NonZeroUsize>,
}

/// What is said while a study runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A step has come so far.
    Progress(Progress),
    /// Something that a person should know.
    Note(String),
}

/// The networks of a study, each loaded once.
type Networks = BTreeMap<ModelConfig, Network>;

/// Scores of a data set by one method.
struct Scored {
    scores: Vec<f64>,
    failures: Vec<String>,
    failed: usize,
}

/// Does a study and writes its record, the scores of every image, and pictures of
/// the best and worst.
///
/// Everything that is wrong with the inputs as a full_forward is found before anything is
/// computed. What was computed before, by an earlier or a killed run, is used
/// again.
///
/// # Errors
///
/// If an input or a file of the run cannot be used; a bad image is a failure in
/// the record.
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

    let mut results = Results {
        format: FORMAT,
        program: concat!("attn-fiqa ", env!("CARGO_PKG_VERSION")).to_owned(),
        config_file: config.file.clone(),
        config_sha256: config.sha256.clone(),
        config: config.text.clone(),
        settings: config.settings.clone(),
        datasets: Vec::new(),
        recognisers: record_recognisers(config, &networks)?,
        methods: record_methods(config, &networks)?,
        baselines: Vec::new(),
        curves: Vec::new(),
        differences: Vec::new(),
        qualities: Vec::new(),
        correlations: Vec::new(),
    };
    for (number, (dataset, missing)) in datasets.iter_mut().zip(missing).enumerate() {
        if dataset.config.align && dataset.has_images() {
            let threads = Threads::new(options.threads)?;
            let progress = |progress| on_event(Event::Progress(progress));
            find_faces::find_main_faces(dataset, &threads, cache, &progress)?;
            note_without_face(dataset, on_event);
        }
        let dataset = (dataset, missing);
        run_dataset(config, dataset, number, &networks, (cache, output), on_event, &mut results)?;
    }
    let json =
        serde_json::to_vec_pretty(&results).map_err(|error| StudyError::UnexpectedContent {
            path: output.join(RESULTS_FILE),
            problem: error.to_string(),
        })?;
    write_atomic(&output.join(RESULTS_FILE), &json)?;
    Ok(results)
}

/// Reads the record of a run.
///
/// # Errors
///
/// If there is none, or it was written by another version.
pub fn load(folder: &Path) -> Result<Results, StudyError> {
    let path = folder.join(RESULTS_FILE);
    let file = File::open(&path).map_err(StudyError::io(&path, "cannot be read"))?;
    let unexpected =
        |problem: String| StudyError::UnexpectedContent { path: path.clone(), problem };
    let size = file.metadata().map_err(StudyError::io(&path, "cannot be read"))?.len();
    if size > MAX_RESULTS_BYTES {
        return Err(unexpected(format!("it is larger than {MAX_RESULTS_BYTES} bytes")));
    }
    let results: Results = serde_json::from_reader(BufReader::new(file))
        .map_err(|error| unexpected(format!("{error}; run `attn-fiqa benchmark` again")))?;
    if results.format != FORMAT {
        let found = results.format;
        return Err(unexpected(format!(
            "its format is {found}, not {FORMAT}; run `attn-fiqa benchmark` again"
        )));
    }
    Ok(results)
}

fn run_dataset(
    config: &StudyConfig,
    (dataset, missing): (&mut Dataset<'_>, MissingImages),
    number: usize,
    networks: &Networks,
    (cache, output): (&Path, &Path),
    on_event: &dyn Fn(Event),
    results: &mut Results,
) -> Result<(), StudyError> {
    let name = dataset.config.name.as_str();
    let progress = |progress| on_event(Event::Progress(progress));
    let names = dataset.benchmark.names();
    for MissingRecord { of, images, examples } in &missing.records {
        on_event(Event::Note(format!(
            "{name}, {of}: {images} of {} images are missing in its file, and their comparisons \
             are left out for every method: {examples}",
            names.len()
        )));
    }
    let listed = |mut present: Vec<bool>| {
        present.iter_mut().zip(&missing.images).for_each(|(present, missing)| *present &= !missing);
        present
    };
    let mut attention = attention(config, dataset, networks, cache, &progress)?;

    // Embeddings first: one method may be their length. Of those of all images only what
    // is compared, images or templates, stays in memory.
    let mut norms: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    let mut embedded = Vec::new();
    for (index, recogniser) in config.recognisers.iter().enumerate() {
        let wants_norms = config.methods.iter().any(|m| m.from == ScoresFrom::EmbeddingNorm(index));
        let what = format!("dataset '{name}', recogniser '{}'", recogniser.name);
        let (templates, failures) = match &recogniser.from {
            EmbeddingsFrom::Model(model) => {
                let network = &networks[&without_flip(model)];
                let found = compute::embeddings(dataset, network, model.flip, cache, &progress)?;
                let step = format!("embeddings of {name} by {}", recogniser.name);
                note_cached(on_event, &step, found.from_cache, names.len());
                if wants_norms {
                    norms.insert(index, lengths(names.len(), found.width, found.reader()?)?);
                }
                let (benchmark, read) = (&dataset.benchmark, found.reader()?);
                let present = listed(found.present());
                let templates =
                    TemplateEmbeddings::gather(benchmark, present, found.width, what, read)?;
                (templates, name_failures(&found.failures))
            }
            EmbeddingsFrom::Files(files) => {
                let (file, list) = &files[name];
                let file = EmbeddingFile::read(file, list.as_deref())?;
                let rows = file.rows_of(&names, config.settings.missing)?.rows;
                let read = |image: u32, row: &mut [f32]| {
                    let found = rows[image as usize];
                    found.inspect(|&found| row.copy_from_slice(file.embeddings.row(found)));
                    Ok(found.is_some())
                };
                let dim = file.embeddings.dim();
                if wants_norms {
                    norms.insert(index, lengths(names.len(), dim, read)?);
                }
                let present = listed(rows.iter().map(Option::is_some).collect());
                (
                    TemplateEmbeddings::gather(&dataset.benchmark, present, dim, what, read)?,
                    Vec::new(),
                )
            }
        };
        embedded.push((templates, failures));
    }

    let mut scored = Vec::new();
    for (index, method) in config.methods.iter().enumerate() {
        let of_method = match &method.from {
            ScoresFrom::Attention(..) => {
                scored_from(attention.remove(&index).expect("scores of each: this is a bug"))
            }
            ScoresFrom::Network(model) => {
                scored_from(compute::quality_scores(dataset, &networks[model], cache, &progress)?)
            }
            ScoresFrom::Laplacian => {
                scored_from(compute::sharpness_of_crops(dataset, cache, &progress)?)
            }
            ScoresFrom::EmbeddingNorm(recogniser) => {
                let scores = norms[recogniser].clone();
                let absent = |image: &usize| !scores[*image].is_finite() && !missing.images[*image];
                let failed = (0..scores.len()).filter(absent).count();
                Scored { scores, failures: Vec::new(), failed }
            }
            ScoresFrom::Files(files, column) => {
                let file = QualityFile::read(&files[name], column.as_deref())?;
                let mut matched =
                    file.for_images(&names, Failed::Lowest, config.settings.missing)?;
                // No comparison asks for these.
                matched.missing.iter().for_each(|&image| matched.values[image] = f64::NEG_INFINITY);
                Scored { scores: matched.values, failures: Vec::new(), failed: matched.failed }
            }
        };
        if of_method.failed > 0 {
            let (failed, of) = (of_method.failed, names.len());
            on_event(Event::Note(format!(
                "{name}, {}: {failed} of {of} images have no score and count as the lowest",
                method.name
            )));
        }
        scored.push(of_method);
    }

    let of_methods: Vec<(&str, &[f64])> = config
        .methods
        .iter()
        .zip(&scored)
        .map(|(method, scored)| (method.name.as_str(), scored.scores.as_slice()))
        .collect();
    let total = embedded.len() * (config.methods.len() + 1);
    let mut done = 0;
    let mut by_identity = false;
    let at = |done| progress(Progress { step: format!("curves of {name}"), done, total });
    // One recogniser's comparisons at a time.
    for (recogniser, (templates, failures)) in config.recognisers.iter().zip(embedded) {
        let who = (name, recogniser.name.as_str());
        let absent = templates.missing();
        let evaluation =
            RecogniserEvaluation::new(who, &config.settings, &dataset.benchmark, templates, cache)?;
        if evaluation.left_out > 0 {
            let left_out = evaluation.left_out;
            on_event(Event::Note(format!(
                "{name}, {}: {left_out} comparisons are left out, because {} images are missing or \
                 have no embedding{}",
                recogniser.name,
                absent.len(),
                match failures.is_empty() {
                    true => format!(": {}", first_names(absent.iter().map(|&i| names[i].as_str()))),
                    false => format!("; the first of those that failed: {}", failures.join("; ")),
                }
            )));
        }
        by_identity |= evaluation.has_identities();
        let evaluator = evaluation.evaluator();
        results.baselines.push(evaluation.baseline(&evaluator, failures)?);
        let mut curves = evaluation.methods(&evaluator, &of_methods, |more| at(done + more))?;
        results.differences.extend(differences(&curves, config.settings.confidence_level));
        curves.iter_mut().for_each(|curve| curve.replicates.clear());
        results.curves.extend(curves);
        done += config.methods.len();
        results.curves.extend(evaluation.baselines(&evaluator)?);
        done += 1;
        at(done);
    }

    for (index, (method, scored)) in config.methods.iter().zip(&scored).enumerate() {
        let map_source = match &method.from {
            ScoresFrom::Attention(model, method) if method.aggregation().has_map() => {
                Some(MapSource { network: &networks[model], method: *method })
            }
            _ => None,
        };
        let tag = format!("{number}-{index}");
        let count = config.settings.faces;
        let (worst, best) =
            extremes(dataset, &scored.scores, count, map_source.as_ref(), (output, &tag))?;
        let finite: Vec<f64> = scored.scores.iter().copied().filter(|s| s.is_finite()).collect();
        results.qualities.push(QualityRecord {
            dataset: name.to_owned(),
            method: method.name.clone(),
            scores: Histogram::of(&[&finite]).and_then(|mut one| one.pop()),
            failed: scored.failed,
            failures: scored.failures.clone(),
            worst,
            best,
        });
    }
    results.correlations.push(correlations(name, &scored, &missing.images));
    write_scores(&output.join(scores_file(number, name)), &names, &config.methods, &scored)?;
    let mated = dataset.benchmark.pairs.iter().filter(|pair| pair.mated).count();
    results.datasets.push(DatasetRecord {
        name: name.to_owned(),
        kind: dataset.config.kind.name().to_owned(),
        path: dataset.config.path.display().to_string(),
        images: names.len(),
        templates: dataset.benchmark.templates.as_ref().map(Vec::len),
        mated,
        non_mated: dataset.benchmark.pairs.len() - mated,
        sha256: dataset.sha256(),
        by_identity,
        missing: missing.records,
        without_face: dataset.without_face.len(),
        without_face_examples: list_without_face(dataset),
    });
    Ok(())
}

/// A column as scores.
fn scored_from(found: Column) -> Scored {
    Scored {
        failures: name_failures(&found.failures),
        failed: found.scores.iter().filter(|score| !score.is_finite()).count(),
        scores: found.scores,
    }
}

/// The scores of every method of a network, by the method's place; methods of one
/// network share their passes.
fn attention(
    config: &StudyConfig,
    dataset: &mut Dataset<'_>,
    networks: &Networks,
    cache: &Path,
    progress: &dyn Fn(Progress),
) -> Result<BTreeMap<usize, Column>, StudyError> {
    let mut found = BTreeMap::new();
    for (model, network) in networks {
        let of_model = of_model(config, model);
        if of_model.is_empty() {
            continue;
        }
        let mut methods: Vec<Method> = Vec::new();
        for (_, method) in &of_model {
            if !methods.contains(method) {
                methods.push(*method);
            }
        }
        let columns = compute::attention_scores(dataset, network, &methods, cache, progress)?;
        for (index, method) in of_model {
            let column = methods.iter().position(|known| *known == method).unwrap_or(0);
            found.insert(index, columns[column].clone());
        }
    }
    Ok(found)
}

/// The methods that read this network's attention, by their place.
fn of_model(config: &StudyConfig, model: &ModelConfig) -> Vec<(usize, Method)> {
    let methods = config.methods.iter().enumerate();
    let of_model = methods.filter_map(|(index, method)| match &method.from {
        ScoresFrom::Attention(of, method) if of == model => Some((index, *method)),
        _ => None,
    });
    of_model.collect()
}

fn without_flip(model: &ModelConfig) -> ModelConfig {
    ModelConfig { flip: false, ..model.clone() }
}

fn open_networks(
    config: &StudyConfig,
    threads: Option<NonZeroUsize>,
) -> Result<Networks, StudyError> {
    let mut required: BTreeMap<ModelConfig, Required> = BTreeMap::new();
    for method in &config.methods {
        match &method.from {
            ScoresFrom::Attention(model, method) => {
                let full_forward = &mut required.entry(model.clone()).or_default().full_forward;
                *full_forward |= method.needs_full_forward();
            }
            ScoresFrom::Network(model) => {
                required.entry(model.clone()).or_default().quality = true;
            }
            ScoresFrom::Laplacian | ScoresFrom::EmbeddingNorm(_) | ScoresFrom::Files(..) => {}
        }
    }
    for recogniser in &config.recognisers {
        if let EmbeddingsFrom::Model(model) = &recogniser.from {
            let required = required.entry(without_flip(model)).or_default();
            required.full_forward = true;
            if required.quality {
                let message = format!(
                    "'{}' is named as a recogniser and as a quality method",
                    model.file.as_ref().map_or_else(String::new, |file| file.display().to_string())
                );
                return Err(ConfigError { file: config.file.clone(), line: None, message }.into());
            }
        }
    }
    let mut networks = Networks::new();
    for (model, required) in required {
        networks.insert(model.clone(), Network::open(&model, required, threads)?);
    }
    for method in &config.methods {
        if let ScoresFrom::Attention(model, of) = &method.from {
            networks[model].check(&method.name, &scores(&[*of]))?;
        }
    }
    for RecogniserConfig { name, from } in &config.recognisers {
        if let EmbeddingsFrom::Model(model) = from {
            networks[&without_flip(model)].check(name, &embedding())?;
        }
    }
    Ok(networks)
}

fn list_without_face(dataset: &Dataset<'_>) -> String {
    let name = |&index: &usize| dataset.benchmark.images[index].name.as_str();
    first_names(dataset.without_face.keys().map(name))
}

fn note_without_face(dataset: &Dataset<'_>, on_event: &dyn Fn(Event)) {
    if !dataset.without_face.is_empty() {
        on_event(Event::Note(format!(
            "{}: no face was found in {} of {} images, which are failures to acquire: {}",
            dataset.config.name,
            dataset.without_face.len(),
            dataset.benchmark.images.len(),
            list_without_face(dataset)
        )));
    }
}

/// Images must be aligned crops where nothing else is said.
fn check_sizes(
    config: &StudyConfig,
    datasets: &[Dataset<'_>],
    networks: &Networks,
) -> Result<(), StudyError> {
    let laplacian = config.methods.iter().any(|method| method.from == ScoresFrom::Laplacian);
    let sides = networks.values().map(Network::side).chain(laplacian.then_some(CROP_SIDE));
    for side in sides {
        for dataset in datasets {
            dataset.check_size(side).map_err(|message| {
                let file = config.file.clone();
                ConfigError { file, line: None, message }
            })?;
        }
    }
    Ok(())
}

/// Networks need images and not only a list of pairs.
fn check_images(config: &StudyConfig, datasets: &[Dataset<'_>]) -> Result<(), StudyError> {
    let network = config
        .methods
        .iter()
        .filter(|method| {
            matches!(
                method.from,
                ScoresFrom::Attention(..) | ScoresFrom::Network(_) | ScoresFrom::Laplacian
            )
        })
        .map(|method| &method.name)
        .chain(
            config
                .recognisers
                .iter()
                .filter(|recogniser| matches!(recogniser.from, EmbeddingsFrom::Model(_)))
                .map(|recogniser| &recogniser.name),
        )
        .next();
    let (Some(network), Some(dataset)) =
        (network, datasets.iter().find(|dataset| !dataset.has_images()))
    else {
        return Ok(());
    };
    Err(StudyError::NoImage {
        what: format!("dataset '{}', '{network}'", dataset.config.name),
        images: dataset.benchmark.images.len(),
        first: "the list of pairs was read without a folder of images".to_owned(),
    })
}

/// The images of a data set that files made elsewhere lack.
struct MissingImages {
    /// For each image, whether a file of scores lacks it, or one of embeddings whose length
    /// is a score.
    images: Vec<bool>,
    records: Vec<MissingRecord>,
}

/// Finds out what is wrong with the files made elsewhere before any work, and what they
/// lack of each data set.
fn check_files(
    config: &StudyConfig,
    datasets: &[Dataset<'_>],
) -> Result<Vec<MissingImages>, StudyError> {
    let policy = config.settings.missing;
    let of_dataset = |dataset: &Dataset<'_>| {
        let (name, names) = (&dataset.config.name, dataset.benchmark.names());
        let mut missing = MissingImages { images: vec![false; names.len()], records: Vec::new() };
        let mut note = |of: &str, rows: MatchedRows, is_score: bool| {
            if rows.missing.is_empty() {
                return;
            }
            let examples = first_names(rows.missing.iter().map(|&image| names[image].as_str()));
            let (of, images) = (of.to_owned(), rows.missing.len());
            missing.records.push(MissingRecord { of, images, examples });
            if is_score {
                rows.missing.iter().for_each(|&image| missing.images[image] = true);
            }
        };
        for method in &config.methods {
            if let ScoresFrom::Files(files, column) = &method.from {
                let file = QualityFile::read(&files[name], column.as_deref())?;
                note(&method.name, file.rows_of(&names, policy)?, true);
            }
        }
        for (index, recogniser) in config.recognisers.iter().enumerate() {
            if let EmbeddingsFrom::Files(files) = &recogniser.from {
                let (file, list) = &files[name];
                let rows = EmbeddingFile::read(file, list.as_deref())?.rows_of(&names, policy)?;
                let is_score =
                    config.methods.iter().any(|m| m.from == ScoresFrom::EmbeddingNorm(index));
                note(&recogniser.name, rows, is_score);
            }
        }
        Ok(missing)
    };
    datasets.iter().map(of_dataset).collect()
}

fn record_recognisers(
    config: &StudyConfig,
    networks: &Networks,
) -> Result<Vec<RecogniserRecord>, StudyError> {
    let record = |recogniser: &RecogniserConfig| {
        let (source, sha256, flip) = match &recogniser.from {
            EmbeddingsFrom::Model(model) => {
                let network = &networks[&without_flip(model)];
                (network.name.clone(), network.sha256.clone(), model.flip)
            }
            EmbeddingsFrom::Files(files) => {
                let all = files.values().flat_map(|(file, list)| [Some(file), list.as_ref()]);
                let (names, hash) = hash_files(all.flatten())?;
                (names, hash, false)
            }
        };
        Ok(RecogniserRecord { name: recogniser.name.clone(), source, sha256, flip })
    };
    config.recognisers.iter().map(record).collect()
}

fn record_methods(
    config: &StudyConfig,
    networks: &Networks,
) -> Result<Vec<MethodRecord>, StudyError> {
    let record = |method: &MethodConfig| {
        let (what, source, sha256) = match &method.from {
            ScoresFrom::Attention(model, of) => {
                let network = &networks[model];
                (of.to_string(), network.name.clone(), network.sha256.clone())
            }
            ScoresFrom::Network(model) => {
                let network = &networks[model];
                let input = match network.input.as_str() {
                    "" => String::new(),
                    input => format!(", input {input}"),
                };
                let what = format!("ONNX quality network{input}");
                (what, network.name.clone(), network.sha256.clone())
            }
            ScoresFrom::Laplacian => {
                let what = "variance of the crop's Laplacian".to_owned();
                (what, String::new(), String::new())
            }
            ScoresFrom::EmbeddingNorm(index) => {
                let name = &config.recognisers[*index].name;
                ("length of the embedding".to_owned(), name.clone(), String::new())
            }
            ScoresFrom::Files(files, column) => {
                let (names, hash) = hash_files(files.values())?;
                let column = column.as_ref().map_or(String::new(), |c| format!(", column {c}"));
                (format!("scores made elsewhere{column}"), names, hash)
            }
        };
        Ok(MethodRecord { name: method.name.clone(), what, source, sha256 })
    };
    config.methods.iter().map(record).collect()
}

fn name_failures(failures: &[(String, attn_fiqa::status::Failure)]) -> Vec<String> {
    let first = failures.iter().take(FAILURES_NAMED);
    first.map(|(name, failure)| format!("{name}: {}: {failure}", failure.status)).collect()
}

fn note_cached(on_event: &dyn Fn(Event), step: &str, known: usize, total: usize) {
    if known > 0 && known < total {
        on_event(Event::Note(format!("{step}: {known} of {total} were there from an earlier run")));
    }
}

/// The length of each image's embedding; minus infinity where it has none.
fn lengths(
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

fn correlations(dataset: &str, scored: &[Scored], missing: &[bool]) -> CorrelationRecord {
    let there = |scored: &Scored| -> Vec<f64> {
        let scores = scored.scores.iter().zip(missing);
        scores.filter(|(_, missing)| !**missing).map(|(&score, _)| score).collect()
    };
    let scored: Vec<Vec<f64>> = scored.iter().map(there).collect();
    let of = |a: &[f64], b: &[f64]| spearman(a, b);
    let spearman = scored.iter().map(|a| scored.iter().map(|b| of(a, b)).collect()).collect();
    CorrelationRecord { dataset: dataset.to_owned(), spearman }
}

/// The file with every image's scores, below a run's folder.
fn scores_file(number: usize, dataset: &str) -> String {
    let plain = |letter: char| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' => letter,
        _ => '_',
    };
    let name: String = dataset.chars().map(plain).take(60).collect();
    format!("scores/{}-{name}.csv", number + 1)
}

fn write_scores(
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
