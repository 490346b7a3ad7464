//! Reads a text file line by line, with a limit on the line length.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::{FileError, FileProblem};

/// Longer than any path and number.
const MAX_LINE: u64 = 64 << 10;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Reads non-blank lines, with their numbers.
pub(crate) struct Lines<R> {
    reader: R,
    file: String,
    number: u64,
    line: Vec<u8>,
}

impl Lines<BufReader<File>> {
    pub(crate) fn open(path: &Path) -> Result<Self, FileError> {
        Ok(Self::new(&path.to_string_lossy(), BufReader::with_capacity(1 << 16, open(path)?)))
    }
}

/// Opens a regular file or a pipe, not a folder.
pub(crate) fn open(path: &Path) -> Result<File, FileError> {
    let found = fs::metadata(path).map_err(|error| FileError::io(path, error))?;
    if found.is_dir() {
        let problem = FileProblem::WrongKind { expected: "a file but a folder" };
        return Err(FileError::new(&path.to_string_lossy(), problem));
    }
    File::open(path).map_err(|error| FileError::io(path, error))
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(file: &str, reader: R) -> Self {
        Self { reader, file: file.to_owned(), number: 0, line: Vec::new() }
    }

    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// The next non-blank line, without surrounding spaces.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, &str)>, FileError> {
        loop {
            self.line.clear();
            self.number += 1;
            let read = (&mut self.reader).take(MAX_LINE).read_until(b'\n', &mut self.line);
            let error = |problem| FileError::at(&self.file, self.number, problem);
            match read {
                Err(io) => return Err(error(FileProblem::Io(io))),
                Ok(0) => return Ok(None),
                Ok(read) if read as u64 == MAX_LINE && !self.line.ends_with(b"\n") => {
                    let what = "line of a list";
                    return Err(error(FileProblem::TooLarge {
                        what,
                        limit: MAX_LINE,
                        unit: "bytes",
                    }));
                }
                Ok(_) => {}
            }
            if self.number == 1 && self.line.starts_with(BYTE_ORDER_MARK) {
                self.line.drain(..BYTE_ORDER_MARK.len());
            }
            if !self.line.trim_ascii().is_empty() {
                break;
            }
        }
        match std::str::from_utf8(&self.line) {
            Ok(line) => Ok(Some((self.number, line.trim()))),
            Err(_) => Err(FileError::at(&self.file, self.number, FileProblem::NotText)),
        }
    }
}

/// The columns of a line: separated by tabs if there is one, else by commas if there is one, else
/// by spaces.
pub(crate) fn columns(line: &str) -> Vec<&str> {
    if line.contains('\t') {
        line.split('\t').map(str::trim).collect()
    } else if line.contains(',') {
        line.split(',').map(str::trim).collect()
    } else {
        line.split_whitespace().collect()
    }
}
