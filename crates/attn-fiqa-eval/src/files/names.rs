//! Matches a file's entries with images that may be named differently: `lfw.tar/Ann_0001.jpg`,
//! `Ann/Ann_0001` or `Ann_0001.png`.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use attn_fiqa::source::is_image_name;

use super::error::{quoted, sanitized};
use super::{FileError, FileProblem};

/// A name without the extension of an image or of an embedding (`.npy`).
pub(crate) fn without_extension(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, extension))
            if extension.eq_ignore_ascii_case("npy") || is_image_name(Path::new(name)) =>
        {
            stem
        }
        _ => name,
    }
}

/// The components of a path, last first, the first of them without its extension.
fn parts(name: &str) -> impl Iterator<Item = &str> {
    let parts = without_extension(name).rsplit(['/', '\\']);
    parts.filter(|part| !part.is_empty() && *part != ".")
}

/// The file name without folders and extension.
pub fn stem(name: &str) -> &str {
    parts(name).next().unwrap_or(name)
}

/// A matched entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) index: usize,
    /// Whether it matched by its whole path; otherwise by its stem and some preceding folders.
    pub(crate) exact: bool,
}

/// Which entry belongs to which image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchedRows {
    /// The index of each image's entry; `None` if the file has none.
    pub rows: Vec<Option<usize>>,
    /// Number of images matched by whole path.
    pub by_path: usize,
    /// Number of images matched by the end of their path, at least the stem.
    pub by_stem: usize,
    /// Positions of the images without an entry.
    pub missing: Vec<usize>,
}

/// What to do about images without an entry in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Missing {
    /// An error, which counts them and names the first.
    #[default]
    Fail,
    /// Their comparisons are left out, and their number is reported.
    Skip,
}

/// Finds the entry of every image. `what` is what an entry contains; `is_empty` says whether an
/// entry lacks it, so that its image has none, and `same` whether two entries contain the same.
///
/// # Errors
///
/// If an image has no entry and that is an error, or a name is so short that it matches several.
pub(crate) fn matched(
    (file, what): (&str, &'static str),
    entries: &[String],
    images: &[String],
    missing: Missing,
    is_empty: impl Fn(usize) -> bool,
    same: impl Fn(usize, usize) -> bool,
) -> Result<MatchedRows, FileError> {
    let found = join(file, entries, images, same)?;
    let filled = |found: Option<Found>| found.filter(|found| !is_empty(found.index));
    let found: Vec<Option<Found>> = found.into_iter().map(filled).collect();
    let count = |exact| found.iter().flatten().filter(|found| found.exact == exact).count();
    let matched = MatchedRows {
        by_path: count(true),
        by_stem: count(false),
        missing: (0..images.len()).filter(|&image| found[image].is_none()).collect(),
        rows: found.iter().map(|found| Some((*found)?.index)).collect(),
    };
    if missing == Missing::Fail && !matched.missing.is_empty() {
        let examples = first_names(matched.missing.iter().map(|&image| images[image].as_str()));
        let (missing, total) = (matched.missing.len(), images.len());
        let problem = FileProblem::Missing { what, missing, total, examples };
        return Err(FileError::new(file, problem));
    }
    Ok(matched)
}

/// Maximum number of names quoted in a message.
const MAX_NAMES_QUOTED: usize = 3;

/// The first of some names, quoted, for a message.
pub fn first_names<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let mut names = names.map(quoted);
    let first: Vec<String> = names.by_ref().take(MAX_NAMES_QUOTED).collect();
    let more = if names.next().is_some() { ", …" } else { "" };
    format!("{}{more}", first.join(", "))
}

/// How many names end in the same components, and the first of them.
#[derive(Debug, Clone, Copy)]
struct SuffixMatches {
    first: usize,
    count: usize,
}

/// Hashes of a name's suffixes, the stem first, each one component longer.
fn suffixes(name: &str) -> impl Iterator<Item = u64> {
    let mut hash = DefaultHasher::new();
    parts(name).map(move |part| {
        part.hash(&mut hash);
        hash.finish()
    })
}

