//! Writes embeddings to a folder, a matrix, or rows.

use std::path::Path;

use anyhow::bail;
use attn_fiqa::pipeline::Row;

use super::folder::Folder;
use super::matrix::Matrix;
use crate::args::{Column, EmbeddingFormat, FormatChoice};
use crate::journal::{Admit, DoneImage, RunLog};
use crate::output::{self, ColumnChoice, Columns, Existing, Record, RunOutput, RunPlan, Sink};
use crate::summary::Summary;

/// Where embeddings go.
pub(super) enum Writer {
    Folder(Box<Folder>),
    Matrix(Box<Matrix>),
    Rows(Box<dyn Sink>),
}

/// How a writer is opened.
pub(super) struct WriterOptions<'a> {
    pub(super) plan: &'a RunPlan,
    pub(super) existing: Existing,
    pub(super) format: Option<EmbeddingFormat>,
    /// Whether rows have face columns.
    pub(super) faces: bool,
    /// How the embeddings were made.
    pub(super) about: Vec<(&'static str, String)>,
}

impl Writer {
    /// Chooses by format, otherwise by extension.
    pub(super) fn open(output: &Path, options: WriterOptions<'_>) -> anyhow::Result<Self> {
        let format = match options.format {
            Some(format) => format,
            None => format_of(output)?,
        };
        let ending = output.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        let stdout = output::is_stdout(output);
        let folder = output::is_folder(output) || (ending.is_none() && !stdout);
        if format == EmbeddingFormat::Npy && folder {
            return Ok(Self::Folder(Box::new(Folder::open(output, &options)?)));
        }
        if options.existing == Existing::Skip {
            bail!("--skip-existing is for a folder of files; rows are continued without it");
        }
        let format = match format {
            EmbeddingFormat::Npy if stdout || ending.as_deref() != Some("npy") => bail!(
                "a matrix has its names in a second file: name it FILE.npy, not '{}'",
                output.display()
            ),
            EmbeddingFormat::Npy => {
                return Ok(Self::Matrix(Box::new(Matrix::open(output, options.plan)?)));
            }
            EmbeddingFormat::Csv => FormatChoice::Csv,
            EmbeddingFormat::Jsonl => FormatChoice::Jsonl,
            EmbeddingFormat::Parquet => FormatChoice::Parquet,
        };
        rows(format, output, options).map(Self::Rows)
    }

    /// Excludes images whose files exist.
    pub(super) fn admit(&self) -> Option<Admit> {
        match self {
            Self::Folder(folder) => Some(folder.admit()),
            Self::Matrix(_) | Self::Rows(_) => None,
        }
    }

    pub(super) fn write(&mut self, row: Row, summary: &mut Summary) -> anyhow::Result<()> {
        match self {
            Self::Folder(folder) => folder.write(&row, summary),
            Self::Matrix(matrix) => matrix.write(&row),
            Self::Rows(sink) => sink.write(&Record::from(row)),
        }
    }
}

impl RunOutput for Writer {
    fn end_image(&mut self, image: &DoneImage) -> anyhow::Result<()> {
        match self {
            Self::Folder(folder) => folder.end_image(image),
            Self::Matrix(matrix) => matrix.end_image(image),
            Self::Rows(sink) => sink.end_image(image),
        }
    }

    fn log(&mut self) -> Option<&mut RunLog> {
        match self {
            Self::Folder(folder) => folder.log(),
            Self::Matrix(matrix) => matrix.log(),
            Self::Rows(sink) => sink.log(),
        }
    }

    fn finish(self: Box<Self>, images: Option<u64>) -> anyhow::Result<()> {
        match *self {
            Self::Folder(folder) => folder.finish(images),
            Self::Matrix(matrix) => matrix.finish(images),
            Self::Rows(sink) => sink.finish(images),
        }
    }
}

/// One row per face, with the embedding in a column.
fn rows(
    format: FormatChoice,
    output: &Path,
    options: WriterOptions<'_>,
) -> anyhow::Result<Box<dyn Sink>> {
    let columns = Columns::new(&ColumnChoice {
        methods: &[],
        on_request: &[Column::Embedding],
        faces: options.faces,
        jitter: false,
    });
    output::open(format, Some(output), columns.with_about(options.about), options.plan)
}

/// The format of an output, by its name.
fn format_of(output: &Path) -> anyhow::Result<EmbeddingFormat> {
    if output::is_stdout(output) {
        // The reader downstream is a program.
        return Ok(EmbeddingFormat::Csv);
    }
    let ending = output.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    match ending.as_deref() {
        _ if output::is_folder(output) => Ok(EmbeddingFormat::Npy),
        None | Some("npy") => Ok(EmbeddingFormat::Npy),
        Some("csv") => Ok(EmbeddingFormat::Csv),
        Some("jsonl" | "ndjson") => Ok(EmbeddingFormat::Jsonl),
        Some("parquet") => Ok(EmbeddingFormat::Parquet),
        Some(_) => bail!(
            "'{}' is neither a folder nor ends in .npy, .csv, .jsonl or .parquet",
            output.display()
        ),
    }
}

pub(super) fn embedding_of(row: &Row) -> Option<&[f32]> {
    row.outcome.as_ref().ok()?.embedding.as_deref()
}
