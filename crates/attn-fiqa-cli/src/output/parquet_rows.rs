//! Apache Parquet, through the `parquet` crate's column writers.

use std::mem;
use std::sync::Arc;

use attn_fiqa::causes::FoundCause;
use parquet::basic::{Compression, ConvertedType, Repetition, Type as PhysicalType};
use parquet::data_type::{ByteArray, ByteArrayType, FloatType, Int32Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};

use super::{Cell, Columns, Destination, Kind, Record, Sink};

/// Rows of a group: they are held in memory until it is full.
const ROW_GROUP: usize = 8192;

pub(super) struct ParquetRows {
    writer: SerializedFileWriter<Destination>,
    rows: Vec<Record>,
    columns: Columns,
}

impl ParquetRows {
    pub(super) fn new(destination: Destination, columns: &Columns) -> anyhow::Result<Self> {
        let about = columns.about.iter();
        let about = about
            .map(|(name, value)| KeyValue::new(format!("attn_fiqa.{name}"), Some(value.clone())));
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_key_value_metadata(Some(about.collect()))
            .build();
        let writer =
            SerializedFileWriter::new(destination, schema(columns)?, Arc::new(properties))?;
        Ok(Self { writer, rows: Vec::new(), columns: columns.clone() })
    }

    fn write_group(&mut self) -> anyhow::Result<()> {
        let rows = mem::take(&mut self.rows);
        if rows.is_empty() {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        for field in &self.columns.fields {
            let cells = rows.iter().map(|row| row.cell(field));
            match field.kind {
                Kind::Text => write_text(
                    &mut group,
                    cells.map(|cell| if let Cell::Text(text) = cell { text } else { "" }),
                )?,
                Kind::Whole => write_optional::<Int32Type>(
                    &mut group,
                    cells.map(|cell| match cell {
                        Cell::Whole(number) => number.and_then(|n| i32::try_from(n).ok()),
                        _ => None,
                    }),
                )?,
                Kind::Number => write_optional::<FloatType>(
                    &mut group,
                    cells.map(|cell| if let Cell::Number(number) = cell { number } else { None }),
                )?,
                Kind::List => write_lists::<FloatType, _>(
                    &mut group,
                    cells.map(|cell| if let Cell::List(list) = cell { list } else { None }),
                )?,
                Kind::Words => write_lists::<ByteArrayType, _>(
                    &mut group,
                    cells.map(|cell| match cell {
                        Cell::Words(words) => words.map(|words| texts(words.iter().copied())),
                        _ => None,
                    }),
                )?,
                Kind::Causes => write_causes(
                    &mut group,
                    cells.map(|cell| if let Cell::Causes(list) = cell { list } else { None }),
                )?,
                Kind::Word => write_optional::<ByteArrayType>(
                    &mut group,
                    cells.map(|cell| match cell {
                        Cell::Word(word) => word.map(ByteArray::from),
                        _ => None,
                    }),
                )?,
            }
        }
        group.close()?;
        Ok(())
    }
}

impl Sink for ParquetRows {
    fn write(&mut self, record: &Record) -> anyhow::Result<()> {
        self.rows.push(record.clone());
        if self.rows.len() == ROW_GROUP {
            self.write_group()?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<()> {
        self.write_group()?;
        self.writer.into_inner()?.finish()
    }
}

/// The file's columns, in the order in which they are written.
fn schema(columns: &Columns) -> anyhow::Result<TypePtr> {
    let text = |name: &str| {
        Type::primitive_type_builder(name, PhysicalType::BYTE_ARRAY)
            .with_repetition(Repetition::REQUIRED)
            .with_converted_type(ConvertedType::UTF8)
            .build()
    };
    let optional = |name: &str, kind| {
        Type::primitive_type_builder(name, kind).with_repetition(Repetition::OPTIONAL).build()
    };
    let float = |name: &str| {
        Type::primitive_type_builder(name, PhysicalType::FLOAT)
            .with_repetition(Repetition::REQUIRED)
            .build()
    };
    let cause = || {
        let fields = [text("cause")?, float("strength")?, float("gain")?];
        Type::group_type_builder("element")
            .with_repetition(Repetition::REQUIRED)
            .with_fields(fields.map(Arc::new).into())
            .build()
    };
    // Three levels, as the Parquet format describes lists.
    let list = |name: &str, element: Type| {
        let repeated = Type::group_type_builder("list")
            .with_repetition(Repetition::REPEATED)
            .with_fields(vec![Arc::new(element)])
            .build()?;
        Type::group_type_builder(name)
            .with_repetition(Repetition::OPTIONAL)
            .with_converted_type(ConvertedType::LIST)
            .with_fields(vec![Arc::new(repeated)])
            .build()
    };
    let word = |name: &str| {
        Type::primitive_type_builder(name, PhysicalType::BYTE_ARRAY)
            .with_repetition(Repetition::OPTIONAL)
            .with_converted_type(ConvertedType::UTF8)
            .build()
    };
    let fields = columns
        .fields
        .iter()
        .map(|field| match field.kind {
            Kind::Text => text(&field.name),
            Kind::Whole => optional(&field.name, PhysicalType::INT32),
            Kind::Number => optional(&field.name, PhysicalType::FLOAT),
            Kind::List => list(&field.name, float("element")?),
            Kind::Words => list(&field.name, text("element")?),
            Kind::Causes => list(&field.name, cause()?),
            Kind::Word => word(&field.name),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let fields = fields.into_iter().map(Arc::new).collect();
    Ok(Arc::new(Type::group_type_builder("attn_fiqa").with_fields(fields).build()?))
}

type Group<'a> = SerializedRowGroupWriter<'a, Destination>;

fn write_text<'a>(
    group: &mut Group<'_>,
    values: impl Iterator<Item = &'a str>,
) -> anyhow::Result<()> {
    let values: Vec<ByteArray> = values.map(ByteArray::from).collect();
    write_column::<ByteArrayType>(group, &values, None, None)
}

fn write_optional<T: parquet::data_type::DataType>(
    group: &mut Group<'_>,
    values: impl Iterator<Item = Option<T::T>>,
) -> anyhow::Result<()> {
    let values: Vec<Option<T::T>> = values.collect();
    let defined: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let values: Vec<T::T> = values.into_iter().flatten().collect();
    write_column::<T>(group, &values, Some(&defined), None)
}

fn write_lists<T: parquet::data_type::DataType, L: AsRef<[T::T]>>(
    group: &mut Group<'_>,
    lists: impl Iterator<Item = Option<L>>,
) -> anyhow::Result<()> {
    /// No list at all, an empty list, and an element of a list (Dremel levels).
    const NO_LIST: i16 = 0;
    const EMPTY: i16 = 1;
    const ELEMENT: i16 = 2;
    let (mut values, mut defined, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
    for list in lists {
        match list.as_ref().map(AsRef::as_ref) {
            None | Some([]) => {
                defined.push(if list.is_none() { NO_LIST } else { EMPTY });
                repeated.push(0);
            }
            Some(list) => {
                values.extend_from_slice(list);
                defined.extend(list.iter().map(|_| ELEMENT));
                repeated.extend((0..list.len()).map(|index| i16::from(index > 0)));
            }
        }
    }
    write_column::<T>(group, &values, Some(&defined), Some(&repeated))
}

/// One column for each field of a cause.
fn write_causes<'a>(
    group: &mut Group<'_>,
    lists: impl Iterator<Item = Option<&'a [FoundCause]>> + Clone,
) -> anyhow::Result<()> {
    let names = lists
        .clone()
        .map(|list| list.map(|list| texts(list.iter().map(|found| found.cause.name()))));
    write_lists::<ByteArrayType, _>(group, names)?;
    for field in [|found: &FoundCause| found.strength, |found: &FoundCause| found.gain] {
        let numbers =
            lists.clone().map(|list| list.map(|list| list.iter().map(field).collect::<Vec<f32>>()));
        write_lists::<FloatType, _>(group, numbers)?;
    }
    Ok(())
}

fn texts<'a>(words: impl Iterator<Item = &'a str>) -> Vec<ByteArray> {
    words.map(ByteArray::from).collect()
}

fn write_column<T: parquet::data_type::DataType>(
    group: &mut Group<'_>,
    values: &[T::T],
    defined: Option<&[i16]>,
    repeated: Option<&[i16]>,
) -> anyhow::Result<()> {
    let mut column = group
        .next_column()?
        .ok_or_else(|| anyhow::anyhow!("the parquet schema has too few columns: this is a bug"))?;
    column.typed::<T>().write_batch(values, defined, repeated)?;
    Ok(column.close()?)
}
