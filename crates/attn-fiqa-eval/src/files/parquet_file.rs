//! Opens a Parquet file after checking the metadata that the reader trusts.

use std::fs::File;
use std::path::Path;

use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::lines::open;
use super::table::damaged;
use super::{FileError, FileProblem};

/// Opens a Parquet file and checks where its columns lie: the reader panics on negative offsets and
/// sizes.
///
/// # Errors
///
/// If the file cannot be read or its metadata are damaged.
pub fn open_parquet(path: &Path) -> Result<SerializedFileReader<File>, FileError> {
    let file = open(path)?;
    let length = file.metadata().map_err(|error| FileError::io(path, error))?.len();
    let reader = SerializedFileReader::new(file).map_err(|error| damaged(path, error))?;
    let wrong =
        |what: String| Err(FileError::new(&path.to_string_lossy(), FileProblem::Damaged(what)));
    for (index, group) in reader.metadata().row_groups().iter().enumerate() {
        if group.num_rows() < 0 {
            return wrong(format!("row group {index} has {} rows", group.num_rows()));
        }
        for column in group.columns() {
            if !lies_within(column, length) {
                let name = column.column_path().string();
                return wrong(format!("column '{name}' of row group {index} is not in the file"));
            }
        }
    }
    Ok(reader)
}

fn lies_within(column: &ColumnChunkMetaData, length: u64) -> bool {
    let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
    let end = u64::try_from(start).ok().zip(u64::try_from(column.compressed_size()).ok());
    let end = end.and_then(|(start, size)| start.checked_add(size));
    end.is_some_and(|end| end <= length) && column.num_values() >= 0
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parquet::data_type::{ByteArray, ByteArrayType, Int32Type};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::super::table::each_parquet_row;
    use super::*;

    fn file() -> Vec<u8> {
        let schema = "message m { required binary path (UTF8); optional int32 quality; }";
        let schema = Arc::new(parse_message_type(schema).expect("a schema"));
        let properties = Arc::new(WriterProperties::builder().build());
        let mut bytes = Vec::new();
        let mut writer =
            SerializedFileWriter::new(&mut bytes, schema, properties).expect("a writer");
        let mut group = writer.next_row_group().expect("a group");
        let mut column = group.next_column().expect("written").expect("a column");
        let paths: Vec<ByteArray> = ["a", "b", "a"].map(ByteArray::from).into();
        column.typed::<ByteArrayType>().write_batch(&paths, None, None).expect("written");
        column.close().expect("closed");
        let mut column = group.next_column().expect("written").expect("a column");
        let levels = Some(&[1, 0, 1][..]);
        column.typed::<Int32Type>().write_batch(&[5, 6], levels, None).expect("written");
        column.close().expect("closed");
        group.close().expect("closed");
        writer.close().expect("closed");
        bytes
    }

    /// A wrong byte anywhere gives an error or another value, never a panic.
    #[test]
    fn corrupted_parquet_does_not_panic() {
        let whole = file();
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.parquet");
        let (mut refused, mut read) = (0, 0);
        for place in 0..whole.len() {
            for value in [0xff, 0, whole[place] ^ 1, whole[place] ^ 0x80, whole[place] ^ 3] {
                let mut bytes = whole.clone();
                bytes[place] = value;
                std::fs::write(&path, bytes).expect("written");
                match each_parquet_row(&path, &["path", "quality"], |_, _| Ok(())) {
                    Ok(()) => read += 1,
                    Err(_) => refused += 1,
                }
            }
        }
        assert!(refused > 100 && read > 100, "{refused} refused, {read} read");
        std::fs::write(&path, whole).expect("written");
        assert_eq!(open_parquet(&path).expect("whole").metadata().file_metadata().num_rows(), 3);
    }
}
