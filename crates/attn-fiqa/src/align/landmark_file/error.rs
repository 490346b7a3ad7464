//! Errors of landmark files.

use std::io;

/// A landmark file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LandmarkFileError {
    /// It cannot be opened or read.
    #[error("the landmark file cannot be read: {source}: {file}")]
    Unreadable {
        /// The file.
        file: String,
        /// The operating system's error.
        source: io::Error,
    },
    /// It contains no face.
    #[error(
        "the landmark file holds no landmarks; expected a path and ten numbers per line, \
         separated by commas, tabs or spaces: {file}"
    )]
    Empty {
        /// The file.
        file: String,
    },
    /// A malformed line.
    #[error("{file}, line {line}: expected {expected}; found {found}")]
    Line {
        /// The file.
        file: String,
        /// Line number, from 1.
        line: u64,
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
    },
}
