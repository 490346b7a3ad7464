//! Embeddings of images: one `.npy` file each, one matrix with a list, or Parquet.

use std::fs;
use std::path::{Path, PathBuf};

use parquet::record::Field;

use super::lines::Lines;
use super::names::{MatchedRows, Missing, matched};
use super::{FileError, FileProblem, error::sanitized, npy, table};
use crate::embeddings::Embeddings;

/// Maximum nesting of folders of `.npy` files.
const MAX_DEPTH: usize = 16;

/// Embeddings with the names of their images.
#[derive(Debug, Clone)]
pub struct EmbeddingFile {
    /// The file or folder.
    pub file: String,
    /// Paths or stems of the images, one per row.
    pub names: Vec<String>,
    /// The embeddings, one per name.
    pub embeddings: Embeddings,
}

/// Embeddings in the order of the requested images.
#[derive(Debug, Clone)]
pub struct MatchedEmbeddings {
    /// One row per image.
    pub embeddings: Embeddings,
    /// Number of images found by their whole path.
    pub by_path: usize,
    /// Number of images found by their stem.
    pub by_stem: usize,
}

impl EmbeddingFile {
    /// Reads embeddings: a folder with one `.npy` file per image, named after it; a `.npy` matrix,
    /// one row per image, with a list of their names, one path per line; or a `.parquet` file with
    /// columns `path` and `embedding` as `attn-fiqa` writes it, whose failed images are skipped.
    ///
    /// # Errors
    ///
    /// If something cannot be read, lengths differ, a value is not finite or an embedding zero, or
    /// a matrix has no list or not one name per row.
    pub fn read(path: &Path, list: Option<&Path>) -> Result<Self, FileError> {
        let file = path.to_string_lossy().into_owned();
        let is_matrix = has_extension(path, "npy");
        if list.is_some() && (!is_matrix || path.is_dir()) {
            let expected = "a .npy matrix, the only kind that needs a list of names";
            return Err(FileError::new(&file, FileProblem::WrongKind { expected }));
        }
        if path.is_dir() {
            read_folder(path, &file)
        } else if is_matrix {
            read_matrix(path, &file, list)
        } else if has_extension(path, "parquet") {
            read_parquet(path, &file)
        } else {
            fs::metadata(path).map_err(|error| FileError::io(path, error))?;
            let expected = "a folder of .npy files, a .npy matrix or a .parquet file";
            Err(FileError::new(&file, FileProblem::WrongKind { expected }))
        }
    }

    /// The embeddings of these images, matched by whole path or else by its end.
    ///
    /// # Errors
    ///
    /// If an image has none, or a name matches several different entries.
    pub fn for_images(&self, images: &[String]) -> Result<MatchedEmbeddings, FileError> {
        let MatchedRows { rows, by_path, by_stem, .. } = self.rows_of(images, Missing::Fail)?;
        let rows: Vec<usize> = rows.into_iter().flatten().collect();
        Ok(MatchedEmbeddings { embeddings: self.embeddings.select(&rows), by_path, by_stem })
    }

    /// The rows of these images in [`Self::embeddings`], without copying those.
    ///
    /// # Errors
    ///
    /// If an image has none and `missing` requires all, or a name matches several different
    /// entries.
    pub fn rows_of(&self, images: &[String], missing: Missing) -> Result<MatchedRows, FileError> {
        let same = |a, b| self.embeddings.row(a) == self.embeddings.row(b);
        matched((&self.file, "embedding"), &self.names, images, missing, |_| false, same)
    }
}

fn has_extension(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending))
}

/// Collects rows of equal length one by one.
#[derive(Default)]
struct Rows {
    names: Vec<String>,
    values: Vec<f32>,
    dim: Option<usize>,
}

impl Rows {
    fn push(
        &mut self,
        name: String,
        row: &[f32],
        place: impl Fn() -> String,
    ) -> Result<(), FileError> {
        let dim = *self.dim.get_or_insert(row.len());
        if row.len() != dim || dim == 0 {
            let (what, against) = ("numbers", "in the first embedding".to_owned());
            let problem = FileProblem::Count { what, found: row.len(), against, expected: dim };
            return Err(FileError::new(&place(), problem));
        }
        self.values.extend_from_slice(row);
        self.names.push(name);
        Ok(())
    }

