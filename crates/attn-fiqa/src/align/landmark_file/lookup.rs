//! Looks up an image's faces by its path.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{LandmarkFile, ListedFace};

/// How an image's path matched a listed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MatchedBy {
    /// The paths are equal, or one ends with the other's path components.
    Path,
    /// By file name, which occurs in one listed path only.
    Name,
    /// By file name without extension, which occurs in one listed path only.
    Stem,
}

/// What a landmark file says about an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Found<'a> {
    /// The image is listed; `faces` is empty if the detector found none.
    Faces {
        /// In the file's order.
        faces: &'a [ListedFace],
        /// How the image was matched.
        by: MatchedBy,
    },
    /// The image is not listed.
    Missing,
    /// Several listed paths have this file name, and none matches by path.
    Ambiguous {
        /// How many.
        paths: usize,
    },
}

/// How many images were looked up, and how they were matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MatchReport {
    /// Images looked up.
    pub images: u64,
    /// Number matched by path, by file name, by file name without extension.
    pub by: [u64; 3],
    /// Images whose file name occurs in several listed paths.
    pub ambiguous: u64,
    /// Listed paths that were never looked up.
    pub unused: u64,
}

impl fmt::Display for MatchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found: u64 = self.by.iter().sum();
        write!(f, "{found} of {} images found", self.images)?;
        let ways = ["by path", "by file name", "by file name without extension"];
        let ways = ways.iter().zip(self.by).filter(|(_, count)| *count > 0);
        let ways: Vec<String> = ways.map(|(way, count)| format!("{count} {way}")).collect();
        if !ways.is_empty() {
            write!(f, " ({})", ways.join(", "))?;
        }
        if self.ambiguous > 0 {
            write!(f, ", {} ambiguous among others with the same name", self.ambiguous)?;
        }
        match self.unused {
            0 => Ok(()),
            unused => write!(f, "; {unused} listed paths not used"),
        }
    }
}

/// Counts look-ups from all threads.
#[derive(Debug)]
pub(super) struct Tally {
    by: [AtomicU64; 3],
    missing: AtomicU64,
    ambiguous: AtomicU64,
    used: Vec<AtomicBool>,
}

impl Tally {
    pub(super) fn new(paths: usize) -> Self {
        let used = std::iter::repeat_with(AtomicBool::default).take(paths).collect();
        Self { by: Default::default(), missing: 0.into(), ambiguous: 0.into(), used }
    }
}

impl LandmarkFile {
    /// The faces listed for an image. A listed path matches if it equals `path` or one of the two
    /// ends with the other; otherwise, the only listed path with the same file name is used, with
    /// or without extension.
    pub fn find(&self, path: &str) -> Found<'_> {
        let path = normalised_path(path);
        let same_name = self.by_name.get(file_name(&path)).map_or(&[][..], Vec::as_slice);
        let at = |index: u32| &self.listed[index as usize];
        let exact = same_name.iter().find(|&&index| at(index).0 == path);
        let found = match exact {
            Some(&index) => Ok((index, MatchedBy::Path)),
            None => {
                let mut ends =
                    same_name.iter().filter(|&&index| either_is_path_suffix(&at(index).0, &path));
                match (ends.next(), ends.next(), same_name) {
                    // A bare file name is a suffix of every such path: that is a match by name.
                    (Some(&index), None, _) if at(index).0.contains('/') && path.contains('/') => {
                        Ok((index, MatchedBy::Path))
                    }
                    (_, _, &[index]) => Ok((index, MatchedBy::Name)),
                    (_, _, &[]) => match self.by_stem.get(stem(&path)).map(Vec::as_slice) {
                        Some(&[index]) => Ok((index, MatchedBy::Stem)),
                        Some(several) => Err(several.len()),
                        None => Err(0),
                    },
                    (_, _, several) => Err(several.len()),
                }
            }
        };
        match found {
            Ok((index, by)) => {
                self.tally.by[by as usize].fetch_add(1, Ordering::Relaxed);
                self.tally.used[index as usize].store(true, Ordering::Relaxed);
                Found::Faces { faces: &at(index).1, by }
            }
            Err(0) => {
                self.tally.missing.fetch_add(1, Ordering::Relaxed);
                Found::Missing
            }
            Err(paths) => {
                self.tally.ambiguous.fetch_add(1, Ordering::Relaxed);
                Found::Ambiguous { paths }
            }
        }
    }

    /// The results of the look-ups so far.
    pub fn report(&self) -> MatchReport {
        let Tally { by, missing, ambiguous, used } = &self.tally;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let by = [count(&by[0]), count(&by[1]), count(&by[2])];
        let ambiguous = count(ambiguous);
        let used = used.iter().filter(|used| used.load(Ordering::Relaxed)).count();
        MatchReport {
            images: by.iter().sum::<u64>() + count(missing) + ambiguous,
            by,
            ambiguous,
            unused: (self.listed.len() - used) as u64,
        }
    }
}

/// A path with forward slashes and without a leading `./`.
pub(super) fn normalised_path(path: &str) -> String {
    let path = path.replace('\\', "/");
    let mut rest = path.as_str();
    while let Some(shorter) = rest.strip_prefix("./") {
        rest = shorter.trim_start_matches('/');
    }
    rest.to_owned()
}

pub(super) fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// A file name without its last extension; one that only begins with a dot stays whole.
pub(super) fn stem(path: &str) -> &str {
    let name = file_name(path);
    match name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => name,
    }
}

/// Whether the shorter path is a suffix of the longer one, in whole components.
fn either_is_path_suffix(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    long.strip_suffix(short).is_some_and(|before| before.is_empty() || before.ends_with('/'))
}