/// Names by all of their suffixes, and by their whole path.
#[derive(Default)]
struct SuffixIndex {
    any: HashMap<u64, SuffixMatches>,
    exact: HashMap<u64, SuffixMatches>,
}

impl SuffixIndex {
    fn add(&mut self, index: usize, name: &str) {
        let count = |map: &mut HashMap<u64, SuffixMatches>, end| {
            map.entry(end).or_insert(SuffixMatches { first: index, count: 0 }).count += 1;
        };
        let mut last = None;
        for end in suffixes(name) {
            count(&mut self.any, end);
            last = Some(end);
        }
        last.into_iter().for_each(|end| count(&mut self.exact, end));
    }
}

/// The first position of each distinct name.
fn distinct_names(names: &[String]) -> Vec<usize> {
    let mut seen = HashSet::with_capacity(names.len());
    (0..names.len()).filter(|&index| seen.insert(names[index].as_str())).collect()
}

/// The entry of each image; an image may occur several times:
///
/// 1. the one with exactly the same path;
/// 2. else, ignoring file extensions, the one whose path ends in the image's path or vice versa, if
///    exactly one entry and one image match in this way;
/// 3. else, since the leading folders may have other names, the one that shares the last components
///    of its path with the image, if no other entry and no other requested image has them.
pub(crate) fn join(
    file: &str,
    entries: &[String],
    images: &[String],
    same: impl Fn(usize, usize) -> bool,
) -> Result<Vec<Option<Found>>, FileError> {
    let mut by_path: HashMap<&str, usize> = HashMap::with_capacity(entries.len());
    let mut repeated = Vec::new();
    for (index, name) in entries.iter().enumerate() {
        let first = *by_path.entry(name).or_insert(index);
        if first != index && !same(first, index) {
            repeated.push(index);
        }
    }
    let exact: Vec<Option<usize>> =
        images.iter().map(|image| by_path.get(image.as_str()).copied()).collect();
    let as_exact = |index: usize| Some(Found { index, exact: true });
    if exact.iter().all(Option::is_some) {
        return Ok(exact.into_iter().map(|index| as_exact(index?)).collect());
    }
    let (mut of_entries, mut of_images) = (SuffixIndex::default(), SuffixIndex::default());
    let mut distinct: Vec<usize> = by_path.into_values().collect();
    distinct.extend(repeated);
    distinct.sort_unstable();
    distinct.iter().for_each(|&index| of_entries.add(index, &entries[index]));
    let distinct_images = distinct_names(images);
    distinct_images.iter().for_each(|&index| of_images.add(index, &images[index]));
    let join =
        Join { file, entries, images, of_entries, of_images, distinct, distinct_images, same };
    let find = |(image, exact): (&String, Option<usize>)| match exact {
        Some(index) => Ok(as_exact(index)),
        None => join.by_suffix(image),
    };
    images.iter().zip(exact).map(find).collect()
}

/// Entries and images by the suffixes of their paths.
struct Join<'a, S> {
    file: &'a str,
    entries: &'a [String],
    images: &'a [String],
    of_entries: SuffixIndex,
    of_images: SuffixIndex,
    /// One entry per name, and further ones with different content.
    distinct: Vec<usize>,
    /// The first position of each distinct image.
    distinct_images: Vec<usize>,
    same: S,
}

