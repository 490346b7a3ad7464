//! Image files named in a list, one path per line.
//!
//! Text is UTF-8, or UTF-16 with a byte order mark, as written by Windows PowerShell. Lines may
//! have more columns after the path: if a whole line does not name a file, the path is its longest
//! prefix before a tab, comma or space that does.
//!
//! The list is read as a stream, so it may be larger than memory. Images that an external reads are
//! requested some lines ahead.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::external::{Ahead, External, PendingImage};
use super::progress::{Progress, Uncounted};
use super::{Context, ListFrom, SourceError, Step, file, name};
use crate::status::{Failure, Status};

/// Longer than any path that a system accepts: a line beyond it is not a path, and must not fill
/// memory.
const MAX_LINE: u64 = 64 << 10;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Maximum number of separators tried as the start of a label; more than any list has columns.
const MAX_COLUMNS: usize = 64;

/// The text encoding of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    /// Bytes; UTF-8 on systems whose paths are.
    Bytes,
    Utf16Le,
    Utf16Be,
}

/// What ends a path in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Separator {
    Line,
    Nul,
}

type Lines = BufReader<Box<dyn Read + Send>>;

/// Bytes read from a list at once.
const BUFFER: usize = 64 << 10;

/// A list being read.
pub(super) struct List {
    lines: Lines,
    name: String,
    root: Option<PathBuf>,
    encoding: Encoding,
    separator: Separator,
    line_number: u64,
    ended: bool,
    /// Images that externals have started to read, and the files in between.
    ahead: Ahead,
    read_ahead: usize,
    /// Whether the list is a regular file, in which all lines are already available.
    is_file: bool,
    /// Held until the last line is known.
    _uncounted: Uncounted,
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List")
            .field("name", &self.name)
            .field("root", &self.root)
            .field("line_number", &self.line_number)
            .finish_non_exhaustive()
    }
}

impl List {
    pub(super) fn open(
        from: &ListFrom,
        root: Option<&Path>,
        nul_separated: bool,
        progress: &Progress,
    ) -> Result<Self, SourceError> {
        if let Some(root) = root
            && !root.is_dir()
        {
            return Err(SourceError::RootNotAFolder { root: root.to_owned() });
        }
        let (bytes, name, is_file): (Box<dyn Read + Send>, _, _) = match from {
            ListFrom::Stdin => (Box::new(io::stdin()), "standard input".to_owned(), false),
            ListFrom::File(path) => {
                let unreadable =
                    |source| SourceError::UnreadableList { path: path.clone(), source };
                // On some systems, opening a folder succeeds and only reading it fails.
                let found = fs::metadata(path).map_err(unreadable)?;
                if found.is_dir() {
                    return Err(unreadable(io::ErrorKind::IsADirectory.into()));
                }
                let opened = File::open(path).map_err(unreadable)?;
                (Box::new(opened), path.to_string_lossy().into_owned(), found.is_file())
            }
        };
        let separator = if nul_separated { Separator::Nul } else { Separator::Line };
        let lines = BufReader::with_capacity(BUFFER, bytes);
        Ok(Self::new(lines, name, is_file, root, separator, progress))
    }

    fn new(
        lines: Lines,
        name: String,
        is_file: bool,
        root: Option<&Path>,
        separator: Separator,
        progress: &Progress,
    ) -> Self {
        Self {
            lines,
            name,
            root: root.map(Path::to_owned),
            encoding: Encoding::Bytes,
            separator,
            line_number: 0,
            ended: false,
            ahead: Ahead::default(),
            read_ahead: 0,
            is_file,
            _uncounted: progress.start_uncounted(),
        }
    }

