//! Embeddings into a folder, a matrix, or rows.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use attn_fiqa::pipeline::Row;
use attn_fiqa::status::Status;
use attn_fiqa_eval::files::npy;

use crate::args::{Column, FormatChoice};
use crate::output::{self, ColumnChoice, Columns, NewFile, Record, Sink, printable};
use crate::summary::Summary;

/// Where embeddings go.
pub(super) enum Writer {
    Folder(Folder),
    Matrix(Matrix),
    Rows(Box<dyn Sink>),
}

impl Writer {
    /// Chooses by the extension; `faces` says whether rows have columns about faces.
    pub(super) fn open(output: &Path, faces: bool) -> anyhow::Result<Self> {
        let ending = output.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        if output.is_dir() {
            return Folder::open(output).map(Self::Folder);
        }
        if output::is_stdout(output) {
            // A reader downstream is a program, and a matrix has its names in a second file.
            return rows(FormatChoice::Csv, output, faces).map(Self::Rows);
        }
        match ending.as_deref() {
            None => Folder::open(output).map(Self::Folder),
            Some("npy") => Matrix::open(output).map(Self::Matrix),
            Some("csv" | "jsonl" | "ndjson" | "parquet") => {
                let format = output::choose_format(None, Some(output))?;
                rows(format, output, faces).map(Self::Rows)
            }
            Some(_) => bail!(
                "'{}' is neither a folder nor ends in .npy, .csv, .jsonl or .parquet",
                output.display()
            ),
        }
    }

    pub(super) fn write(&mut self, row: Row, summary: &mut Summary) -> anyhow::Result<()> {
        match self {
            Self::Folder(folder) => folder.write(&row, summary),
            Self::Matrix(matrix) => matrix.write(&row),
            Self::Rows(sink) => sink.write(&Record::from(row)),
        }
    }

    pub(super) fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Folder(_) => Ok(()),
            Self::Matrix(matrix) => matrix.finish(),
            Self::Rows(sink) => sink.finish(),
        }
    }
}

/// A row a face, the embedding in a column.
fn rows(format: FormatChoice, output: &Path, faces: bool) -> anyhow::Result<Box<dyn Sink>> {
    let columns = Columns::new(&ColumnChoice {
        methods: &[],
        on_request: &[Column::Embedding],
        faces,
        jitter: false,
    });
    output::open(format, Some(output), columns)
}

fn embedding_of(row: &Row) -> Option<&[f32]> {
    row.outcome.as_ref().ok()?.embedding.as_deref()
}

/// `STEM.npy` a face, as evaluation scripts look them up.
pub(super) struct Folder {
    path: PathBuf,
    /// The image that each name belongs to.
    written: HashMap<OsString, String>,
}

impl Folder {
    fn open(path: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(path)
            .with_context(|| format!("cannot make the folder '{}'", path.display()))?;
        Ok(Self { path: path.to_owned(), written: HashMap::new() })
    }

    fn write(&mut self, row: &Row, summary: &mut Summary) -> anyhow::Result<()> {
        let Some(embedding) = embedding_of(row) else { return Ok(()) };
        // The name's own bytes, Unicode or not.
        let mut name = row.relative.file_stem().unwrap_or_default().to_owned();
        name.push(match row.face {
            Some(face) if !row.is_first => format!("#{}.npy", face.index),
            _ => ".npy".to_owned(),
        });
        if let Some(first) = self.written.get(&name) {
            let name = name.display();
            let message = format!("'{name}' holds the embedding of '{first}' already");
            summary.retract(row, Status::NotWritten, &message);
            return Ok(());
        }
        let mut file = NewFile::create(&self.path.join(&name))?;
        file.write_all(&npy::header(&[embedding.len()]))?;
        file.write_all(&npy::numbers(embedding))?;
        file.finish()?;
        self.written.insert(name, row.path.clone());
        Ok(())
    }
}

/// One matrix, and the names of its rows in a text file beside it. Faces without an
/// embedding are in neither.
pub(super) struct Matrix {
    matrix: NewFile,
    names: NewFile,
    /// The shape comes before the numbers and is known only after them.
    numbers: BufWriter<File>,
    rows: usize,
    dim: usize,
}

impl Matrix {
    fn open(path: &Path) -> anyhow::Result<Self> {
        // Where there must be room for the matrix anyway: the system's temporary folder
        // may be small, or memory.
        let folder = output::folder_of(path);
        let spool = tempfile::tempfile_in(&folder)
            .with_context(|| format!("cannot write into the folder '{}'", folder.display()))?;
        Ok(Self {
            matrix: NewFile::create(path)?,
            names: NewFile::create(&path.with_extension("txt"))?,
            numbers: BufWriter::new(spool),
            rows: 0,
            dim: 0,
        })
    }

    fn write(&mut self, row: &Row) -> anyhow::Result<()> {
        let Some(embedding) = embedding_of(row) else { return Ok(()) };
        self.numbers.write_all(&npy::numbers(embedding))?;
        writeln!(self.names, "{}", printable(&row.label()))?;
        self.rows += 1;
        self.dim = embedding.len();
        Ok(())
    }

    fn finish(mut self) -> anyhow::Result<()> {
        let mut numbers = self.numbers.into_inner().map_err(io::IntoInnerError::into_error)?;
        numbers.rewind()?;
        self.matrix.write_all(&npy::header(&[self.rows, self.dim]))?;
        io::copy(&mut numbers, &mut self.matrix)?;
        self.matrix.finish_run()?;
        self.names.finish_run()
    }
}
