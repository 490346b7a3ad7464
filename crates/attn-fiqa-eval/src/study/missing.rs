//! Images missing from files of scores and embeddings.

use super::StudyError;
use super::config::{EmbeddingsFrom, ScoresFrom, StudyConfig};
use super::inputs::Dataset;
use super::results::MissingRecord;
use crate::files::{EmbeddingFile, MatchedRows, QualityFile, first_names};

/// The images of a data set that a file lacks.
pub(super) struct MissingImages {
    /// For each image, whether it is missing from a file of scores, or from one of embeddings whose
    /// norm is a score.
    pub(super) images: Vec<bool>,
    pub(super) records: Vec<MissingRecord>,
}

impl MissingImages {
    /// `present`, without the missing images.
    pub(super) fn without_missing(&self, mut present: Vec<bool>) -> Vec<bool> {
        present.iter_mut().zip(&self.images).for_each(|(present, missing)| *present &= !missing);
        present
    }
}

/// Reads every file of scores and embeddings before any work, to report errors in them and the
/// images of each data set that they lack.
pub(super) fn check_files(
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
