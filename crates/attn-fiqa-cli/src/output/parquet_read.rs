//! Tables that `parquet_table` wrote, read back row by row.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use parquet::basic::{Compression, Repetition, Type as PhysicalType};
use parquet::file::reader::{FileReader, SerializedFileReader};
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
        let context = || format!("cannot read '{}'", path.display());
        let file = File::open(path).with_context(context)?;
        let reader = SerializedFileReader::new(file).with_context(context)?;
        let metadata = reader.metadata().file_metadata();
        let columns = metadata.schema().get_fields().iter().map(|field| {
            let kind = kind_of(field).with_context(|| {
                format!("'{}': the column '{}' is of no kind known", path.display(), field.name())
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
        Ok(Self { path: path.to_owned(), schema, rows: reader.into_iter() })
    }

    pub(crate) fn schema(&self) -> &TableSchema {
        &self.schema
    }

    /// The next row; nothing after the last.
    pub(crate) fn next_row(&mut self) -> anyhow::Result<Option<Vec<OwnedCell>>> {
        let Some(row) = self.rows.next() else { return Ok(None) };
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

/// What a column holds, by its type.
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

/// The outer `None` is for a value of another type.
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
