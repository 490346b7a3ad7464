//! The record of a run as a file, and the provenance of its numbers.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use super::StudyError;
use super::cache::write_atomic;
use super::config::{EmbeddingsFrom, MethodConfig, RecogniserConfig, ScoresFrom, StudyConfig};
use super::hash::hash_files;
use super::networks::{Networks, without_flip};
use super::results::{FORMAT, MethodRecord, RecogniserRecord, Results};

/// File name of the record, in a run's folder.
pub const RESULTS_FILE: &str = "results.json";

/// Larger than any record: ten thousand curves.
const MAX_RESULTS_BYTES: u64 = 1 << 30;

/// Writes the record.
pub(super) fn save(folder: &Path, results: &Results) -> Result<(), StudyError> {
    let path = folder.join(RESULTS_FILE);
    let json = serde_json::to_vec_pretty(results).map_err(|error| {
        StudyError::UnexpectedContent { path: path.clone(), problem: error.to_string() }
    })?;
    write_atomic(&path, &json)
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

/// The results of a run before anything is measured.
pub(super) fn empty(config: &StudyConfig, networks: &Networks) -> Result<Results, StudyError> {
    Ok(Results {
        format: FORMAT,
        program: concat!("attn-fiqa ", env!("CARGO_PKG_VERSION")).to_owned(),
        config_file: config.file.clone(),
        config_sha256: config.sha256.clone(),
        config: config.text.clone(),
        settings: config.settings.clone(),
        datasets: Vec::new(),
        recognisers: record_recognisers(config, networks)?,
        methods: record_methods(config, networks)?,
        baselines: Vec::new(),
        curves: Vec::new(),
        differences: Vec::new(),
        qualities: Vec::new(),
        correlations: Vec::new(),
    })
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
            ScoresFrom::Crop(measure) => {
                (measure.description().to_owned(), String::new(), String::new())
            }
            ScoresFrom::EmbeddingNorm(index) => {
                let name = &config.recognisers[*index].name;
                ("length of the embedding".to_owned(), name.clone(), String::new())
            }
            ScoresFrom::Files(files, column) => {
                let (names, hash) = hash_files(files.values())?;
                let column = column.as_ref().map_or(String::new(), |c| format!(", column {c}"));
                (format!("scores computed elsewhere{column}"), names, hash)
            }
        };
        Ok(MethodRecord { name: method.name.clone(), what, source, sha256 })
    };
    config.methods.iter().map(record).collect()
}
