//! Copies kept rows of Parquet files, column by column, without interpreting them.

use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use attn_fiqa::panics::caught;
use attn_fiqa_eval::files::open_parquet;
use attn_fiqa_eval::selection::Selection;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{
    BoolType, ByteArrayType, DataType, DoubleType, FixedLenByteArrayType, FloatType, Int32Type,
    Int64Type, Int96Type,
};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::ColumnDescPtr;

use crate::output::Destination;

/// Rows of a column read at once.
const ROWS: usize = 4096;

type Writer = SerializedFileWriter<Destination>;
type Group<'a> = SerializedRowGroupWriter<'a, Destination>;

/// Copies the kept rows of all tables; schema, metadata and compression are those of the first.
pub(super) fn write(
    destination: Destination,
    tables: &[PathBuf],
    selection: &Selection,
) -> anyhow::Result<u64> {
    let [first, ..] = tables else { bail!("there are no tables") };
    let mut writer = start(destination, &open_parquet(first)?)?;
    let mut row = 0;
    for table in tables {
        let reader = open_parquet(table)?;
        let schema = reader.metadata().file_metadata().schema_descr().root_schema_ptr();
        if schema != writer_schema(&writer) {
            bail!(
                "'{}' does not have the columns of '{}'; filter them one by one",
                table.display(),
                first.display()
            );
        }
        for index in 0..reader.num_row_groups() {
            let rows = reader.metadata().row_group(index).num_rows() as u64;
            let cannot = || format!("cannot copy the rows of '{}'", table.display());
            // The reader panics on some damaged pages.
            let copied =
                caught(|| copy_group(&mut writer, &reader, index, row..row + rows, selection));
            match copied {
                Some(copied) => copied.with_context(cannot)?,
                None => bail!("{}: its pages are damaged", cannot()),
            }
            row += rows;
        }
    }
    writer.into_inner()?.finish()?;
    Ok(selection.kept())
}

fn writer_schema(writer: &Writer) -> parquet::schema::types::TypePtr {
    writer.schema_descr().root_schema_ptr()
}

fn start(destination: Destination, first: &SerializedFileReader<File>) -> anyhow::Result<Writer> {
    let metadata = first.metadata();
    let file = metadata.file_metadata();
    let mut properties =
        WriterProperties::builder().set_key_value_metadata(file.key_value_metadata().cloned());
    let column = metadata.row_groups().first().and_then(|group| group.columns().first());
    if let Some(column) = column {
        properties = properties.set_compression(column.compression());
    }
    let schema = file.schema_descr().root_schema_ptr();
    Ok(SerializedFileWriter::new(destination, schema, Arc::new(properties.build()))?)
}

/// Copies one row group; `rows` are the numbers of its rows.
fn copy_group(
    writer: &mut Writer,
    reader: &SerializedFileReader<File>,
    index: usize,
    rows: Range<u64>,
    selection: &Selection,
) -> anyhow::Result<()> {
    if !rows.clone().any(|row| selection.keeps(row)) {
        return Ok(());
    }
    let from = reader.get_row_group(index)?;
    let mut to = writer.next_row_group()?;
    let schema = reader.metadata().file_metadata().schema_descr_ptr();
    for (place, description) in schema.columns().iter().enumerate() {
        let keeps = |row: u64| selection.keeps(rows.start + row);
        let column = Column { to: &mut to, description, keeps: &keeps };
        match from.get_column_reader(place)? {
            ColumnReader::BoolColumnReader(from) => column.copy::<BoolType>(from),
            ColumnReader::Int32ColumnReader(from) => column.copy::<Int32Type>(from),
            ColumnReader::Int64ColumnReader(from) => column.copy::<Int64Type>(from),
            ColumnReader::Int96ColumnReader(from) => column.copy::<Int96Type>(from),
            ColumnReader::FloatColumnReader(from) => column.copy::<FloatType>(from),
            ColumnReader::DoubleColumnReader(from) => column.copy::<DoubleType>(from),
            ColumnReader::ByteArrayColumnReader(from) => column.copy::<ByteArrayType>(from),
            ColumnReader::FixedLenByteArrayColumnReader(from) => {
                column.copy::<FixedLenByteArrayType>(from)
            }
        }?;
    }
    to.close()?;
    Ok(())
}

/// One column of a row group.
struct Column<'c, 'g> {
    to: &'c mut Group<'g>,
    description: &'c ColumnDescPtr,
    /// Whether a row is kept, given its number in the group.
    keeps: &'c dyn Fn(u64) -> bool,
}

impl Column<'_, '_> {
    fn copy<T: DataType>(self, mut from: ColumnReaderImpl<T>) -> anyhow::Result<()> {
        let max_defined = self.description.max_def_level();
        let has_defined = max_defined > 0;
        let has_repeated = self.description.max_rep_level() > 0;
        let mut to = self
            .to
            .next_column()?
            .ok_or_else(|| anyhow::anyhow!("the schema has too few columns: this is a bug"))?;
        let (mut values, mut defined, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
        let mut row = 0;
        loop {
            values.clear();
            defined.clear();
            repeated.clear();
            let (rows, _, levels) = from.read_records(
                ROWS,
                has_defined.then_some(&mut defined),
                has_repeated.then_some(&mut repeated),
                &mut values,
            )?;
            if rows == 0 {
                break;
            }
            let mut kept = (Vec::new(), Vec::new(), Vec::new());
            let mut read = std::mem::take(&mut values).into_iter();
            let mut keeps = false;
            // A column without levels has one value per row.
            let levels = if has_defined || has_repeated { levels } else { rows };
            for level in 0..levels {
                let repetition = repeated.get(level).copied().unwrap_or_default();
                if repetition == 0 {
                    keeps = (self.keeps)(row);
                    row += 1;
                }
                let definition = defined.get(level).copied().unwrap_or(max_defined);
                // Only entries with the highest definition level have a value.
                let value = if definition == max_defined { read.next() } else { None };
                if keeps {
                    kept.0.extend(value);
                    kept.1.push(definition);
                    kept.2.push(repetition);
                }
            }
            to.typed::<T>().write_batch(
                &kept.0,
                has_defined.then_some(&kept.1),
                has_repeated.then_some(&kept.2),
            )?;
        }
        Ok(to.close()?)
    }
}
