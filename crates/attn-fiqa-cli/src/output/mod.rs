//! Writes rows to a file or to standard output.

mod arrow_schema;
mod cells;
mod columns;
mod csv_rows;
mod data_set;
mod data_set_writer;
mod destination;
mod folder;
mod jsonl;
mod listed;
mod parquet_read;
mod parquet_rows;
mod parquet_table;
mod plain_table;
mod replacement;
mod run;
mod stdout;
mod table;
mod txt;

use std::fs::File;
use std::io::{BufReader, IsTerminal, Read};
use std::path::Path;

use anyhow::{Context, bail};

pub(crate) use cells::{OwnedCause, OwnedCell, encode};
pub(crate) use columns::{Cell, ColumnChoice, Columns, Kind, Record, describe_notes, printable};
pub(crate) use csv_rows::csv_record;
pub(crate) use data_set::{SUCCESS, parts};
pub(crate) use data_set_writer::DataSetWriter;
pub(crate) use destination::{
    DEFAULT_ROWS_PER_FILE, Destination, NewFile, RunPlan, absolute, folder_of, is_folder,
    is_stdout, same_file,
};
pub(crate) use folder::{BeforeRun, Existing, name_hash, open_folder, report_skipped, write_file};
pub(crate) use listed::{ListedImages, for_each_listed};
pub(crate) use parquet_read::TableReader;
pub(crate) use parquet_table::{EMBEDDING_LENGTH, ParquetTable, TableSchema};
pub(crate) use plain_table::PlainTable;
pub(crate) use run::RunRows;
pub(crate) use stdout::{is_output_closed, stdout};

use crate::args::{FormatChoice, TextFormat};
use crate::journal::{DoneImage, RunLog, RunPaths};

/// The file that lists a folder's files.
pub(crate) const MANIFEST: &str = "manifest.csv";

/// Receives the output of a run, image by image.
pub(crate) trait RunOutput {
    /// Everything written since the last call belongs to this image.
    fn end_image(&mut self, _image: &DoneImage) -> anyhow::Result<()> {
        Ok(())
    }

    /// The log of the earlier run that this one continues.
    fn log(&mut self) -> Option<&mut RunLog> {
        None
    }

    /// Completes the output of a run over `images` images; only now does a file get its name.
    /// `None` if the run was interrupted.
    fn finish(self: Box<Self>, images: Option<u64>) -> anyhow::Result<()>;
}

/// Receives one record per face and makes the result appear at the end.
pub(crate) trait Sink: RunOutput {
    fn write(&mut self, record: &Record) -> anyhow::Result<()>;
}

/// The requested format, else the one implied by the file extension, else a table on a terminal and
/// CSV otherwise.
pub(crate) fn choose_format(
    asked: Option<FormatChoice>,
    output: Option<&Path>,
) -> anyhow::Result<FormatChoice> {
    if let Some(format) = asked {
        return Ok(format);
    }
    let Some(output) = output.filter(|path| !is_stdout(path)) else {
        let to_person = std::io::stdout().is_terminal();
        return Ok(if to_person { FormatChoice::Table } else { FormatChoice::Csv });
    };
    if is_folder(output) {
        return Ok(FormatChoice::Parquet);
    }
    match output.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => Ok(FormatChoice::Csv),
        Some("jsonl" | "ndjson") => Ok(FormatChoice::Jsonl),
        Some("parquet") => Ok(FormatChoice::Parquet),
        Some("txt") => Ok(FormatChoice::Txt),
        _ => bail!(
            "the extension of '{}' does not give a format; expected .csv, .jsonl, .parquet or \
             .txt, or name it with --format",
            output.display()
        ),
    }
}

