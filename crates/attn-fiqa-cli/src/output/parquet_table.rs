//! Writes Apache Parquet with the column writers of the `parquet` crate.

use std::io::Write;
use std::mem;
use std::sync::Arc;

use parquet::basic::{Compression, ConvertedType, Repetition, Type as PhysicalType, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, FloatType, Int32Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};

use super::arrow_schema::{ARROW_SCHEMA, arrow_schema};
use super::{Columns, Kind, OwnedCause, OwnedCell};

/// Rows per row group; they are held in memory until the group is full.
const ROW_GROUP: usize = 8192;

/// The prefix of every metadata entry of a table.
pub(crate) const ABOUT: &str = "attn_fiqa.";

/// Names the number of values in an embedding.
pub(crate) const EMBEDDING_LENGTH: &str = "embedding_length";

/// The form of a table: its columns, metadata and compression.
#[derive(Debug, Clone)]
pub(crate) struct TableSchema {
    pub(crate) columns: Vec<(String, Kind)>,
    /// How the rows were made, by name without [`ABOUT`].
    pub(crate) about: Vec<(String, String)>,
    pub(crate) compression: Compression,
}

impl TableSchema {
    /// The schema of a single file.
    pub(crate) fn of_file(columns: &Columns) -> Self {
        let fields = columns.fields.iter().map(|field| (field.name.clone(), field.kind));
        let about = columns.about.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        Self { columns: fields.collect(), about: about.collect(), compression: Compression::SNAPPY }
    }

    /// The schema of the files of a data set.
    pub(crate) fn of_data_set(columns: &Columns) -> Self {
        Self::of_file(columns).for_data_set()
    }

    /// Values per cell of the column `embedding`, if there is one.
    fn embedding_length(&self) -> Option<i32> {
        let (_, length) = self.about.iter().find(|(name, _)| name == EMBEDDING_LENGTH)?;
        length.parse().ok()
    }

    /// The same for the files of a data set.
    pub(crate) fn for_data_set(self) -> Self {
        Self { compression: Compression::ZSTD(ZstdLevel::default()), ..self }
    }
}

/// A table that is being written.
pub(crate) struct ParquetTable<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    rows: Vec<Vec<OwnedCell>>,
    kinds: Vec<Kind>,
}

impl<W: Write + Send> ParquetTable<W> {
    pub(crate) fn new(to: W, table: &TableSchema) -> anyhow::Result<Self> {
        let about = table.about.iter();
        let about =
            about.map(|(name, value)| KeyValue::new(format!("{ABOUT}{name}"), Some(value.clone())));
        let mut entries: Vec<KeyValue> = about.collect();
        entries.extend(table.embedding_length().map(|length| {
            KeyValue::new(ARROW_SCHEMA.to_owned(), arrow_schema(&table.columns, length))
        }));
        let properties = WriterProperties::builder()
            .set_compression(table.compression)
            .set_key_value_metadata(Some(entries))
            .build();
        let writer = SerializedFileWriter::new(to, schema(&table.columns)?, Arc::new(properties))?;
        let kinds = table.columns.iter().map(|(_, kind)| *kind).collect();
        Ok(Self { writer, rows: Vec::new(), kinds })
    }

    /// Adds a row, with a cell for each column.
    pub(crate) fn push(&mut self, row: Vec<OwnedCell>) -> anyhow::Result<()> {
        assert_eq!(row.len(), self.kinds.len(), "a cell for every column: this is a bug");
        self.rows.push(row);
        if self.rows.len() == ROW_GROUP {
            self.write_group()?;
        }
        Ok(())
    }

    /// Completes the table.
    pub(crate) fn finish(mut self) -> anyhow::Result<W> {
        self.write_group()?;
        Ok(self.writer.into_inner()?)
    }

