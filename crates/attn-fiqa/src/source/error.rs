//! Problems with inputs that are found before any image is read.

use std::io;
use std::path::PathBuf;

use super::name::EXTENSIONS_SHOWN;

/// An input that cannot be used at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// No input was given.
    #[error("no input: name at least one image, folder, pattern, archive or list")]
    NoInput,
    /// Two inputs are standard input.
    #[error("standard input was named twice, but it can be read only once")]
    StandardInputTwice,
    /// A pattern matches no file.
    #[error("{pattern}: no such file, and nothing matches it as a pattern")]
    NoMatch {
        /// The pattern as given.
        pattern: String,
    },
    /// A name that is neither a file nor a valid pattern.
    #[error("{pattern}: no such file, and not a valid pattern: {source}")]
    BadPattern {
        /// The pattern as given.
        pattern: String,
        /// The pattern's syntax error.
        source: glob::PatternError,
    },
    /// Some of the names that braces expand to do not exist.
    #[error(
        "{pattern}: {} does not exist{}; correct the braces, or leave out the missing names",
        first.display(),
        others(*missing, *names)
    )]
    Missing {
        /// The name with braces, as given.
        pattern: String,
        /// The first name without a file or folder.
        first: PathBuf,
        /// Number of names without a file or folder.
        missing: usize,
        /// Number of names that the braces expand to.
        names: usize,
    },
    /// A name whose braces expand to too many names.
    #[error("{pattern}: the braces expand to more than a million names; give a list of them")]
    TooManyNames {
        /// The name with braces, as given.
        pattern: String,
    },
    /// An input that its reader cannot use.
    #[error("{name}: {message}")]
    Unusable {
        /// The input's name.
        name: String,
        /// What was expected, what was found and what to do.
        message: String,
    },
    /// A list that cannot be opened.
    #[error("{}: the list cannot be read: {source}", path.display())]
    UnreadableList {
        /// The list.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The list's root is not a folder.
    #[error("{}: the list's root is not a folder", root.display())]
    RootNotAFolder {
        /// The root as given.
        root: PathBuf,
    },
    /// A folder that cannot be opened.
    #[error("{}: the folder cannot be read: {source}", path.display())]
    UnreadableFolder {
        /// The folder.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// A folder without any image.
    #[error(
        "{}: no image in this folder ({EXTENSIONS_SHOWN}){}{}",
        path.display(),
        if *unsearched { "; it has subfolders, which are searched only recursively" } else { "" },
        not_followed(*links)
    )]
    NoImages {
        /// The folder.
        path: PathBuf,
        /// Whether it has subfolders that were not searched.
        unsearched: bool,
        /// Number of links to folders, which were not followed.
        links: u64,
    },
}

fn not_followed(links: u64) -> &'static str {
    match links {
        0 => "",
        1 => "; it has a link to a folder, which is not followed: name that folder",
        _ => "; it has links to folders, which are not followed: name those folders",
    }
}

/// How many names are missing besides the first.
fn others(missing: usize, names: usize) -> String {
    match missing {
        0 | 1 => String::new(),
        2 => format!(", nor does 1 other of {names}"),
        _ => format!(", nor do {} others of {names}", missing - 1),
    }
}
