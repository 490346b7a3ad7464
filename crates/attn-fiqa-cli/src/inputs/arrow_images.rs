//! Images in a column of an Arrow file, in the file or stream format, batch by batch. One batch
//! with all its columns is in memory at a time.

use std::io::{self, Read};
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_schema::{ArrowError, DataType, Schema};
use attn_fiqa::source::{ExternalImage, ExternalImages};
use parquet::file::reader::ChunkReader;

use super::table::{BYTES, Format, ImageRow, Names, PATH, TableError};

/// Start and end of a file in the file format; between them is a stream.
const MAGIC: &[u8] = b"ARROW1";
/// The magic number and its padding.
const FILE_START: u64 = 8;
/// Maximum number of zero bytes skipped after it.
const MOST_PADDING: u64 = 64;
const WORD: usize = 4;
/// The footer's length and the magic number.
const FILE_END: u64 = 10;

/// Bytes passed to the decoder at once.
const CHUNK: u64 = 1 << 20;

/// Maximum size of one batch, in bytes.
const MOST_BATCH_BYTES: u64 = 2 << 30;

pub(super) struct ArrowImages {
    messages: Box<dyn Read + Send>,
    decoder: StreamDecoder,
    /// Bytes read and not yet decoded.
    chunk: Buffer,
    column: String,
    names: Names,
    batch: Option<Batch>,
    /// Number of rows so far.
    rows: u64,
    ended: bool,
}

/// The images of one batch.
struct Batch {
    bytes: ArrayRef,
    path: Option<ArrayRef>,
    next: usize,
}

impl ArrowImages {
    pub(super) fn open<R: ChunkReader + 'static>(
        table: R,
        column: &str,
        names: Names,
    ) -> Result<Self, TableError> {
        let broken = |error: io::Error| TableError::broken(Format::Arrow, &error);
        let stream = stream_in(table).map_err(broken)?;
        let mut images = Self {
            messages: stream,
            decoder: StreamDecoder::new(),
            chunk: Buffer::default(),
            column: column.to_owned(),
            names,
            batch: None,
            rows: 0,
            ended: false,
        };
        // The schema comes first.
        images.batch = images.next_batch()?;
        if images.batch.is_none()
            && let Some(schema) = images.decoder.schema()
        {
            check(&schema, column)?;
        }
        Ok(images)
    }

    /// The next non-empty batch; `None` at the end.
    fn next_batch(&mut self) -> Result<Option<Batch>, TableError> {
        let broken = |error: ArrowError| TableError::broken(Format::Arrow, &error);
        let mut of_batch = 0_u64;
        loop {
            if self.chunk.is_empty() {
                let mut bytes = Vec::new();
                let read = (&mut self.messages).take(CHUNK).read_to_end(&mut bytes);
                of_batch += read.map_err(|error| TableError::broken(Format::Arrow, &error))? as u64;
                if bytes.is_empty() {
                    self.decoder.finish().map_err(broken)?;
                    return match self.decoder.schema() {
                        Some(_) => Ok(None),
                        None => Err(broken(ArrowError::IpcError("it holds no schema".to_owned()))),
                    };
                }
                if of_batch > MOST_BATCH_BYTES {
                    return Err(broken(ArrowError::IpcError(format!(
                        "it has a batch of more than {MOST_BATCH_BYTES} bytes; write smaller \
                         batches"
                    ))));
                }
                self.chunk = Buffer::from_vec(bytes);
            }
            let batch = self.decoder.decode(&mut self.chunk).map_err(broken)?;
            if let Some(batch) = batch.filter(|batch| batch.num_rows() > 0) {
                return images_of(&batch, &self.column).map(Some);
            }
        }
    }

    /// The batch that contains the next row; `None` at the end.
    fn batch(&mut self) -> Result<Option<&mut Batch>, TableError> {
        if self.batch.as_ref().is_none_or(|batch| batch.next == batch.bytes.len()) {
            // Drop the old batch before reading the next.
            self.batch = None;
            self.batch = self.next_batch()?;
        }
        Ok(self.batch.as_mut())
    }
}

impl ExternalImages for ArrowImages {
    fn next(
        &mut self,
        max_bytes: u64,
        wanted: &mut dyn FnMut(&str, &Path) -> bool,
    ) -> Option<ExternalImage> {
        if self.ended {
            return None;
        }
        let (names, number) = (self.names.clone(), self.rows);
        match self.batch() {
            Ok(None) => None,
            Ok(Some(batch)) => {
                let at = batch.next;
                batch.next += 1;
                let path = batch.path.as_ref().and_then(|paths| text_at(paths, at));
                let row = ImageRow { number, bytes: bytes_at(&batch.bytes, at), path };
                let image = names.image(&row, max_bytes, wanted);
                self.rows += 1;
                Some(image)
            }
            Err(error) => {
                self.ended = true;
                Some(names.failure(error))
            }
        }
    }
}