    fn finish(self, file: &str) -> Result<EmbeddingFile, FileError> {
        let Some(dim) = self.dim else {
            return Err(FileError::new(file, FileProblem::Empty { what: "embedding" }));
        };
        let embeddings = Embeddings::new(dim, self.values).map_err(|error| {
            let row = match error {
                crate::EvalError::NotFinite { index, .. }
                | crate::EvalError::ZeroEmbedding { index } => self.names.get(index),
                _ => None,
            };
            let image =
                row.map(|name| format!(" (image '{}')", sanitized(name))).unwrap_or_default();
            FileError::new(file, FileProblem::Damaged(format!("{error}{image}")))
        })?;
        Ok(EmbeddingFile { file: file.to_owned(), names: self.names, embeddings })
    }
}

fn read_folder(folder: &Path, file: &str) -> Result<EmbeddingFile, FileError> {
    let mut rows = Rows::default();
    for path in npy_files(folder)? {
        let array = npy::read(&path)?;
        let relative = path.strip_prefix(folder).unwrap_or(&path);
        let name = relative.to_string_lossy().replace('\\', "/");
        if array.shape.iter().filter(|&&size| size != 1).count() > 1 {
            let expected = "one embedding (a folder holds one .npy per image)".to_owned();
            let found = format!("an array of shape {:?}", array.shape);
            let problem = FileProblem::Unexpected { expected, found };
            return Err(FileError::new(&path.to_string_lossy(), problem));
        }
        rows.push(name, &array.values, || path.to_string_lossy().into_owned())?;
    }
    rows.finish(file)
}

/// All `.npy` files below a folder, sorted.
fn npy_files(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let (mut files, mut folders) = (Vec::new(), vec![(folder.to_owned(), 0)]);
    while let Some((folder, depth)) = folders.pop() {
        let problem = |error| FileError::io(&folder, error);
        for entry in fs::read_dir(&folder).map_err(problem)? {
            let entry = entry.map_err(problem)?;
            let kind = entry.file_type().map_err(problem)?;
            let path = entry.path();
            if kind.is_dir() && depth < MAX_DEPTH {
                folders.push((path, depth + 1));
            } else if has_extension(&path, "npy") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn read_matrix(path: &Path, file: &str, list: Option<&Path>) -> Result<EmbeddingFile, FileError> {
    let array = npy::read(path)?;
    let &[rows, dim] = array.shape.as_slice() else {
        let expected = "a matrix, one row per image".to_owned();
        let found = format!("an array of shape {:?}", array.shape);
        return Err(FileError::new(file, FileProblem::Unexpected { expected, found }));
    };
    let Some(list) = list else {
        return Err(FileError::new(file, FileProblem::NoNames));
    };
    let (mut lines, mut names) = (Lines::open(list)?, Vec::new());
    while let Some((_, line)) = lines.next()? {
        names.push(line.to_owned());
    }
    if names.len() != rows {
        let against = format!("rows are in {file}");
        let problem =
            FileProblem::Count { what: "names", found: names.len(), against, expected: rows };
        return Err(FileError::new(&list.to_string_lossy(), problem));
    }
    Rows { names, values: array.values, dim: (rows > 0).then_some(dim) }.finish(file)
}

fn read_parquet(path: &Path, file: &str) -> Result<EmbeddingFile, FileError> {
    let mut rows = Rows::default();
    let mut row_values = Vec::new();
    table::each_parquet_row(path, &["path", "embedding"], |row, cells| {
        let numbers = || "lists of numbers in the column 'embedding'".to_owned();
        let list = match cells[1] {
            Field::Null => return Ok(()),
            Field::ListInternal(list) => list,
            other => return Err(table::unexpected(file, row, numbers(), &other.to_string())),
        };
        row_values.clear();
        for element in list.elements() {
            match element {
                Field::Float(value) => row_values.push(*value),
                Field::Double(value) => row_values.push(*value as f32),
                other => return Err(table::unexpected(file, row, numbers(), &other.to_string())),
            }
        }
        let name = table::text(file, row, cells[0])?;
        rows.push(name, &row_values, || format!("{file}, row {row}"))
    })?;
    rows.finish(file)
}
