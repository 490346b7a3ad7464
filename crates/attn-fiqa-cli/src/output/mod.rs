//! Rows on their way to a file or to standard output.

mod columns;
mod csv_rows;
mod destination;
mod jsonl;
mod parquet_rows;
mod plain_table;
mod table;
mod txt;

use std::io::IsTerminal;
use std::path::Path;

use anyhow::bail;

pub(crate) use columns::{Cell, ColumnChoice, Columns, Kind, Record, describe_notes, printable};
pub(crate) use destination::{Destination, NewFile, absolute, folder_of, is_stdout, same_file};
pub(crate) use plain_table::PlainTable;

use crate::args::{FormatChoice, TextFormat};

/// Takes one record a face and, at the end, makes the result appear.
pub(crate) trait Sink {
    fn write(&mut self, record: &Record) -> anyhow::Result<()>;

    /// Completes the output; a file gets its name only here.
    fn finish(self: Box<Self>) -> anyhow::Result<()>;
}

/// The format asked for, else that of the file's ending, else a table for a
/// person and CSV for a program.
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

/// The format asked for, else that of the file's ending, else a table for a person and CSV for a
/// program.
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

/// Opens the output; nothing is in place of an existing file until the end.
pub(crate) fn open(
    format: FormatChoice,
    output: Option<&Path>,
    columns: Columns,
) -> anyhow::Result<Box<dyn Sink>> {
    let to_stdout = output.is_none_or(is_stdout);
    if format == FormatChoice::Parquet && to_stdout && std::io::stdout().is_terminal() {
        bail!("parquet is no text for a terminal; name a file with --output");
    }
    let destination = Destination::open(output)?;
    Ok(match format {
        FormatChoice::Table => Box::new(table::Table::new(destination, columns)),
        FormatChoice::Csv => Box::new(csv_rows::CsvRows::new(destination, columns)?),
        FormatChoice::Jsonl => Box::new(jsonl::Jsonl::new(destination, columns)),
        FormatChoice::Parquet => Box::new(parquet_rows::ParquetRows::new(destination, &columns)?),
        FormatChoice::Txt => Box::new(txt::Txt::new(destination)),
    })
}
