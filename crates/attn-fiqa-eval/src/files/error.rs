//! What can be wrong with a file of the field.

use std::io;
use std::path::Path;

/// Longest text out of a file that a message repeats.
const MAX_SHOWN: usize = 80;

/// A file that was refused, where, and why.
#[derive(Debug, thiserror::Error)]
#[error("{file}{}: {problem}", Line(.line))]
pub struct FileError {
    file: String,
    line: Option<u64>,
    problem: Box<FileProblem>,
}

/// The reasons for which a file is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileProblem {
    /// The operating system could not open or read it.
    #[error("cannot be read: {0}")]
    Io(io::Error),
    /// It is not what its place demands.
    #[error("is not {expected}")]
    WrongKind {
        /// What was expected.
        expected: &'static str,
    },
    /// It holds nothing.
    #[error("holds no {what}")]
    Empty {
        /// What it should hold.
        what: &'static str,
    },
    /// A line or the file is too long.
    #[error("is larger than {limit} {unit}, more than any {what}")]
    TooLarge {
        /// What was being read.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// What is counted.
        unit: &'static str,
    },
    /// Bytes that are no text.
    #[error("is not UTF-8 text")]
    NotText,
    /// A line, a value or a column is not what it should be.
    #[error("expected {expected}, found {found}")]
    Unexpected {
        /// What was expected.
        expected: String,
        /// What was found, shortened.
        found: String,
    },
    /// A table lacks a column.
    #[error("expected a column '{column}', found only {found}")]
    NoColumn {
        /// The column.
        column: String,
        /// Those that there are, quoted.
        found: String,
    },
    /// A matrix of embeddings came without the names of its images.
    #[error(
        "is a matrix without the names of its images; it needs a list of them, one path \
         per line, in the order of its rows"
    )]
    NoNames,
    /// A name occurs again with something else beside it.
    #[error("'{name}' has another {what} on line {first}; keep one of the two")]
    Contradiction {
        /// The name, or the two names of a pair.
        name: String,
        /// What differs.
        what: &'static str,
        /// Line of the first.
        first: u64,
    },
    /// A name matches several entries that differ, or an entry's several images.
    #[error("'{name}' matches several {what}, such as '{one}' and '{other}'; give longer names")]
    Ambiguous {
        /// The name.
        name: String,
        /// `entries` or `images`.
        what: &'static str,
        /// One that fits.
        one: String,
        /// Another that fits.
        other: String,
    },
    /// Entries are missing.
    #[error("has no {what} for {missing} of {total} images: {examples}")]
    Missing {
        /// What is missing.
        what: &'static str,
        /// How many are.
        missing: usize,
        /// How many were needed.
        total: usize,
        /// The first few, quoted.
        examples: String,
    },
    /// A benchmark lacks images.
    #[error(
        "{benchmark}: {} of {} images missing: {examples}; complete the folder before measuring",
        Thousands(*.missing), Thousands(*.total)
    )]
    Incomplete {
        /// Its name.
        benchmark: String,
        /// How many images are missing.
        missing: usize,
        /// How many it has.
        total: usize,
        /// The first few that are missing, quoted.
        examples: String,
    },
    /// All pairs are of one kind.
    #[error("all {count} pairs are {kind}; both mated (1) and non-mated (0) ones are needed")]
    OneClass {
        /// `mated` or `non-mated`.
        kind: &'static str,
        /// How many pairs there are.
        count: usize,
    },
    /// Two counts that must agree do not.
    #[error("holds {found} {what}, but {expected} {against}")]
    Count {
        /// What was counted.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// What they should match, with its verb.
        against: String,
        /// How many of those there are.
        expected: usize,
    },
    /// The bytes do not follow the format.
    #[error("is damaged or of another format: {0}")]
    Damaged(String),
}

impl FileError {
    pub(crate) fn new(file: &str, problem: FileProblem) -> Self {
        Self { file: file.to_owned(), line: None, problem: Box::new(problem) }
    }

    pub(crate) fn at(file: &str, line: u64, problem: FileProblem) -> Self {
        Self { line: Some(line), ..Self::new(file, problem) }
    }

    pub(crate) fn unexpected(file: &str, line: u64, expected: &str, found: &str) -> Self {
        let (expected, found) = (expected.to_owned(), quoted(found));
        Self::at(file, line, FileProblem::Unexpected { expected, found })
    }

    pub(crate) fn io(path: &Path, error: io::Error) -> Self {
        Self::new(&path.to_string_lossy(), FileProblem::Io(error))
    }

    /// The file as it was named.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line, from 1, where one is to blame.
    pub fn line(&self) -> Option<u64> {
        self.line
    }

    /// What is wrong.
    pub fn problem(&self) -> &FileProblem {
        &self.problem
    }
}

/// `, line 7`, or nothing.
struct Line<'a>(&'a Option<u64>);

impl std::fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |line| write!(f, ", line {line}"))
    }
}

/// A count with thousands separators: `7,000`.
struct Thousands(usize);

impl std::fmt::Display for Thousands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = self.0.to_string();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// Text from a file as a message may repeat it: without control characters, short.
pub(crate) fn sanitized(text: &str) -> String {
    let mut short: String = text
        .chars()
        .take(MAX_SHOWN)
        .map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
        .collect();
    if text.chars().nth(MAX_SHOWN).is_some() {
        short.push('…');
    }
    short
}

pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", sanitized(text))
}
