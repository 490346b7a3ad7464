//! One numeric column of a table with a column `path`, as written by `attn-fiqa score`.

use std::io::BufReader;
use std::path::Path;

use attn_fiqa::panics::caught;
use parquet::file::reader::FileReader;
use parquet::record::{Field, Row};

use super::lines::{Lines, open};
use super::parquet_file::open_parquet;
use super::{FileError, FileProblem, error::quoted};

const PATH: &str = "path";

/// The formats of tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Csv,
    JsonLines,
    Parquet,
}

/// The format according to the file's extension; `None` for text.
pub(super) fn kind(path: &Path) -> Option<Kind> {
    match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "csv" => Some(Kind::Csv),
        "jsonl" | "ndjson" => Some(Kind::JsonLines),
        "parquet" => Some(Kind::Parquet),
        _ => None,
    }
}

/// Paths, values (NaN for empty cells), and line numbers.
pub(super) type Numbers = (Vec<String>, Vec<f64>, Vec<u64>);

pub(super) fn read_numbers(path: &Path, kind: Kind, column: &str) -> Result<Numbers, FileError> {
    let mut numbers = (Vec::new(), Vec::new(), Vec::new());
    let mut push = |name, value, line| {
        numbers.0.push(name);
        numbers.1.push(value);
        numbers.2.push(line);
    };
    let file = path.to_string_lossy();
    match kind {
        Kind::Csv => each_csv_row(path, &[PATH, column], |line, cells| {
            let value = match cells[1].trim() {
                "" => f64::NAN,
                text => finite(&file, line, column, text)?,
            };
            push(cells[0].to_owned(), value, line);
            Ok(())
        })?,
        Kind::JsonLines => {
            // A row may lack the key, but not every row.
            let (mut found, mut lacking) = (false, None);
            each_json_row(path, |line, text, row| {
                let name = row.get(PATH).and_then(|name| name.as_str());
                let name = name.ok_or_else(|| {
                    FileError::unexpected(&file, line, "a text under the key 'path'", text)
                })?;
                let value = match row.get(column) {
                    None | Some(serde_json::Value::Null) => f64::NAN,
                    Some(value) => finite(&file, line, column, &value.to_string())?,
                };
                push(name.to_owned(), value, line);
                found |= row.contains_key(column);
                if !found {
                    lacking.get_or_insert(row);
                }
                Ok(())
            })?;
            if let (false, Some(row)) = (found, lacking) {
                return Err(no_column(&file, column, row.keys().map(String::as_str)));
            }
        }
        Kind::Parquet => each_parquet_row(path, &[PATH, column], |row, cells| {
            push(text(&file, row, cells[0])?, parquet_number(&file, row, column, cells[1])?, 0);
            Ok(())
        })?,
    }
    Ok(numbers)
}

/// A value in a Parquet file; NaN for an empty cell.
fn parquet_number(file: &str, row: u64, column: &str, cell: &Field) -> Result<f64, FileError> {
    if matches!(cell, Field::Null) {
        return Ok(f64::NAN);
    }
    let refused = |expected: String| unexpected(file, row, expected, &cell.to_string());
    let value = number(cell).ok_or_else(|| refused(format!("numbers in the column '{column}'")))?;
    if value.is_infinite() {
        return Err(refused(format!("finite numbers in the column '{column}'")));
    }
    Ok(value)
}

/// The value of a field of any numeric type; `None` for dates, decimals and everything else.
fn number(field: &Field) -> Option<f64> {
    match *field {
        Field::Float(value) => Some(f64::from(value)),
        Field::Double(value) => Some(value),
        Field::Byte(value) => Some(f64::from(value)),
        Field::Short(value) => Some(f64::from(value)),
        Field::Int(value) => Some(f64::from(value)),
        Field::Long(value) => Some(value as f64),
        Field::UByte(value) => Some(f64::from(value)),
        Field::UShort(value) => Some(f64::from(value)),
        Field::UInt(value) => Some(f64::from(value)),
        Field::ULong(value) => Some(value as f64),
        _ => None,
    }
}

/// The state of a column while its cells are read.
#[derive(Debug)]
struct ColumnScan {
    name: String,
    /// Whether any cell is not empty.
    any: bool,
    /// Whether every non-empty cell is a number.
    numbers: bool,
}

impl ColumnScan {
    fn new(name: String) -> Self {
        Self { name, any: false, numbers: true }
    }

