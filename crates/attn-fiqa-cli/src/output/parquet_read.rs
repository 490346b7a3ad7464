//! Reads back tables written by `parquet_table`, row by row.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use attn_fiqa::panics::caught;
use attn_fiqa_eval::files::open_parquet;
use parquet::basic::{Compression, Repetition, Type as PhysicalType};
use parquet::file::reader::FileReader;
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use parquet::schema::types::Type;

use super::parquet_table::{ABOUT, TableSchema};
use super::{Kind, OwnedCause, OwnedCell};

/// A table that is being read.
pub(crate) struct TableReader {
    path: PathBuf,
    schema: TableSchema,
    rows: RowIter<'static>,
}

impl TableReader {
    /// # Errors
    ///
    /// If the file cannot be read, or has columns that this program does not write.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let reader = open_parquet(path)?;
        let metadata = reader.metadata().file_metadata();
        let columns = metadata.schema().get_fields().iter().map(|field| {
            let kind = kind_of(field).with_context(|| {
                format!(
                    "'{}': the column '{}' has an unsupported type",
                    path.display(),
                    field.name()
                )
            })?;
            Ok((field.name().to_owned(), kind))
        });
        let columns = columns.collect::<anyhow::Result<_>>()?;
        let entries = metadata.key_value_metadata().into_iter().flatten();
        let about = entries.filter_map(|entry| {
            let name = entry.key.strip_prefix(ABOUT)?;
            Some((name.to_owned(), entry.value.clone()?))
        });
        let schema =
            TableSchema { columns, about: about.collect(), compression: Compression::SNAPPY };
        let rows = caught(|| reader.into_iter()).ok_or_else(|| given_up(path))?;
        Ok(Self { path: path.to_owned(), schema, rows })
    }

    pub(crate) fn schema(&self) -> &TableSchema {
        &self.schema
    }

    /// The next row; `None` after the last.
    pub(crate) fn next_row(&mut self) -> anyhow::Result<Option<Vec<OwnedCell>>> {
        let row = caught(|| self.rows.next()).ok_or_else(|| given_up(&self.path))?;
        let Some(row) = row else { return Ok(None) };
        let context = || format!("cannot read '{}'", self.path.display());
        let row: Row = row.with_context(context)?;
        let cells = row.into_columns().into_iter().zip(&self.schema.columns);
        let cells = cells.map(|((_, field), (_, kind))| cell_of(field, *kind));
        let cells: Option<Vec<OwnedCell>> = cells.collect();
        match cells {
            Some(cells) => Ok(Some(cells)),
            None => bail!("'{}': a cell does not have its column's type", self.path.display()),
        }
    }
}

/// The error shown when the reader panics, as it does on some damaged pages.
fn given_up(path: &Path) -> anyhow::Error {
    anyhow!("cannot read '{}': its pages are damaged", path.display())
}

/// The kind of a column, derived from its type.
fn kind_of(field: &Type) -> Option<Kind> {
    if field.is_primitive() {
        let optional = field.get_basic_info().repetition() == Repetition::OPTIONAL;
        return match (field.get_physical_type(), optional) {
            (PhysicalType::BYTE_ARRAY, false) => Some(Kind::Text),
            (PhysicalType::BYTE_ARRAY, true) => Some(Kind::Word),
            (PhysicalType::INT32, true) => Some(Kind::Whole),
            (PhysicalType::FLOAT, true) => Some(Kind::Number),
            _ => None,
        };
    }
    let element = field.get_fields().first()?.get_fields().first()?;
    if !element.is_primitive() {
        return Some(Kind::Causes);
    }
    match element.get_physical_type() {
        PhysicalType::FLOAT => Some(Kind::List),
        PhysicalType::BYTE_ARRAY => Some(Kind::Words),
        _ => None,
    }
}

