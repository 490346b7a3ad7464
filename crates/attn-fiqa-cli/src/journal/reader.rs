//! Journals, line by line. They may come from anyone, so nothing in them is trusted before it is
//! checked.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::{Fingerprint, Line};

/// The first line of a journal.
pub(super) const MAGIC: &str = "attn-fiqa journal 1";

/// Upper bound on the length of a journal line, so that a file that is not a journal cannot fill
/// the memory.
const MAX_LINE: u64 = 1 << 20;

/// What is wrong with the start of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadHeader {
    /// Worded as the end of a sentence.
    pub(super) what: &'static str,
    /// Its two lines are not all there, as if the run was killed while writing them.
    pub(super) is_truncated: bool,
}

/// Reads the start of a journal.
///
/// # Errors
///
/// The outer error, if it cannot be read; the inner one, if it is not the start of a journal.
pub(super) fn read_header(
    journal: &mut impl BufRead,
) -> io::Result<Result<Fingerprint, BadHeader>> {
    let bad = |what| Ok(Err(BadHeader { what, is_truncated: false }));
    let truncated = |what| Ok(Err(BadHeader { what, is_truncated: true }));
    let first = read_line(journal)?;
    match first.strip_suffix(b"\n") {
        Some(first) if first == MAGIC.as_bytes() => {}
        Some(_) => return bad("is of another version, or is not a journal"),
        None => return truncated("is empty or truncated"),
    }
    let header = read_line(journal)?;
    let Some(header) = header.strip_suffix(b"\n") else {
        return truncated("is truncated in its first lines");
    };
    match serde_json::from_slice(header) {
        Ok(fingerprint) => Ok(Ok(fingerprint)),
        Err(_) => bad("is damaged in its first lines"),
    }
}

/// The bytes of the next line including its end, which is missing if the line is truncated or too
/// long; empty at the end of the file.
fn read_line(journal: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    journal.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
    Ok(line)
}

fn parse(line: &[u8]) -> Option<Line> {
    Line::parse(std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?)
}

/// A line and the position of its end in the file.
pub(super) struct Located {
    pub(super) line: Line,
    pub(super) end: u64,
}

/// The lines of a journal after its header, up to the first damaged or truncated line. A line that
/// cannot be read is an error, and not the end.
pub(super) struct Lines<'a> {
    reader: BufReader<&'a File>,
    /// Where the next line starts.
    pub(super) at: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn new(file: &'a mut File) -> io::Result<Self> {
        file.rewind()?;
        let mut lines = Self { reader: BufReader::with_capacity(1 << 16, &*file), at: 0 };
        for _ in 0..2 {
            lines.at += read_line(&mut lines.reader)?.len() as u64;
        }
        Ok(lines)
    }

    /// The lines from a position in the file.
    pub(super) fn starting_at(file: &'a mut File, at: u64) -> io::Result<Self> {
        file.seek(SeekFrom::Start(at))?;
        Ok(Self { reader: BufReader::with_capacity(1 << 16, &*file), at })
    }
}

impl Iterator for Lines<'_> {
    type Item = io::Result<Located>;

    fn next(&mut self) -> Option<io::Result<Located>> {
        let line = match read_line(&mut self.reader) {
            Ok(line) => line,
            Err(error) => return Some(Err(error)),
        };
        let parsed = parse(&line)?;
        self.at += line.len() as u64;
        Some(Ok(Located { line: parsed, end: self.at }))
    }
}

/// The journal of a complete run, line by line.
pub(crate) struct JournalReader {
    reader: BufReader<File>,
    path: PathBuf,
    ended: bool,
}

impl JournalReader {
    /// Opens a journal, and reads which run it belongs to.
    ///
    /// # Errors
    ///
    /// If it does not exist or is damaged.
    pub(crate) fn open(path: &Path) -> anyhow::Result<(Fingerprint, Self)> {
        let file = File::open(path).with_context(|| format!("cannot read '{}'", path.display()))?;
        let mut reader = BufReader::with_capacity(1 << 16, file);
        let fingerprint = read_header(&mut reader)
            .with_context(|| format!("cannot read '{}'", path.display()))?
            .map_err(|bad| anyhow::anyhow!("the journal '{}' {}", path.display(), bad.what))?;
        Ok((fingerprint, Self { reader, path: path.to_owned(), ended: false }))
    }

    /// The next line; `None` after [`Line::End`].
    ///
    /// # Errors
    ///
    /// If the journal is damaged or ends without [`Line::End`].
    pub(crate) fn next_line(&mut self) -> anyhow::Result<Option<Line>> {
        if self.ended {
            return Ok(None);
        }
        let line = read_line(&mut self.reader)
            .with_context(|| format!("cannot read '{}'", self.path.display()))?;
        if line.is_empty() {
            bail!(
                "the run of '{}' is not finished: repeat its command to continue it",
                self.path.display()
            );
        }
        let line = parse(&line)
            .with_context(|| format!("the journal '{}' is damaged", self.path.display()))?;
        self.ended = matches!(line, Line::End { .. });
        Ok(Some(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that is open, but not for reading.
    fn unreadable() -> File {
        let file = tempfile::NamedTempFile::new().expect("a file");
        File::options().write(true).open(file.path()).expect("the same file")
    }

    #[test]
    fn read_errors_are_not_end_of_journal() {
        let mut file = unreadable();
        assert!(read_header(&mut BufReader::new(&file)).is_err());
        let mut lines = Lines::starting_at(&mut file, 0).expect("a position");
        assert!(lines.next().expect("an error").is_err());
    }

    #[test]
    fn truncated_header_is_told_from_damaged_header() {
        let header = |text: &str| {
            let found = read_header(&mut text.as_bytes()).expect("read");
            found.map_err(|bad| bad.is_truncated).expect_err("not a header")
        };
        for truncated in ["", "attn-fi", "attn-fiqa journal 1\n", "attn-fiqa journal 1\n{\"sett"] {
            assert!(header(truncated), "{truncated:?}");
        }
        for damaged in ["attn-fiqa journal 2\n{}\n", "a\nb\n", "attn-fiqa journal 1\n{]\n"] {
            assert!(!header(damaged), "{damaged:?}");
        }
    }
}