impl<S: Fn(usize, usize) -> bool> Join<'_, S> {
    /// The entry of an image whose whole path no entry has.
    fn by_suffix(&self, image: &str) -> Result<Option<Found>, FileError> {
        let ends: Vec<u64> =
            suffixes(image).take_while(|end| self.of_entries.any.contains_key(end)).collect();
        let Some(deepest) = ends.last() else { return Ok(None) };
        let depth = ends.len();
        if depth == parts(image).count() {
            return self.longer_entry(image, *deepest, depth);
        }
        for (depth, &end) in ends.iter().enumerate().rev() {
            if let Some(&fits) = self.of_entries.exact.get(&end) {
                return self.shorter_entry(image, fits, end, depth + 1);
            }
        }
        let (entry, others) = (self.of_entries.any[deepest], self.of_images.any[deepest]);
        let is_unique = entry.count == 1 && others.count == 1;
        Ok(if is_unique { self.found(image, entry.first, depth) } else { None })
    }

    /// The image's path is a suffix of an entry's.
    fn longer_entry(
        &self,
        image: &str,
        end: u64,
        depth: usize,
    ) -> Result<Option<Found>, FileError> {
        let fits = self.of_entries.exact.get(&end).filter(|exact| exact.count == 1);
        let fits = fits.unwrap_or(&self.of_entries.any[&end]);
        if fits.count > 1 {
            let mut all = self.distinct.iter().copied();
            let differs = |&index: &usize| {
                self.agrees(image, index, depth)
                    && index != fits.first
                    && !(self.same)(fits.first, index)
            };
            if let Some(other) = all.find(differs) {
                return self.ambiguous("entries", image, self.entries, [fits.first, other]);
            }
        }
        Ok(self.found(image, fits.first, depth))
    }

    /// An entry's path, of `depth` components, is a suffix of the image's.
    fn shorter_entry(
        &self,
        image: &str,
        fits: SuffixMatches,
        end: u64,
        depth: usize,
    ) -> Result<Option<Found>, FileError> {
        let of_end = self.of_images.any[&end];
        if of_end.count > 1 {
            let all = self.distinct_images.iter().copied();
            let mut others = all.filter(|&other| suffixes(&self.images[other]).any(|e| e == end));
            let pair = [others.next(), others.next()].map(|other| other.unwrap_or(of_end.first));
            return self.ambiguous("images", &self.entries[fits.first], self.images, pair);
        }
        // Only if needed: this scans all entries.
        if fits.count > 1 {
            let mut all = self.distinct.iter().copied();
            let differs = |&index: &usize| {
                parts(&self.entries[index]).count() == depth
                    && self.agrees(image, index, depth)
                    && index != fits.first
                    && !(self.same)(fits.first, index)
            };
            if let Some(other) = all.find(differs) {
                return self.ambiguous("entries", image, self.entries, [fits.first, other]);
            }
        }
        Ok(self.found(image, fits.first, depth))
    }

    /// Whether the last `depth` components of an entry's and an image's path are the same.
    fn agrees(&self, image: &str, index: usize, depth: usize) -> bool {
        let both = parts(&self.entries[index]).zip(parts(image));
        both.take_while(|(a, b)| a == b).count() >= depth
    }

    /// Two suffixes with the same hash may belong to different paths.
    fn found(&self, image: &str, index: usize, depth: usize) -> Option<Found> {
        self.agrees(image, index, depth).then_some(Found { index, exact: false })
    }

    fn ambiguous(
        &self,
        what: &'static str,
        name: &str,
        names: &[String],
        of: [usize; 2],
    ) -> Result<Option<Found>, FileError> {
        let [one, other] = of.map(|index| sanitized(&names[index]));
        let problem = FileProblem::Ambiguous { name: sanitized(name), what, one, other };
        Err(FileError::new(self.file, problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(names: &[&str], name: &str) -> Result<Option<Found>, FileError> {
        Ok(find_all(names, &[name])?[0])
    }

    fn find_all(names: &[&str], images: &[&str]) -> Result<Vec<Option<Found>>, FileError> {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        join("file", &owned(names), &owned(images), |_, _| false)
    }

    #[test]
    fn names_match_by_path_stem_or_path_suffix() {
        let found = |names: &[&str], name| find(names, name).expect("no doubt");
        assert_eq!(
            found(&["a/x.jpg", "b/x.jpg"], "b/x.jpg"),
            Some(Found { index: 1, exact: true })
        );
        assert_eq!(found(&["lfw.tar/x.jpg"], "x"), Some(Found { index: 0, exact: false }));
        let cfp = ["cfp/001/frontal/01.jpg", "cfp/001/profile/01.jpg", "cfp/002/profile/01.jpg"];
        assert_eq!(found(&cfp, "001/profile/01"), Some(Found { index: 1, exact: false }));
        assert_eq!(found(&["x.y.jpg"], "x.y"), Some(Found { index: 0, exact: false }));
        assert_eq!(found(&["x.y.jpg"], "x"), None);
        assert_eq!(found(&cfp, "q/01"), None, "three are as near");
        let error = find(&cfp, "01").expect_err("three fit").to_string();
        assert!(error.contains("'01' matches several entries"), "{error}");
        assert_eq!(found(&["01.jpg", "a/01.jpg"], "01"), Some(Found { index: 0, exact: false }));
    }

    #[test]
    fn missing_entry_is_not_matched_across_folders() {
        let indices = |names: &[&str], images: &[&str]| -> Vec<Option<usize>> {
            let found = find_all(names, images).expect("no doubt");
            found.into_iter().map(|found| Some(found?.index)).collect()
        };
        // Whole paths, and paths with another root and extension.
        for root in ["cfp/", "crops/of/cfp/"] {
            let names = [format!("{root}1/f/03.jpg"), format!("{root}2/f/03.jpg")];
            let names = [names[0].as_str(), names[1].as_str()];
            let images = ["cfp/1/f/03.jpg", "cfp/2/f/03.jpg", "cfp/3/f/03.jpg"];
            assert_eq!(indices(&names, &images), [Some(0), Some(1), None]);
            let images = ["Data/1/f/03.png", "Data/3/f/03.png", "Data/2/f/03.png"];
            assert_eq!(indices(&names, &images), [Some(0), None, Some(1)]);
        }
        // One entry is left with this stem, and two images might match it.
        assert_eq!(indices(&["x/1/03.jpg"], &["1/03", "2/03"]), [Some(0), None]);
        assert_eq!(indices(&["x/03.jpg"], &["1/03", "2/03"]), [None, None]);
        let error = find_all(&["03"], &["1/03", "2/03"]).expect_err("two fit").to_string();
        assert!(
            error.contains("'03' matches several images, such as '1/03' and '2/03'"),
            "{error}"
        );
        assert_eq!(indices(&["03"], &["1/03"]), [Some(0)]);
    }

    #[test]
    fn repeated_image_matches_like_a_single_one() {
        let found = Some(Found { index: 0, exact: false });
        let images = ["x/a.jpg", "x/b.jpg", "x/a.jpg"];
        for entry in ["a.jpg", "y/a.jpg", "z/x/a.jpg"] {
            let matched = find_all(&[entry], &images).expect("no doubt");
            assert_eq!(matched, [found, None, found], "{entry}");
        }
        let error = find_all(&["a"], &["x/a", "x/a", "y/a"]).expect_err("two fit").to_string();
        assert!(error.contains("several images, such as 'x/a' and 'y/a'"), "{error}");
    }

    #[test]
    fn matching_many_names_is_not_quadratic() {
        let entries: Vec<String> = (0..40_000).map(|n| format!("{n}.jpg")).collect();
        let images: Vec<String> = (0..40_000).map(|n| format!("set.tar/{n}.jpg")).collect();
        let start = std::time::Instant::now();
        let found = join("file", &entries, &images, |_, _| false).expect("no doubt");
        assert!(found.iter().enumerate().all(|(n, found)| found.is_some_and(|f| f.index == n)));
        // Comparing each with each would be 1.6 billion names and take minutes.
        assert!(start.elapsed() < std::time::Duration::from_secs(30), "{:?}", start.elapsed());
    }

    #[test]
    fn stem_strips_folder_and_extension() {
        assert_eq!(stem("a/b.c/x y.JPG"), "x y");
        assert_eq!(stem("x"), "x");
        assert_eq!(stem("a\\b.png"), "b");
        assert_eq!(stem(""), "");
        assert_eq!(without_extension("é.jpg"), "é");
        for extension in ["npy", "NPY", "jpe", "gif", "jp2", "jxl", "pgm", "qoi", "HEIC"] {
            assert_eq!(stem(&format!("a/x.y.{extension}")), "x.y", "{extension}");
        }
        assert_eq!(stem("a/x.txt"), "x.txt");
    }
}
