//! Chosen columns of a table as text, row by row, whatever its format.

use std::borrow::Cow;
use std::path::Path;

use parquet::file::reader::FileReader;
use parquet::record::Field;
use serde_json::Value;

use super::parquet_file::open_parquet;
use super::table::{self, Kind};
use super::{FileError, FileProblem};

/// The names of a table's columns; for JSON Lines, the keys of the first row.
pub(super) fn heading(path: &Path, kind: Kind) -> Result<Vec<String>, FileError> {
    match kind {
        Kind::Csv => table::csv_heading(path),
        Kind::Parquet => {
            let reader = open_parquet(path)?;
            let schema = reader.metadata().file_metadata().schema();
            Ok(schema.get_fields().iter().map(|field| field.name().to_owned()).collect())
        }
        Kind::JsonLines => first_keys(path),
    }
}

fn first_keys(path: &Path) -> Result<Vec<String>, FileError> {
    let file = path.to_string_lossy();
    let mut lines = super::lines::Lines::open(path)?;
    let Some((line, text)) = lines.next()? else {
        return Err(FileError::new(&file, FileProblem::Empty { what: "row" }));
    };
    let row: serde_json::Map<String, Value> = serde_json::from_str(text)
        .map_err(|_| FileError::unexpected(&file, line, "one JSON object per line", text))?;
    Ok(row.keys().cloned().collect())
}

/// Calls `take` with each row's number, from 1 (of the line if the format has lines, else of the
/// row), and the text of these columns, empty where there is no value. Numbers are written so that
/// they parse to the same value. As in CSV, a list is written as its items separated by spaces, and
/// a cause with its strength as `cause:strength`.
pub(super) fn each(
    path: &Path,
    kind: Kind,
    columns: &[&str],
    mut take: impl FnMut(u64, &[Cow<'_, str>]) -> Result<(), FileError>,
) -> Result<(), FileError> {
    match kind {
        Kind::Csv => table::each_csv_row(path, columns, |line, cells| {
            let cells: Vec<Cow<'_, str>> = cells.iter().map(|&cell| cell.into()).collect();
            take(line, &cells)
        }),
        Kind::JsonLines => table::each_json_row(path, |line, _, row| {
            let cell = |column: &&str| row.get(*column).map_or(Cow::Borrowed(""), json_text);
            let cells: Vec<Cow<'_, str>> = columns.iter().map(cell).collect();
            take(line, &cells)
        }),
        Kind::Parquet => table::each_parquet_row(path, columns, |row, fields| {
            let cells: Vec<Cow<'_, str>> = fields.iter().map(|field| parquet_text(field)).collect();
            take(row, &cells)
        }),
    }
}

fn json_text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => "".into(),
        Value::String(text) => text.into(),
        Value::Array(items) => items.iter().map(json_item).collect::<Vec<_>>().join(" ").into(),
        other => other.to_string().into(),
    }
}

fn json_item(item: &Value) -> String {
    let Value::Object(fields) = item else { return json_text(item).into_owned() };
    let cause = fields.get("cause").and_then(Value::as_str).unwrap_or_default();
    joined(cause, fields.get("strength").map(|strength| json_text(strength).into_owned()))
}

fn parquet_text(field: &Field) -> Cow<'_, str> {
    match field {
        Field::Null => "".into(),
        Field::Str(text) => text.into(),
        Field::Float(number) => number.to_string().into(),
        Field::Double(number) => number.to_string().into(),
        Field::ListInternal(list) => {
            list.elements().iter().map(parquet_item).collect::<Vec<_>>().join(" ").into()
        }
        other => other.to_string().into(),
    }
}

fn parquet_item(item: &Field) -> String {
    let Field::Group(row) = item else { return parquet_text(item).into_owned() };
    let text = |wanted: &str| {
        let field = row.get_column_iter().find(|(name, _)| *name == wanted);
        field.map(|(_, field)| parquet_text(field).into_owned())
    };
    joined(&text("cause").unwrap_or_default(), text("strength"))
}

fn joined(cause: &str, strength: Option<String>) -> String {
    strength.map_or(cause.to_owned(), |strength| format!("{cause}:{strength}"))
}