    pub(super) fn step(&mut self, context: &Context) -> Step {
        while self.ahead.is_empty()
            || (self.may_read_ahead() && self.ahead.has_room(self.read_ahead))
        {
            let listed = match self.next_path() {
                None => break,
                Some(Ok(listed)) => listed,
                Some(Err(failure)) => {
                    self.push_failure(context, failure);
                    continue;
                }
            };
            if let Some((external, name)) = self.external(&listed, context) {
                self.read_ahead =
                    if context.options.reads_videos() { 0 } else { external.read_ahead() };
                let (path, relative) = external.names(&name);
                let as_file = self.start(&name, context.options.max_bytes);
                self.ahead.push(context, path, relative, || {
                    external.start(&name, context.options.max_bytes).unwrap_or(as_file)
                });
                continue;
            }
            let listed = self.without_label(listed);
            let relative = name::safe_relative(&listed);
            // While videos are read, nothing is read ahead.
            if let Some(stage) = context.video(&self.path_of(&listed), &listed, &relative) {
                context.progress.add_known(1);
                return Step::Enter(stage);
            }
            let pending = self.start(&listed, context.options.max_bytes);
            self.ahead.push(context, name::escaped(&listed), relative, || pending);
        }
        self.ahead.pop(context).unwrap_or(Step::Done)
    }

    /// Whether the next line is available: a program that writes the list may wait for the images
    /// of its last lines.
    fn may_read_ahead(&self) -> bool {
        self.is_file || self.lines.buffer().contains(&b'\n') || self.lines.buffer().contains(&0)
    }

    fn push_failure(&mut self, context: &Context, failure: Failure) {
        let number = self.line_number;
        let path = match self.separator {
            Separator::Line => format!("{}, line {number}", self.name),
            Separator::Nul => format!("{}, entry {number}", self.name),
        };
        let relative = format!("line-{number}").into();
        self.ahead.push(context, path, relative, || Box::new(|| Err(failure)));
    }

    /// The external that reads a line, and the line without a label.
    fn external(&self, line: &Path, context: &Context) -> Option<(Arc<dyn External>, PathBuf)> {
        let bytes = line.as_os_str().as_encoded_bytes();
        let end = match self.separator {
            Separator::Line => bytes.iter().position(|byte| matches!(byte, b'\t' | b' ')),
            Separator::Nul => None,
        };
        let name = path_from(bytes.get(..end.unwrap_or(bytes.len()))?)?;
        context.external(&name).map(|external| (Arc::clone(external), name))
    }

    fn path_of(&self, listed: &Path) -> PathBuf {
        match &self.root {
            Some(root) => root.join(listed),
            None => listed.to_owned(),
        }
    }

    /// Reads a file when it is waited for.
    fn start(&self, listed: &Path, max_bytes: u64) -> PendingImage {
        let path = self.path_of(listed);
        let is_below_current = self.root.is_none() && listed.is_relative();
        Box::new(move || {
            let bytes = file::read(&path, max_bytes);
            if let Err(failure) = &bytes
                && failure.status == Status::NotFound
                && is_below_current
            {
                let message = format!(
                    "{} below the current directory: if the list's paths start elsewhere, \
                    give that folder as the list's root",
                    failure.message
                );
                return Err(Failure::new(Status::NotFound, message));
            }
            bytes
        })
    }

    /// The path at the start of a line: the whole line, or, if that names nothing, its longest
    /// prefix before a tab, comma or space that names a file.
    fn without_label(&self, line: PathBuf) -> PathBuf {
        if self.separator == Separator::Nul || fs::symlink_metadata(self.path_of(&line)).is_ok() {
            return line;
        }
        let bytes = line.as_os_str().as_encoded_bytes();
        let is_separator = |byte: &u8| matches!(byte, b'\t' | b',' | b' ');
        let ends = (1..bytes.len()).rev().filter(|&end| {
            let last = bytes.get(end - 1).is_none_or(is_separator);
            bytes.get(end).is_some_and(is_separator) && !last
        });
        let mut beginnings =
            ends.take(MAX_COLUMNS).filter_map(|end| bytes.get(..end).and_then(path_from));
        beginnings.find(|path| self.path_of(path).is_file()).unwrap_or(line)
    }

