//! Files, folders and archives that match a pattern.

use std::fmt;
use std::iter::Peekable;
use std::path::{Path, PathBuf};

use super::progress::{Progress, Uncounted};
use super::{Context, SourceError, Step, name};
use crate::status::{Failure, Status};

const WILDCARDS: [char; 3] = ['*', '?', '['];

/// Whether a name contains a wildcard.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(WILDCARDS)
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
    pub(super) fn open(pattern: &str, progress: &Progress) -> Result<Self, SourceError> {
        let matches = glob::glob(pattern)
            .map_err(|source| SourceError::BadPattern { pattern: pattern.to_owned(), source })?;
        let mut matches = matches.peekable();
        if matches.peek().is_none() {
            return Err(SourceError::NoMatch { pattern: pattern.to_owned() });
        }
        let fixed: PathBuf = Path::new(pattern)
            .components()
            .take_while(|part| !is_pattern(&part.as_os_str().to_string_lossy()))
            .collect();
        Ok(Self {
            matches,
            fixed: name::ordinary_parts(&fixed),
            _uncounted: progress.start_uncounted(),
        })
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
        let safe = name::safe_relative(path);
        match safe.strip_prefix(&self.fixed) {
            Ok(rest) if !rest.as_os_str().is_empty() => rest.to_owned(),
            _ => safe,
        }
    }
}