/// The requested format, else the one implied by the file extension, else a table on a terminal and
/// CSV otherwise.
pub(crate) fn choose_text_format(
    asked: Option<TextFormat>,
    output: Option<&Path>,
) -> anyhow::Result<TextFormat> {
    if let Some(format) = asked {
        return Ok(format);
    }
    let Some(output) = output.filter(|path| !is_stdout(path)) else {
        let to_person = std::io::stdout().is_terminal();
        return Ok(if to_person { TextFormat::Table } else { TextFormat::Csv });
    };
    match output.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => Ok(TextFormat::Csv),
        Some("jsonl" | "ndjson") => Ok(TextFormat::Jsonl),
        Some("txt") => Ok(TextFormat::Table),
        _ => bail!(
            "the extension of '{}' does not give a format; expected .csv, .jsonl or .txt, or name \
             it with --format",
            output.display()
        ),
    }
}

/// Opens the output; an existing file is not replaced until the end.
pub(crate) fn open(
    format: FormatChoice,
    output: Option<&Path>,
    columns: Columns,
    plan: &RunPlan,
) -> anyhow::Result<Box<dyn Sink>> {
    let to_stdout = output.is_none_or(is_stdout);
    if format == FormatChoice::Parquet && to_stdout && std::io::stdout().is_terminal() {
        bail!("parquet cannot be written to a terminal; name a file with --output");
    }
    if format == FormatChoice::Table {
        // The bars need all rows.
        return Ok(Box::new(table::Table::new(Destination::open(output)?, columns)));
    }
    let folder = output.filter(|output| is_folder(output));
    if let (Some(folder), FormatChoice::Parquet) = (folder, format) {
        let rows = plan.rows_per_file.unwrap_or(DEFAULT_ROWS_PER_FILE).get();
        return Ok(Box::new(data_set::DataSet::open(folder, columns, rows, plan)?));
    }
    if plan.rows_per_file.is_some() {
        bail!("--rows-per-file is for a folder of Parquet files, such as --output scores/");
    }
    let destination = Destination::open_run(output, plan)?;
    sink_into(format, destination, columns)
}

/// Opens the manifest of a folder, in CSV. With [`Existing::Skip`], the rows of the existing
/// manifest come before the new ones.
pub(crate) fn open_manifest(
    folder: &Path,
    existing: Existing,
    columns: Columns,
    plan: &RunPlan,
) -> anyhow::Result<Box<dyn Sink>> {
    let manifest = folder.join(MANIFEST);
    open_folder(folder, existing, Some(&RunPaths::beside(&manifest).journal))?;
    let mut destination = Destination::open_run(Some(&manifest), plan)?;
    keep_manifest(&mut destination, existing, &csv_rows::heading(&columns)?)?;
    sink_into(FormatChoice::Csv, destination, columns)
}

/// Uses the existing manifest as the heading of a new one.
pub(crate) fn keep_manifest(
    destination: &mut Destination,
    existing: Existing,
    heading: &[u8],
) -> anyhow::Result<()> {
    let Some(log) = destination.log().filter(|log| !log.has_heading()) else { return Ok(()) };
    let path = log.place().output.clone();
    if existing != Existing::Skip || !path.exists() {
        return Ok(());
    }
    let context = || format!("cannot read '{}'", path.display());
    let mut file = BufReader::new(File::open(&path).with_context(context)?);
    let mut start = Vec::new();
    file.by_ref().take(heading.len() as u64).read_to_end(&mut start).with_context(context)?;
    if start != heading {
        bail!(
            "'{}' does not have the columns of the rows to be added: name another folder",
            path.display()
        );
    }
    log.copy_heading(&mut (&start[..]).chain(file))
}

fn sink_into(
    format: FormatChoice,
    destination: Destination,
    columns: Columns,
) -> anyhow::Result<Box<dyn Sink>> {
    Ok(match format {
        FormatChoice::Table => Box::new(table::Table::new(destination, columns)),
        FormatChoice::Csv => Box::new(csv_rows::CsvRows::new(destination, columns)?),
        FormatChoice::Jsonl => Box::new(jsonl::Jsonl::new(destination, columns)),
        FormatChoice::Parquet => parquet_rows::open(destination, columns)?,
        FormatChoice::Txt => Box::new(txt::Txt::new(destination)),
    })
}
