//! The inputs that a name with braces expands to.

use std::fs;
use std::path::{Path, PathBuf};
use std::vec;

use super::progress::Uncounted;
use super::{Context, SourceError, Step, braces, name, pattern};

/// The names of an expansion, opened one after the other.
#[derive(Debug)]
pub(super) struct Names {
    names: vec::IntoIter<String>,
    /// The part of the name before its first brace; relative names start after it.
    fixed: PathBuf,
    /// Held until the last input is opened.
    _uncounted: Uncounted,
}

impl Names {
    /// `None` if a file of exactly this name exists, or the name has no braces to expand.
    ///
    /// # Errors
    ///
    /// If one of the inputs is missing or cannot be used: a wrong range is reported before any
    /// work, not after a day.
    pub(super) fn open(path: &Path, context: &Context) -> Result<Option<Self>, SourceError> {
        let Some(text) = path.to_str().filter(|_| fs::symlink_metadata(path).is_err()) else {
            return Ok(None);
        };
        let names = braces::expand(text)
            .map_err(|braces::TooMany| SourceError::TooManyNames { pattern: text.to_owned() })?;
        let Some(names) = names else { return Ok(None) };
        let mut missing = names.iter().filter(|name| {
            let path = Path::new(name);
            context.external(path).is_none()
                && !pattern::is_pattern(name)
                && fs::symlink_metadata(path).is_err()
        });
        if let Some(first) = missing.next() {
            return Err(SourceError::Missing {
                pattern: text.to_owned(),
                first: first.into(),
                missing: 1 + missing.count(),
                names: names.len(),
            });
        }
        names.iter().try_for_each(|name| context.check(Path::new(name)))?;
        let before = text.split('{').next().unwrap_or_default();
        let folder = before.rfind(['/', std::path::MAIN_SEPARATOR]).map(|end| &before[..end]);
        Ok(Some(Self {
            names: names.into_iter(),
            fixed: name::ordinary_parts(Path::new(folder.unwrap_or_default())),
            _uncounted: context.progress.start_uncounted(),
        }))
    }

    pub(super) fn step(&mut self, context: &Context) -> Step {
        let Some(next) = self.names.next() else { return Step::Done };
        let path = Path::new(&next);
        Step::Enter(context.stage(path, &self.fixed))
    }
}