    fn add(&mut self, is_empty: bool, is_number: bool) {
        self.any |= !is_empty;
        self.numbers &= is_empty || is_number;
    }

    fn numeric(columns: Vec<Self>) -> Vec<String> {
        let numeric = columns.into_iter().filter(|column| column.any && column.numbers);
        numeric.map(|column| column.name).collect()
    }
}

/// The names of the numeric columns, in order; some of their cells may be empty, but not all.
pub(super) fn numeric_columns(path: &Path, kind: Kind) -> Result<Vec<String>, FileError> {
    match kind {
        Kind::Csv => {
            let heading = csv_heading(path)?;
            let names: Vec<&str> = heading.iter().map(String::as_str).collect();
            let mut columns: Vec<ColumnScan> =
                heading.iter().cloned().map(ColumnScan::new).collect();
            each_csv_row(path, &names, |_, cells| {
                for (column, cell) in columns.iter_mut().zip(cells) {
                    let cell = cell.trim();
                    column.add(cell.is_empty(), cell.parse::<f64>().is_ok());
                }
                Ok(())
            })?;
            Ok(ColumnScan::numeric(columns))
        }
        Kind::JsonLines => {
            let mut columns: Vec<ColumnScan> = Vec::new();
            each_json_row(path, |_, _, row| {
                for (name, value) in row {
                    let place = columns.iter().position(|column| column.name == name);
                    let place = place.unwrap_or_else(|| {
                        columns.push(ColumnScan::new(name));
                        columns.len() - 1
                    });
                    columns[place].add(value.is_null(), value.is_number());
                }
                Ok(())
            })?;
            Ok(ColumnScan::numeric(columns))
        }
        Kind::Parquet => parquet_numeric_columns(path),
    }
}

fn parquet_numeric_columns(path: &Path) -> Result<Vec<String>, FileError> {
    let reader = open_parquet(path)?;
    let schema = reader.metadata().file_metadata().schema();
    // Dates and decimals are stored as integers too; only their fields tell.
    let may_be_numeric = |field: &&std::sync::Arc<parquet::schema::types::Type>| {
        use parquet::basic::Type::{DOUBLE, FLOAT, INT32, INT64};
        field.is_primitive() && matches!(field.get_physical_type(), DOUBLE | FLOAT | INT32 | INT64)
    };
    let numbers = schema.get_fields().iter().filter(may_be_numeric);
    let names: Vec<&str> = numbers.map(|field| field.name()).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut columns: Vec<ColumnScan> =
        names.iter().map(|&name| ColumnScan::new(name.to_owned())).collect();
    each_parquet_row(path, &names, |_, cells| {
        for (column, cell) in columns.iter_mut().zip(cells) {
            column.add(matches!(cell, Field::Null), number(cell).is_some());
        }
        Ok(())
    })?;
    Ok(ColumnScan::numeric(columns))
}

pub(super) fn damaged(path: &Path, error: parquet::errors::ParquetError) -> FileError {
    FileError::new(&path.to_string_lossy(), FileProblem::Damaged(error.to_string()))
}

/// Calls `take` with each line's number, text and JSON object.
pub(super) fn each_json_row(
    path: &Path,
    mut take: impl FnMut(u64, &str, serde_json::Map<String, serde_json::Value>) -> Result<(), FileError>,
) -> Result<(), FileError> {
    let file = path.to_string_lossy();
    let mut lines = Lines::open(path)?;
    while let Some((line, text)) = lines.next()? {
        let row = serde_json::from_str(text)
            .map_err(|_| FileError::unexpected(&file, line, "one JSON object per line", text))?;
        take(line, text, row)?;
    }
    Ok(())
}

/// The names of a CSV file's columns.
pub(super) fn csv_heading(path: &Path) -> Result<Vec<String>, FileError> {
    let file = path.to_string_lossy();
    let mut reader = csv::Reader::from_reader(BufReader::new(open(path)?));
    let heading = reader
        .headers()
        .map_err(|error| FileError::new(&file, FileProblem::Damaged(error.to_string())))?;
    let name = |cell: &str| cell.trim_start_matches('\u{feff}').to_owned();
    Ok(heading.iter().map(name).collect())
}

fn finite(file: &str, line: u64, column: &str, text: &str) -> Result<f64, FileError> {
    match text.parse::<f64>() {
        Ok(value) if !value.is_infinite() => Ok(value),
        _ => {
            let expected = format!("a finite number in the column '{column}'");
            Err(FileError::unexpected(file, line, &expected, text))
        }
    }
}

