//! Image files named in a list, one path a line.
//!
//! The list is read as a stream, so it may be longer than memory.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::film::Video;
use super::tally::{Tally, Uncounted};
use super::{Context, ImageData, ListFrom, SourceError, SourceItem, Stage, Step, file, name};
use crate::status::{Failure, Status};

/// Longer than any path that a system takes: a line beyond it is no path, and
/// must not fill memory.
const MAX_LINE: u64 = 64 << 10;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A list that is being read.
pub(super) struct List {
    lines: Box<dyn BufRead + Send>,
    shown: String,
    root: Option<PathBuf>,
    line_number: u64,
    ended: bool,
    /// Held until the last line is known.
    _uncounted: Uncounted,
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List")
            .field("shown", &self.shown)
            .field("root", &self.root)
            .field("line_number", &self.line_number)
            .finish_non_exhaustive()
    }
}

impl List {
    pub(super) fn open(
        from: &ListFrom,
        root: Option<&Path>,
        tally: &Tally,
    ) -> Result<Self, SourceError> {
        if let Some(root) = root
            && !root.is_dir()
        {
            return Err(SourceError::RootNotAFolder { root: root.to_owned() });
        }
        let (lines, shown): (Box<dyn BufRead + Send>, _) = match from {
            ListFrom::Stdin => (Box::new(BufReader::new(io::stdin())), "standard input".to_owned()),
            ListFrom::File(path) => {
                let unreadable =
                    |source| SourceError::UnreadableList { path: path.clone(), source };
                // A folder opens like a file on some systems and fails only
                // when it is read.
                if fs::metadata(path).map_err(unreadable)?.is_dir() {
                    return Err(unreadable(io::ErrorKind::IsADirectory.into()));
                }
                let opened = File::open(path).map_err(unreadable)?;
                (Box::new(BufReader::new(opened)), path.to_string_lossy().into_owned())
            }
        };
        Ok(Self::new(lines, shown, root, tally))
    }

    fn new(
        lines: Box<dyn BufRead + Send>,
        shown: String,
        root: Option<&Path>,
        tally: &Tally,
    ) -> Self {
        Self {
            lines,
            shown,
            root: root.map(Path::to_owned),
            line_number: 0,
            ended: false,
            _uncounted: tally.start_uncounted(),
        }
    }

    pub(super) fn step(&mut self, context: &Context) -> Step {
        let item = match self.next_path() {
            None => return Step::Done,
            Some(Ok(listed)) => {
                if let Some(options) = context.options.video(&listed) {
                    context.tally.add_known(1);
                    let relative = name::safe_relative(&listed);
                    let video = Video::new(self.path_of(&listed), &listed, relative, options);
                    return Step::Enter(Stage::Video(video));
                }
                self.read(&listed, context.options.max_bytes)
            }
            Some(Err(failure)) => SourceItem {
                path: format!("{}, line {}", self.shown, self.line_number),
                relative: PathBuf::from(format!("line-{}", self.line_number)),
                image: Err(failure),
            },
        };
        context.tally.add_known(1);
        Step::Item(item)
    }

    fn path_of(&self, listed: &Path) -> PathBuf {
        match &self.root {
            Some(root) => root.join(listed),
            None => listed.to_owned(),
        }
    }

    fn read(&self, listed: &Path, max_bytes: u64) -> SourceItem {
        let mut bytes = file::read(&self.path_of(listed), max_bytes);
        if let Err(failure) = &bytes
            && failure.status == Status::NotFound
            && self.root.is_none()
            && listed.is_relative()
        {
            let message = format!(
                "{} below the current directory: if the list's paths start elsewhere, \
                 give that folder as the list's root",
                failure.message
            );
            bytes = Err(Failure::new(Status::NotFound, message));
        }
        SourceItem {
            path: name::shown(listed),
            relative: name::safe_relative(listed),
            image: bytes.map(ImageData::Encoded),
        }
    }

    /// The next line that is not empty.
    fn next_path(&mut self) -> Option<Result<PathBuf, Failure>> {
        let unreadable = |message: String| Failure::new(Status::Unreadable, message);
        while !self.ended {
            let mut line = Vec::new();
            // Two more than a line's worth, for its end.
            let read = (&mut self.lines).take(MAX_LINE + 2).read_until(b'\n', &mut line);
            self.line_number += 1;
            match read {
                Err(error) => {
                    self.ended = true;
                    return Some(Err(unreadable(format!(
                        "the list cannot be read further: {error}"
                    ))));
                }
                Ok(0) => self.ended = true,
                Ok(_) => {}
            }
            if !line.ends_with(b"\n") && line.len() as u64 > MAX_LINE {
                self.ended = self.lines.skip_until(b'\n').is_err();
                return Some(Err(unreadable(format!(
                    "the line is longer than {MAX_LINE} bytes and cannot be a path"
                ))));
            }
            let mut text = line.as_slice();
            if self.line_number == 1 {
                text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
            }
            text = text.strip_suffix(b"\n").unwrap_or(text);
            text = text.strip_suffix(b"\r").unwrap_or(text);
            if !text.trim_ascii().is_empty() {
                return Some(path_from(text).ok_or_else(|| {
                    unreadable("the line is not UTF-8, and paths are UTF-8 here".to_owned())
                }));
            }
        }
        None
    }
}

/// A path from a list's or an archive's bytes: any bytes on Unix.
#[cfg(unix)]
#[allow(clippy::unnecessary_wraps)]
pub(super) fn path_from(bytes: &[u8]) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(bytes)))
}

/// A path from a list's or an archive's bytes: UTF-8 elsewhere than on Unix.
#[cfg(not(unix))]
pub(super) fn path_from(bytes: &[u8]) -> Option<PathBuf> {
    std::str::from_utf8(bytes).ok().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor};

    use super::*;

    fn names(bytes: &[u8]) -> Vec<Result<String, String>> {
        let lines = Box::new(BufReader::with_capacity(7, Cursor::new(bytes.to_vec())));
        let mut list = List::new(lines, "list".to_owned(), None, &Tally::default());
        std::iter::from_fn(|| list.next_path())
            .map(|path| path.map(|p| p.to_string_lossy().into_owned()).map_err(|f| f.message))
            .collect()
    }

    #[test]
    fn line_ends_and_marks_of_other_systems_are_understood() {
        let found = names(b"\xEF\xBB\xBFa b.jpg\r\n\n  \r\n c.jpg\n\xEF\xBB\xBFd.jpg");
        let expected = ["a b.jpg", " c.jpg", "\u{feff}d.jpg"];
        assert_eq!(found, expected.map(|name| Ok(name.to_owned())));
        assert_eq!(names(b""), []);
    }

    #[test]
    fn an_endless_line_is_one_failure_and_reading_goes_on() {
        let mut bytes = vec![b'x'; 3 * MAX_LINE as usize];
        bytes.extend_from_slice(b"\nnext.jpg\n");
        let found = names(&bytes);
        assert_eq!(found.len(), 2);
        assert!(found[0].as_ref().is_err_and(|m| m.contains("longer than")));
        assert_eq!(found[1], Ok("next.jpg".to_owned()));
    }
}