    fn write_group(&mut self) -> anyhow::Result<()> {
        let rows = mem::take(&mut self.rows);
        if rows.is_empty() {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        for (column, kind) in self.kinds.iter().enumerate() {
            let cells = rows.iter().map(|row| &row[column]);
            match kind {
                Kind::Text => write_text(
                    &mut group,
                    cells.map(|cell| if let OwnedCell::Text(text) = cell { text } else { "" }),
                )?,
                Kind::Whole => write_optional::<Int32Type, _>(
                    &mut group,
                    cells.map(|cell| match cell {
                        OwnedCell::Whole(number) => number.and_then(|n| i32::try_from(n).ok()),
                        _ => None,
                    }),
                )?,
                Kind::Number => write_optional::<FloatType, _>(
                    &mut group,
                    cells.map(|cell| match cell {
                        OwnedCell::Number(number) => *number,
                        _ => None,
                    }),
                )?,
                Kind::List => write_lists::<FloatType, _>(
                    &mut group,
                    cells.map(|cell| match cell {
                        OwnedCell::List(list) => list.as_deref(),
                        _ => None,
                    }),
                )?,
                Kind::Words => write_lists::<ByteArrayType, _>(
                    &mut group,
                    cells.map(|cell| match cell {
                        OwnedCell::Words(words) => {
                            words.as_ref().map(|words| texts(words.iter().map(String::as_str)))
                        }
                        _ => None,
                    }),
                )?,
                Kind::Causes => write_causes(
                    &mut group,
                    cells.map(|cell| match cell {
                        OwnedCell::Causes(causes) => causes.as_deref(),
                        _ => None,
                    }),
                )?,
                Kind::Word => write_optional::<ByteArrayType, _>(
                    &mut group,
                    cells.map(|cell| match cell {
                        OwnedCell::Word(word) => word.as_deref().map(ByteArray::from),
                        _ => None,
                    }),
                )?,
            }
        }
        group.close()?;
        Ok(())
    }
}

/// The columns of the file, in the order in which they are written.
fn schema(columns: &[(String, Kind)]) -> anyhow::Result<TypePtr> {
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
    // Three levels, as the Parquet format specifies for lists.
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
        .iter()
        .map(|(name, kind)| match kind {
            Kind::Text => text(name),
            Kind::Whole => optional(name, PhysicalType::INT32),
            Kind::Number => optional(name, PhysicalType::FLOAT),
            Kind::List => list(name, float("element")?),
            Kind::Words => list(name, text("element")?),
            Kind::Causes => list(name, cause()?),
            Kind::Word => word(name),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let fields = fields.into_iter().map(Arc::new).collect();
    Ok(Arc::new(Type::group_type_builder("attn_fiqa").with_fields(fields).build()?))
}

type Group<'a, W> = SerializedRowGroupWriter<'a, W>;

fn write_text<'a, W: Write + Send>(
    group: &mut Group<'_, W>,
    values: impl Iterator<Item = &'a str>,
) -> anyhow::Result<()> {
    let values: Vec<ByteArray> = values.map(ByteArray::from).collect();
    write_column::<ByteArrayType, _>(group, &values, None, None)
}

fn write_optional<T: parquet::data_type::DataType, W: Write + Send>(
    group: &mut Group<'_, W>,
    values: impl Iterator<Item = Option<T::T>>,
) -> anyhow::Result<()> {
    let values: Vec<Option<T::T>> = values.collect();
    let defined: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let values: Vec<T::T> = values.into_iter().flatten().collect();
    write_column::<T, _>(group, &values, Some(&defined), None)
}

fn write_lists<T: parquet::data_type::DataType, W: Write + Send>(
    group: &mut Group<'_, W>,
    lists: impl Iterator<Item = Option<impl AsRef<[T::T]>>>,
) -> anyhow::Result<()> {
    /// No list, an empty list, and an element of a list (Dremel levels).
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
    write_column::<T, _>(group, &values, Some(&defined), Some(&repeated))
}

/// One column for each field of a cause.
fn write_causes<'a, W: Write + Send>(
    group: &mut Group<'_, W>,
    lists: impl Iterator<Item = Option<&'a [OwnedCause]>> + Clone,
) -> anyhow::Result<()> {
    let names = lists
        .clone()
        .map(|list| list.map(|list| texts(list.iter().map(|cause| cause.name.as_str()))));
    write_lists::<ByteArrayType, _>(group, names)?;
    for field in [|cause: &OwnedCause| cause.strength, |cause: &OwnedCause| cause.gain] {
        let numbers =
            lists.clone().map(|list| list.map(|list| list.iter().map(field).collect::<Vec<f32>>()));
        write_lists::<FloatType, _>(group, numbers)?;
    }
    Ok(())
}

fn texts<'a>(words: impl Iterator<Item = &'a str>) -> Vec<ByteArray> {
    words.map(ByteArray::from).collect()
}

fn write_column<T: parquet::data_type::DataType, W: Write + Send>(
    group: &mut Group<'_, W>,
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