/// Calls `take` with each row's line number and the cells of these columns.
pub(super) fn each_csv_row(
    path: &Path,
    columns: &[&str],
    mut take: impl FnMut(u64, &[&str]) -> Result<(), FileError>,
) -> Result<(), FileError> {
    let file = path.to_string_lossy();
    let problem = |error: csv::Error| {
        let line = error.position().map(csv::Position::line);
        let problem = match error.into_kind() {
            csv::ErrorKind::Io(error) => FileProblem::Io(error),
            csv::ErrorKind::Utf8 { .. } => FileProblem::NotText,
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => FileProblem::Unexpected {
                expected: format!("{expected_len} cells, as in the heading"),
                found: len.to_string(),
            },
            other => FileProblem::Damaged(format!("{other:?}")),
        };
        match line {
            Some(line) => FileError::at(&file, line, problem),
            None => FileError::new(&file, problem),
        }
    };
    let mut reader = csv::Reader::from_reader(BufReader::with_capacity(1 << 16, open(path)?));
    let heading = reader.headers().map_err(problem)?.clone();
    let mut positions = Vec::new();
    for &column in columns {
        // A byte order mark belongs to the file, not to its first column.
        let position =
            heading.iter().position(|cell| cell.trim_start_matches('\u{feff}') == column);
        positions.push(position.ok_or_else(|| no_column(&file, column, heading.iter()))?);
    }
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(problem)? {
        let line = record.position().map_or(0, csv::Position::line);
        let cells: Vec<&str> =
            positions.iter().map(|&position| record.get(position).unwrap_or_default()).collect();
        take(line, &cells)?;
    }
    Ok(())
}

/// Calls `take` with each row's number, from 1, and the fields of these columns.
pub(super) fn each_parquet_row(
    path: &Path,
    columns: &[&str],
    mut take: impl FnMut(u64, &[&Field]) -> Result<(), FileError>,
) -> Result<(), FileError> {
    let file = path.to_string_lossy();
    let damaged = |error| damaged(path, error);
    let reader = open_parquet(path)?;
    let schema = reader.metadata().file_metadata().schema();
    let mut wanted = Vec::new();
    for &column in columns {
        let field = schema.get_fields().iter().find(|field| field.name() == column);
        let field = field.ok_or_else(|| {
            no_column(&file, column, schema.get_fields().iter().map(|field| field.name()))
        })?;
        wanted.push(field.clone());
    }
    let projection = parquet::schema::types::Type::group_type_builder(schema.name())
        .with_fields(wanted)
        .build()
        .map_err(damaged)?;
    // The reader panics on some damaged pages.
    let given_up = || FileError::new(&file, FileProblem::Damaged(READER_PANICKED.to_owned()));
    let rows = caught(|| reader.get_row_iter(Some(projection))).ok_or_else(given_up)?;
    let mut rows = rows.map_err(damaged)?;
    for index in 0_u64.. {
        let Some(row) = caught(|| rows.next()).ok_or_else(given_up)? else { break };
        let row: Row = row.map_err(damaged)?;
        let fields: Vec<(&String, &Field)> = row.get_column_iter().collect();
        let field = |column: &&str| {
            fields.iter().find(|(name, _)| name == column).map_or(&Field::Null, |(_, field)| field)
        };
        let cells: Vec<&Field> = columns.iter().map(field).collect();
        take(index + 1, &cells)?;
    }
    Ok(())
}

/// How a panic of the reader is reported.
const READER_PANICKED: &str = "its pages are not those that its metadata describe";

/// The text of a Parquet field.
pub(super) fn text(file: &str, row: u64, field: &Field) -> Result<String, FileError> {
    match field {
        Field::Str(text) => Ok(text.clone()),
        other => {
            Err(unexpected(file, row, "text in the column 'path'".to_owned(), &other.to_string()))
        }
    }
}

/// An error in a row of a format without lines.
pub(super) fn unexpected(file: &str, row: u64, expected: String, found: &str) -> FileError {
    let found = format!("{} in row {row}", quoted(found));
    FileError::new(file, FileProblem::Unexpected { expected, found })
}

pub(super) fn no_column<'a>(
    file: &str,
    column: &str,
    found: impl Iterator<Item = &'a str>,
) -> FileError {
    let found: Vec<String> = found.take(20).map(quoted).collect();
    let (column, found) = (column.to_owned(), found.join(", "));
    FileError::new(file, FileProblem::NoColumn { column, found })
}