    /// The next non-empty line.
    fn next_path(&mut self) -> Option<Result<PathBuf, Failure>> {
        let unreadable = |message: String| Failure::new(Status::Unreadable, message);
        while !self.ended {
            let line = self.next_line();
            self.line_number += 1;
            let line = match line {
                Ok(Line::Text(line)) => line,
                Ok(Line::End) => {
                    self.ended = true;
                    return None;
                }
                Ok(Line::TooLong) => {
                    return Some(Err(unreadable(format!(
                        "the line is longer than {MAX_LINE} bytes and cannot be a path"
                    ))));
                }
                Ok(Line::NotText) => {
                    return Some(Err(unreadable(
                        "the list is UTF-16 by its byte order mark, but this line is not"
                            .to_owned(),
                    )));
                }
                Err(error) => {
                    self.ended = true;
                    return Some(Err(unreadable(format!(
                        "the list cannot be read further: {error}"
                    ))));
                }
            };
            let mut text = line.as_slice();
            if self.line_number == 1 {
                text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
            }
            if self.separator == Separator::Line {
                text = text.strip_suffix(b"\r").unwrap_or(text);
                if text.contains(&0) {
                    return Some(Err(unreadable(
                        "the line holds a zero byte, which no path does: if zero bytes separate \
                         the list's paths, have it read that way"
                            .to_owned(),
                    )));
                }
            }
            if !text.trim_ascii().is_empty() {
                return Some(path_from(text).ok_or_else(|| {
                    unreadable("the line is not UTF-8, but paths must be UTF-8 here".to_owned())
                }));
            }
        }
        None
    }

    /// The next line without its separator, converted to UTF-8 if the list is UTF-16.
    fn next_line(&mut self) -> io::Result<Line> {
        let end = match self.separator {
            Separator::Line => b'\n',
            Separator::Nul => 0,
        };
        if self.line_number == 0 {
            self.encoding = self.find_encoding()?;
        }
        if self.encoding != Encoding::Bytes {
            return self.next_line_of_utf16(end.into());
        }
        let mut line = Vec::new();
        // Two more than the limit, for the line ending.
        if (&mut self.lines).take(MAX_LINE + 2).read_until(end, &mut line)? == 0 {
            return Ok(Line::End);
        }
        if line.last() == Some(&end) {
            line.pop();
        } else if line.len() as u64 > MAX_LINE {
            self.lines.skip_until(end)?;
            return Ok(Line::TooLong);
        }
        Ok(Line::Text(line))
    }

    /// Consumes a UTF-16 byte order mark at the start of the list.
    fn find_encoding(&mut self) -> io::Result<Encoding> {
        let mut head = Vec::new();
        (&mut self.lines).take(2).read_to_end(&mut head)?;
        Ok(match head.as_slice() {
            [0xFF, 0xFE] => Encoding::Utf16Le,
            [0xFE, 0xFF] => Encoding::Utf16Be,
            _ => {
                head.extend_from_slice(self.lines.buffer());
                let none: Box<dyn Read + Send> = Box::new(io::empty());
                let rest = std::mem::replace(&mut self.lines, BufReader::new(none)).into_inner();
                let whole: Box<dyn Read + Send> = Box::new(io::Cursor::new(head).chain(rest));
                self.lines = BufReader::with_capacity(BUFFER, whole);
                Encoding::Bytes
            }
        })
    }

    /// The next line of UTF-16, as UTF-8. The bytes of `end` may also occur inside another
    /// character, so code units are read one by one.
    fn next_line_of_utf16(&mut self, end: u16) -> io::Result<Line> {
        let (mut units, mut too_long) = (Vec::new(), false);
        loop {
            let mut unit = Vec::with_capacity(2);
            (&mut self.lines).take(2).read_to_end(&mut unit)?;
            let unit = match (unit.as_slice(), self.encoding) {
                ([], _) if units.is_empty() => return Ok(Line::End),
                ([], _) => break,
                (&[low, high], Encoding::Utf16Le) | (&[high, low], _) => {
                    u16::from_be_bytes([high, low])
                }
                _ => return Ok(Line::NotText),
            };
            if unit == end {
                break;
            }
            too_long |= units.len() as u64 >= MAX_LINE / 2;
            if !too_long {
                units.push(unit);
            }
        }
        if too_long {
            return Ok(Line::TooLong);
        }
        Ok(match String::from_utf16(&units) {
            Ok(text) => Line::Text(text.into_bytes()),
            Err(_) => Line::NotText,
        })
    }
}

