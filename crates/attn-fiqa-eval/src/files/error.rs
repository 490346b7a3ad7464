//! Errors in input files.

use std::io;
use std::path::Path;

/// Maximum length of a text from a file that a message quotes.
const MAX_SHOWN: usize = 80;

/// A file that was refused, with the position and the reason.
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
    /// It is not the required kind of file.
    #[error("is not {expected}")]
    WrongKind {
        /// What was expected.
        expected: &'static str,
    },
    /// It is empty.
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
    /// The bytes are not text.
    #[error("is not UTF-8 text")]
    NotText,
    /// A line, a value or a column is invalid.
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
        /// The existing columns, quoted.
        found: String,
    },
    /// A matrix of embeddings lacks the names of its images.
    #[error(
        "is a matrix without the names of its images; it needs a list of them, one path \
         per line, in the order of its rows"
    )]
    NoNames,
    /// A name occurs again with different data.
    #[error("'{name}' has another {what} on line {first}; keep one of the two")]
    Contradiction {
        /// The name, or the two names of a pair.
        name: String,
        /// What differs.
        what: &'static str,
        /// Line of the first occurrence.
        first: u64,
    },
    /// A name matches several different entries, or an entry several images.
    #[error("'{name}' matches several {what}, such as '{one}' and '{other}'; give longer names")]
    Ambiguous {
        /// The name.
        name: String,
        /// `entries` or `images`.
        what: &'static str,
        /// One match.
        one: String,
        /// Another match.
        other: String,
    },
    /// Entries are missing.
    #[error("has no {what} for {missing} of {total} images: {examples}")]
    Missing {
        /// What is missing.
        what: &'static str,
        /// How many are missing.
        missing: usize,
        /// How many are needed.
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
    /// Two counts that must be equal differ.
    #[error("holds {found} {what}, but {expected} {against}")]
    Count {
        /// What was counted.
        what: &'static str,
        /// Its value.
        found: usize,
        /// What it should match, with its verb.
        against: String,
        /// That value.
        expected: usize,
    },
    /// The bytes do not follow the format.
    #[error("is damaged or in another format: {0}")]
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

    /// The file as given.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line, from 1, if the error is in one.
    pub fn line(&self) -> Option<u64> {
        self.line
    }

    /// What is wrong.
    pub fn problem(&self) -> &FileProblem {
        &self.problem
    }
}

/// `, line 7`, or empty.
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

/// Text from a file as quoted in a message: without control characters, shortened.
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
