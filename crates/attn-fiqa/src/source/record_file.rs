//! The images of an MXNet RecordIO file, as InsightFace packs its training sets (`train.rec`).
//!
//! A record starts with a header of 24 bytes: the number of labels, a label, and two identifiers.
//! The labels follow if there are any, then the encoded image. Records without an image list which
//! records belong to an identity; they are skipped.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::mem;
use std::path::{Path, PathBuf};

use super::progress::{Progress, Uncounted};
use super::record_reader::{Record, RecordReader, starts_as_records};
use super::{Context, Step, file, name};
use crate::decode::too_many_bytes;
use crate::regular_file::open_regular_file;
use crate::status::{Failure, Status};

const HEADER: usize = 24;

/// Maximum size of a record's labels, in bytes.
const MAX_LABEL_BYTES: u64 = 64 << 10;

/// Longer than any line of an index.
const MAX_INDEX_LINE: u64 = 256;

const BUFFER: usize = 256 << 10;

const ENDING: &str = "rec";

/// A record file being read.
pub(super) struct RecordFile {
    /// The file's name in rows, and relative.
    shown: String,
    own_relative: PathBuf,
    /// Prefix of all relative names.
    base: PathBuf,
    state: State,
    /// Number of records so far.
    records: u64,
    /// Held until the last record is known.
    _uncounted: Uncounted,
}

enum State {
    Closed(PathBuf),
    /// A stream from which nothing has been read yet.
    Unread(Box<dyn Read + Send>),
    Open(RecordReader<Box<dyn Read + Send>>, Option<Index>),
    Ended,
}

/// The keys of the records, in order.
struct Index(BufReader<File>);

/// Whether a regular file is a record file: judged by its name, or, if the name is not an image's,
/// by its content.
pub(super) fn is_record_file(path: &Path) -> bool {
    path.extension().is_some_and(|own| own.eq_ignore_ascii_case(ENDING))
        || (!name::is_image(path) && starts_as_records(&file::head(path)))
}

impl fmt::Debug for RecordFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordFile").field("shown", &self.shown).finish_non_exhaustive()
    }
}

impl RecordFile {
    pub(super) fn new(path: PathBuf, base: PathBuf, progress: &Progress) -> Self {
        let file_name = Path::new(path.file_name().unwrap_or_default());
        let relative = if base.as_os_str().is_empty() { file_name } else { &base };
        Self {
            shown: name::escaped(&path),
            own_relative: name::safe_relative(relative),
            base,
            state: State::Closed(path),
            records: 0,
            _uncounted: progress.start_uncounted(),
        }
    }

    /// The same from a stream, without an index.
    pub(super) fn of_stream(
        stream: Box<dyn Read + Send>,
        shown: String,
        relative: PathBuf,
        progress: &Progress,
    ) -> Self {
        Self {
            shown,
            own_relative: name::safe_relative(&relative),
            base: name::safe_relative(&relative),
            state: State::Unread(stream),
            records: 0,
            _uncounted: progress.start_uncounted(),
        }
    }

    pub(super) fn step(&mut self, context: &Context) -> Step {
        match self.next_image(context.options.max_bytes) {
            Ok(Some((key, image))) => {
                context.progress.add_known(1);
                let path = format!("{}#{key}", self.shown);
                context.item(path, self.base.join(key.to_string()), || image)
            }
            Ok(None) => Step::Done,
            Err(failure) => {
                self.state = State::Ended;
                context.progress.add_known(1);
                context.item(self.shown.clone(), self.own_relative.clone(), || Err(failure))
            }
        }
    }

    /// The key of the next record that holds an image, and its bytes; `Err` ends the file.
    #[allow(clippy::type_complexity, reason = "a key, and an image or its failure")]
    fn next_image(
        &mut self,
        max_bytes: u64,
    ) -> Result<Option<(u64, Result<Vec<u8>, Failure>)>, Failure> {
        self.state = match mem::replace(&mut self.state, State::Ended) {
            State::Closed(path) => open(&path)?,
            State::Unread(stream) => open_stream(stream)?,
            state => state,
        };
        let State::Open(reader, index) = &mut self.state else { return Ok(None) };
        let limit = max_bytes.saturating_add(HEADER as u64 + MAX_LABEL_BYTES);
        loop {
            let offset = reader.offset();
            let Some(record) = reader.next_record(limit).map_err(broken)? else {
                return Ok(None);
            };
            let key = match index {
                Some(index) => index.key(offset).map_err(broken)?,
                None => self.records,
            };
            self.records += 1;
            let image = match record {
                Record::Data(data) => image_of(data, max_bytes),
                Record::TooLong(length) => Err(too_many_bytes(length, max_bytes)),
            };
            if let Some(image) = image.transpose() {
                return Ok(Some((key, image)));
            }
        }
    }
}

/// The image in a record; `None` for an identity record.
fn image_of(mut data: Vec<u8>, max_bytes: u64) -> Result<Option<Vec<u8>>, Failure> {
    let broken = |message: &str| Failure::new(Status::BrokenImage, message);
    let Some(header) = data.first_chunk::<HEADER>() else {
        return Err(broken("the record is shorter than its header of 24 bytes"));
    };
    let [a, b, c, d, ..] = *header;
    let labels = u32::from_le_bytes([a, b, c, d]);
    let start = HEADER as u64 + u64::from(labels) * 4;
    let Some(start) = usize::try_from(start).ok().filter(|&start| start <= data.len()) else {
        return Err(broken(&format!(
            "the record declares {labels} labels, more than it has bytes for: it is damaged or not \
             a record of an image"
        )));
    };
    match (data.len() - start, labels) {
        (0, 0) => Err(broken("the record holds no image")),
        (0, _) => Ok(None),
        (length, _) if length as u64 > max_bytes => Err(too_many_bytes(length as u64, max_bytes)),
        _ => {
            data.drain(..start);
            Ok(Some(data))
        }
    }
}

fn open(path: &Path) -> Result<State, Failure> {
    let (records, _) = open_regular_file(path).map_err(|error| file::not_opened(path, error))?;
    let index = path.with_extension("idx");
    let index = open_regular_file(&index).ok().map(|(index, _)| Index(BufReader::new(index)));
    let records: Box<dyn Read + Send> = Box::new(BufReader::with_capacity(BUFFER, records));
    Ok(State::Open(RecordReader::new(records), index))
}

fn open_stream(stream: Box<dyn Read + Send>) -> Result<State, Failure> {
    let mut stream = BufReader::with_capacity(BUFFER, stream);
    file::peek(&mut stream)?;
    Ok(State::Open(RecordReader::new(Box::new(stream)), None))
}

fn broken(message: String) -> Failure {
    Failure::new(Status::BrokenArchive, message)
}

impl Index {
    /// The key of the record at `offset`, from the next line, `KEY TAB OFFSET`.
    fn key(&mut self, offset: u64) -> Result<u64, String> {
        let mut line = Vec::new();
        let read = (&mut self.0).take(MAX_INDEX_LINE).read_until(b'\n', &mut line);
        let parsed = read.ok().and_then(|_| std::str::from_utf8(&line).ok()).and_then(|line| {
            let (key, at) = line.trim_end().split_once('\t')?;
            Some((key.parse().ok()?, at.parse::<u64>().ok()?))
        });
        match parsed {
            Some((key, at)) if at == offset => Ok(key),
            _ => Err(format!(
                "the index file next to it (.idx) does not list the record at byte {offset} in its \
                 place: make it again, or remove it to number records from 0"
            )),
        }
    }
}