/// The result of reading one line.
enum Line {
    Text(Vec<u8>),
    TooLong,
    /// Invalid UTF-16.
    NotText,
    End,
}

/// A path from the bytes of a list or an archive: arbitrary bytes on Unix.
#[cfg(unix)]
#[allow(clippy::unnecessary_wraps)]
pub(super) fn path_from(bytes: &[u8]) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(bytes)))
}

/// A path from the bytes of a list or an archive: UTF-8 on other systems than Unix.
#[cfg(not(unix))]
pub(super) fn path_from(bytes: &[u8]) -> Option<PathBuf> {
    std::str::from_utf8(bytes).ok().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor};

    use super::*;

    fn names(bytes: &[u8]) -> Vec<Result<String, String>> {
        let bytes: Box<dyn Read + Send> = Box::new(Cursor::new(bytes.to_vec()));
        let lines = BufReader::with_capacity(7, bytes);
        let progress = Progress::default();
        let mut list = List::new(lines, "list".to_owned(), true, None, Separator::Line, &progress);
        std::iter::from_fn(|| list.next_path())
            .map(|path| path.map(|p| p.to_string_lossy().into_owned()).map_err(|f| f.message))
            .collect()
    }

    #[test]
    fn crlf_and_utf_8_bom_are_handled() {
        let found = names(b"\xEF\xBB\xBFa b.jpg\r\n\n  \r\n c.jpg\n\xEF\xBB\xBFd.jpg");
        let expected = ["a b.jpg", " c.jpg", "\u{feff}d.jpg"];
        assert_eq!(found, expected.map(|name| Ok(name.to_owned())));
        assert_eq!(names(b""), []);
    }

    #[test]
    fn utf_16_lists_with_bom_are_read() {
        // The code units of U+0A00 and U+000A consist of the same bytes.
        let text = "\u{feff}a b.jpg\r\n\r\n\u{a00}é😀.jpg\nlast.jpg";
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let expected = ["a b.jpg", "\u{a00}é😀.jpg", "last.jpg"].map(|name| Ok(name.to_owned()));
        assert_eq!(names(&little), expected);
        assert_eq!(names(&big), expected);
        // Half a code unit, and half a surrogate pair.
        let cut = names(&little[..little.len() - 1]);
        assert!(cut[2].as_ref().is_err_and(|m| m.contains("UTF-16")), "{cut:?}");
        let lone = names(b"\xFF\xFE\x00\xD8\n\0a\0");
        assert!(lone[0].as_ref().is_err_and(|m| m.contains("UTF-16")), "{lone:?}");
        assert_eq!(lone[1], Ok("a".to_owned()));
        let long: Vec<u8> =
            [b"\xFF\xFE".as_slice(), &b"x\0".repeat(MAX_LINE as usize), b"\n\0a\0"].concat();
        assert!(names(&long)[0].as_ref().is_err_and(|m| m.contains("longer than")));
        assert_eq!(names(&long)[1..], [Ok("a".to_owned())]);
    }

    #[test]
    fn reading_continues_after_an_overlong_line() {
        let mut bytes = vec![b'x'; 3 * MAX_LINE as usize];
        bytes.extend_from_slice(b"\nnext.jpg\n");
        let found = names(&bytes);
        assert_eq!(found.len(), 2);
        assert!(found[0].as_ref().is_err_and(|m| m.contains("longer than")));
        assert_eq!(found[1], Ok("next.jpg".to_owned()));
    }
}
