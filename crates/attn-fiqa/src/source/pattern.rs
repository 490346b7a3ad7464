//! Files, folders and archives that match a pattern.

use std::fmt;
use std::fs;
use std::iter::Peekable;
use std::path::{Path, PathBuf};

use super::progress::Uncounted;
use super::{Context, SourceError, Step, name};
use crate::status::{Failure, Status};

const WILDCARDS: [char; 3] = ['*', '?', '['];

/// Whether a name contains a wildcard.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(WILDCARDS)
}

/// The path as a pattern, if it is one and nothing of that name exists.
pub(super) fn of(path: &Path) -> Option<&str> {
    let text = path.to_str().filter(|text| is_pattern(text))?;
    fs::symlink_metadata(path).is_err().then_some(text)
}

/// A path relative to the fixed part of its pattern.
pub(super) fn relative_to(fixed: &Path, path: &Path) -> PathBuf {
    let safe = name::safe_relative(path);
    match safe.strip_prefix(fixed) {
        Ok(rest) if !rest.as_os_str().is_empty() => rest.to_owned(),
        _ => safe,
    }
}

/// A pattern whose matches are read as if each had been named.
pub(super) struct Matches {
    matches: Peekable<glob::Paths>,
    /// The part of the pattern before its first wildcard; relative names start after it.
    fixed: PathBuf,
    /// Held until the last match is known.
    _uncounted: Uncounted,
}

impl fmt::Debug for Matches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matches").field("fixed", &self.fixed).finish_non_exhaustive()
    }
}

impl Matches {
    pub(super) fn open(pattern: &str, context: &Context) -> Result<Self, SourceError> {
        let matches = glob::glob(pattern)
            .map_err(|source| SourceError::BadPattern { pattern: pattern.to_owned(), source })?;
        let mut matches = matches.peekable();
        if matches.peek().is_none() {
            return Err(SourceError::NoMatch { pattern: pattern.to_owned() });
        }
        // If the first match cannot be used at all, for example a table without the column, neither
        // can the others.
        if let Some(Ok(first)) = matches.peek()
            && context.external(first).is_some()
        {
            context.check(first)?;
        }
        let fixed: PathBuf = Path::new(pattern)
            .components()
            .take_while(|part| !is_pattern(&part.as_os_str().to_string_lossy()))
            .collect();
        Ok(Self {
            matches,
            fixed: name::ordinary_parts(&fixed),
            _uncounted: context.progress.start_uncounted(),
        })
    }

    /// The same with relative names that start after a shorter part.
    pub(super) fn with_fixed(self, fixed: &Path) -> Self {
        Self { fixed: fixed.to_owned(), ..self }
    }

    pub(super) fn step(&mut self, context: &Context) -> Step {
        match self.matches.next() {
            None => Step::Done,
            Some(Ok(path)) => {
                let relative = self.relative(&path);
                Step::Enter(context.stage_for(path, relative.clone(), relative))
            }
            Some(Err(error)) => {
                context.progress.add_known(1);
                context.item(name::escaped(error.path()), self.relative(error.path()), || {
                    Err(Failure::new(
                        Status::Unreadable,
                        format!("the folder cannot be read: {}", error.error()),
                    ))
                })
            }
        }
    }

    fn relative(&self, path: &Path) -> PathBuf {
        relative_to(&self.fixed, path)
    }
}
