//! Images in a column of a Parquet file, row group by row group. One page of the column is in
//! memory at a time, and no other column is read.

use std::path::Path;

use attn_fiqa::source::{ExternalImage, ExternalImages};
use parquet::basic::Type as PhysicalType;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_typed_column_reader};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, FileReader};
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::schema::types::SchemaDescriptor;

use super::table::{BYTES, Format, ImageRow, Names, PATH, TableError};

pub(super) struct ParquetImages<R: ChunkReader + 'static> {
    file: SerializedFileReader<R>,
    names: Names,
    /// The image column and its path column.
    bytes: usize,
    path: Option<usize>,
    /// The next row group.
    next_group: usize,
    group: Option<Group>,
    /// Number of rows so far.
    rows: u64,
    ended: bool,
}

/// A row group being read.
struct Group {
    bytes: Column,
    path: Option<Column>,
    rows_left: u64,
}

struct Column {
    reader: ColumnReaderImpl<ByteArrayType>,
    /// The definition level of a value that is not null.
    defined: i16,
}

impl<R: ChunkReader + 'static> ParquetImages<R> {
    pub(super) fn open(table: R, column: &str, names: Names) -> Result<Self, TableError> {
        let file = SerializedFileReader::new(table)
            .map_err(|error| TableError::broken(Format::Parquet, &error))?;
        let schema = file.metadata().file_metadata().schema_descr();
        let (bytes, path) = find(schema, column)?;
        Ok(Self { file, names, bytes, path, next_group: 0, group: None, rows: 0, ended: false })
    }

    /// The row group that contains the next row; `None` at the end.
    fn group(&mut self) -> Result<Option<&mut Group>, ParquetError> {
        while self.group.as_ref().is_none_or(|group| group.rows_left == 0) {
            if self.next_group == self.file.num_row_groups() {
                return Ok(None);
            }
            let group = self.file.get_row_group(self.next_group)?;
            let rows = u64::try_from(group.metadata().num_rows()).unwrap_or(0);
            let schema = self.file.metadata().file_metadata().schema_descr();
            let column = |index: usize| -> Result<Column, ParquetError> {
                let defined = schema.column(index).max_def_level();
                match group.get_column_reader(index)? {
                    reader @ ColumnReader::ByteArrayColumnReader(_) => {
                        Ok(Column { reader: get_typed_column_reader(reader), defined })
                    }
                    _ => Err(ParquetError::General("the type of the column changes".to_owned())),
                }
            };
            let (bytes, path) = (column(self.bytes)?, self.path.map(column).transpose()?);
            self.group = Some(Group { bytes, path, rows_left: rows });
            self.next_group += 1;
        }
        Ok(self.group.as_mut())
    }

    /// Bytes and path of the next row; `None` at the end.
    fn next_row(&mut self) -> Result<Option<[Option<ByteArray>; 2]>, ParquetError> {
        let Some(group) = self.group()? else { return Ok(None) };
        group.rows_left -= 1;
        let path = group.path.as_mut().map(Column::next).transpose()?.flatten();
        Ok(Some([group.bytes.next()?, path]))
    }
}

impl Column {
    /// The next value; `None` if it is null.
    fn next(&mut self) -> Result<Option<ByteArray>, ParquetError> {
        let (mut levels, mut values) = (Vec::new(), Vec::new());
        let levels_wanted = (self.defined > 0).then_some(&mut levels);
        let (records, _, _) = self.reader.read_records(1, levels_wanted, None, &mut values)?;
        if records == 0 {
            return Err(ParquetError::EOF("a column ends before its last row".to_owned()));
        }
        Ok(values.pop())
    }
}

impl<R: ChunkReader + 'static> ExternalImages for ParquetImages<R> {
    fn next(
        &mut self,
        max_bytes: u64,
        wanted: &mut dyn FnMut(&str, &Path) -> bool,
    ) -> Option<ExternalImage> {
        if self.ended {
            return None;
        }
        match self.next_row() {
            Ok(None) => None,
            Ok(Some([bytes, path])) => {
                let number = self.rows;
                self.rows += 1;
                let path = path.as_ref().map(|path| String::from_utf8_lossy(path.data()));
                let bytes = bytes.as_ref().map(ByteArray::data);
                let row = ImageRow { number, bytes, path: path.as_deref() };
                Some(self.names.image(&row, max_bytes, wanted))
            }
            Err(error) => {
                self.ended = true;
                Some(self.names.failure(TableError::broken(Format::Parquet, &error)))
            }
        }
    }
}

/// The leaf columns of the images and of their paths.
fn find(schema: &SchemaDescriptor, column: &str) -> Result<(usize, Option<usize>), TableError> {
    let leaf = |name: &str| {
        let mut leaves = schema.columns().iter();
        leaves.position(|leaf| leaf.path().string() == name)
    };
    let field = |name: &str| leaf(&format!("{column}.{name}"));
    let is_binary = |&index: &usize| {
        let leaf = schema.column(index);
        leaf.physical_type() == PhysicalType::BYTE_ARRAY && leaf.max_rep_level() == 0
    };
    if let Some(bytes) = leaf(column).or_else(|| field(BYTES)).filter(is_binary) {
        return Ok((bytes, field(PATH).filter(is_binary)));
    }
    let below = format!("{column}.");
    let mut leaves = schema.columns().iter();
    let is_there = |path: &str| path == column || path.starts_with(&below);
    match leaves.find(|leaf| is_there(&leaf.path().string())) {
        Some(found) => {
            let kind = if found.max_rep_level() > 0 {
                "list".to_owned()
            } else {
                found.physical_type().to_string()
            };
            Err(TableError::other_type(column, &kind))
        }
        None => {
            let roots = schema.root_schema().get_fields();
            let roots: Vec<String> = roots.iter().map(|root| root.name().to_owned()).collect();
            Err(TableError::no_column(column, &roots))
        }
    }
}