/// The messages of a file in either format.
fn stream_in<R: ChunkReader + 'static>(table: R) -> io::Result<Box<dyn Read + Send>> {
    let at = |start: u64| table.get_read(start).map_err(io::Error::other);
    let length = table.len();
    let mut head = Vec::new();
    at(0)?.take(MAGIC.len() as u64).read_to_end(&mut head)?;
    if head != MAGIC {
        return Ok(Box::new(Ranged { table, at: 0, end: length }));
    }
    let mut tail = Vec::new();
    at(length.saturating_sub(FILE_END))?.take(FILE_END).read_to_end(&mut tail)?;
    let footer = match tail.split_first_chunk::<4>() {
        Some((length, magic)) if magic == MAGIC => u64::from(u32::from_le_bytes(*length)),
        _ => {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "it has no footer at its end",
            ));
        }
    };
    let end = length.saturating_sub(FILE_END).saturating_sub(footer).max(FILE_START);
    // Some writers pad the start to 64 bytes; a message starts with a non-zero word.
    let mut head = Vec::new();
    at(FILE_START)?.take(MOST_PADDING).read_to_end(&mut head)?;
    let padding = head.chunks(WORD).take_while(|word| word.iter().all(|&byte| byte == 0)).count();
    let start = (FILE_START + (padding * WORD) as u64).min(end);
    Ok(Box::new(Ranged { table, at: start, end }))
}

/// A range of a table as a stream.
struct Ranged<R> {
    table: R,
    at: u64,
    end: u64,
}

impl<R: ChunkReader> Read for Ranged<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = (into.len() as u64).min(self.end - self.at);
        if count == 0 {
            return Ok(0);
        }
        let bytes = self.table.get_bytes(self.at, count as usize).map_err(io::Error::other)?;
        let into = into.get_mut(..bytes.len()).ok_or(io::ErrorKind::InvalidData)?;
        into.copy_from_slice(&bytes);
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }
}

/// Fails if there is no such column.
fn check(schema: &Schema, column: &str) -> Result<(), TableError> {
    images_of(&RecordBatch::new_empty(schema.clone().into()), column).map(|_| ())
}

/// The image column and its path column.
fn images_of(batch: &RecordBatch, column: &str) -> Result<Batch, TableError> {
    let missing = || {
        let schema = batch.schema();
        let columns = schema.fields().iter().map(|field| field.name().clone());
        TableError::no_column(column, &columns.collect::<Vec<_>>())
    };
    let mut parts = column.split('.');
    let mut found = match batch.column_by_name(column) {
        Some(found) => {
            parts = "".split('.');
            parts.next();
            found
        }
        None => parts.next().and_then(|part| batch.column_by_name(part)).ok_or_else(missing)?,
    };
    for part in parts {
        let fields = found.as_struct_opt().ok_or_else(missing)?;
        found = fields.column_by_name(part).ok_or_else(missing)?;
    }
    let other_type = || TableError::other_type(column, &found.data_type().to_string());
    let (bytes, path) = match found.as_struct_opt() {
        Some(fields) => {
            let bytes = fields.column_by_name(BYTES).ok_or_else(other_type)?;
            (bytes, fields.column_by_name(PATH))
        }
        None => (found, None),
    };
    if !matches!(bytes.data_type(), DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
    {
        return Err(other_type());
    }
    Ok(Batch { bytes: bytes.clone(), path: path.cloned(), next: 0 })
}

/// A value; `None` if it is null.
fn bytes_at(array: &ArrayRef, at: usize) -> Option<&[u8]> {
    if array.is_null(at) {
        return None;
    }
    match array.data_type() {
        DataType::Binary => Some(array.as_binary::<i32>().value(at)),
        DataType::LargeBinary => Some(array.as_binary::<i64>().value(at)),
        DataType::BinaryView => Some(array.as_binary_view().value(at)),
        _ => None,
    }
}

/// A text; `None` if it is null or the column does not hold texts.
fn text_at(array: &ArrayRef, at: usize) -> Option<&str> {
    if array.is_null(at) {
        return None;
    }
    match array.data_type() {
        DataType::Utf8 => Some(array.as_string::<i32>().value(at)),
        DataType::LargeUtf8 => Some(array.as_string::<i64>().value(at)),
        DataType::Utf8View => Some(array.as_string_view().value(at)),
        _ => None,
    }
}
