//! Journals, line by line. They may come from anyone, so nothing in them is trusted before it is
//! checked.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::{Fingerprint, Line};

/// The first line of a journal.
pub(super) const MAGIC: &str = "attn-fiqa journal 1";

/// Upper bound on the length of a journal line, so that a file that is not a journal cannot fill
/// the memory.
const MAX_LINE: u64 = 1 << 20;

/// Reads the start of a journal.
///
/// # Errors
///
/// Returns what is wrong with it, worded as the end of a sentence.
pub(super) fn read_header(journal: &mut impl BufRead) -> Result<Fingerprint, &'static str> {
    let mut line = || {
        let line = read_line(journal).ok()?;
        String::from_utf8(line.strip_suffix(b"\n")?.to_owned()).ok()
    };
    match line() {
        Some(first) if first == MAGIC => {}
        Some(_) => return Err("is of another version, or is not a journal"),
        None => return Err("is empty or truncated"),
    }
    let header = line().ok_or("is truncated in its first lines")?;
    serde_json::from_str(&header).map_err(|_| "is damaged in its first lines")
}

/// The bytes of the next line including its end, which is missing if the line is truncated or too
/// long; empty at the end of the file.
fn read_line(journal: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
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

/// The lines of a journal after its header, up to the first damaged or truncated line.
pub(super) struct Lines<'a> {
    reader: BufReader<&'a File>,
    /// Where the next line starts.
    pub(super) at: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn new(file: &'a mut File) -> anyhow::Result<Self> {
        file.rewind()?;
        let mut lines = Self { reader: BufReader::with_capacity(1 << 16, &*file), at: 0 };
        for _ in 0..2 {
            lines.at += read_line(&mut lines.reader)?.len() as u64;
        }
        Ok(lines)
    }

    /// The lines from a position in the file.
    pub(super) fn starting_at(file: &'a mut File, at: u64) -> anyhow::Result<Self> {
        file.seek(SeekFrom::Start(at))?;
        Ok(Self { reader: BufReader::with_capacity(1 << 16, &*file), at })
    }
}

impl Iterator for Lines<'_> {
    type Item = Located;

    fn next(&mut self) -> Option<Located> {
        let line = read_line(&mut self.reader).ok()?;
        let parsed = parse(&line)?;
        self.at += line.len() as u64;
        Some(Located { line: parsed, end: self.at })
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
        let fingerprint = read_header(&mut reader);
        let fingerprint = fingerprint
            .map_err(|error| anyhow::anyhow!("the journal '{}' {error}", path.display()))?;
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