fn cell_of(field: Field, kind: Kind) -> Option<OwnedCell> {
    let field = match field {
        Field::Null => None,
        field => Some(field),
    };
    Some(match kind {
        Kind::Text => OwnedCell::Text(text(field?)?),
        Kind::Word => OwnedCell::Word(optional(field, text)?),
        Kind::Whole => OwnedCell::Whole(optional(field, |field| match field {
            Field::Int(number) => Some(i64::from(number)),
            _ => None,
        })?),
        Kind::Number => OwnedCell::Number(optional(field, number)?),
        Kind::List => OwnedCell::List(optional(field, |field| list(field, number))?),
        Kind::Words => OwnedCell::Words(optional(field, |field| list(field, text))?),
        Kind::Causes => OwnedCell::Causes(optional(field, |field| list(field, cause))?),
    })
}

/// The outer `None` means a value of another type.
fn optional<T>(field: Option<Field>, value: impl FnOnce(Field) -> Option<T>) -> Option<Option<T>> {
    match field {
        None => Some(None),
        Some(field) => value(field).map(Some),
    }
}

fn text(field: Field) -> Option<String> {
    if let Field::Str(text) = field { Some(text) } else { None }
}

fn number(field: Field) -> Option<f32> {
    if let Field::Float(number) = field { Some(number) } else { None }
}

fn list<T>(field: Field, value: impl Fn(Field) -> Option<T>) -> Option<Vec<T>> {
    let Field::ListInternal(list) = field else { return None };
    list.elements().iter().cloned().map(value).collect()
}

fn cause(field: Field) -> Option<OwnedCause> {
    let Field::Group(row) = field else { return None };
    let mut columns = row.into_columns().into_iter().map(|(_, field)| field);
    let name = text(columns.next()?)?;
    Some(OwnedCause { name, strength: number(columns.next()?)?, gain: number(columns.next()?)? })
}

#[cfg(test)]
mod tests {
    use super::super::parquet_table::ParquetTable;
    use super::*;

    fn rows() -> Vec<Vec<OwnedCell>> {
        let cause = OwnedCause { name: "blur".to_owned(), strength: 0.5, gain: 3.0 };
        let row = |number: i64| {
            vec![
                OwnedCell::Text(format!("{number}.png")),
                OwnedCell::Word((number > 1).then(|| "good".to_owned())),
                OwnedCell::Whole((number != 1).then_some(number)),
                OwnedCell::Number(Some(0.5)),
                OwnedCell::List(Some(vec![1.0, 2.0])),
                OwnedCell::Causes(Some(vec![cause.clone()])),
            ]
        };
        (0..3).map(row).collect()
    }

    fn table() -> Vec<u8> {
        let kinds = [Kind::Text, Kind::Word, Kind::Whole, Kind::Number, Kind::List, Kind::Causes];
        let names = ["path", "band", "quality", "score", "map", "causes"].map(str::to_owned);
        let schema = TableSchema {
            columns: names.into_iter().zip(kinds).collect(),
            about: vec![("version".to_owned(), "1".to_owned())],
            compression: Compression::SNAPPY,
        };
        let mut table = ParquetTable::new(Vec::new(), &schema).expect("a table");
        rows().into_iter().for_each(|row| table.push(row).expect("a row"));
        table.finish().expect("written")
    }

    /// Reads the rows of a file, which may never end.
    fn read(path: &Path) -> anyhow::Result<Vec<Vec<OwnedCell>>> {
        let mut reader = TableReader::open(path)?;
        let mut rows = Vec::new();
        while let Some(row) = reader.next_row()? {
            rows.push(row);
            if rows.len() == 100 {
                break;
            }
        }
        Ok(rows)
    }

    /// A wrong byte anywhere causes an error or another value, never a panic.
    #[test]
    fn corrupted_bytes_never_panic() {
        let whole = table();
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.parquet");
        std::fs::write(&path, &whole).expect("written");
        assert_eq!(read(&path).expect("whole"), rows());
        let (mut refused, mut other) = (0, 0);
        for place in 0..whole.len() {
            for value in [0xff, 0, whole[place] ^ 1, whole[place] ^ 0x80] {
                let mut bytes = whole.clone();
                bytes[place] = value;
                std::fs::write(&path, bytes).expect("written");
                match read(&path) {
                    Ok(_) => other += 1,
                    Err(_) => refused += 1,
                }
            }
        }
        assert!(refused > 100 && other > 100, "{refused} refused, {other} read");
    }
}
