//! Which entry of a file belongs to which image, although one says
//! `lfw.tar/Ann_0001.jpg`, another `Ann/Ann_0001` and a third `Ann_0001.png`.

use std::collections::HashMap;

use super::{FileError, FileProblem, error::shown};

/// Endings that are no part of a stem.
const ENDINGS: [&str; 9] =
    [".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".npy", ".ppm"];

/// A name without its image's ending.
pub(crate) fn without_ending(name: &str) -> &str {
    let stem_of = |ending: &&str| {
        let (stem, end) = name.split_at_checked(name.len().checked_sub(ending.len())?)?;
        end.eq_ignore_ascii_case(ending).then_some(stem)
    };
    ENDINGS.iter().find_map(stem_of).unwrap_or(name)
}

/// The parts of a path, last first, the first of them without its ending.
fn parts(name: &str) -> impl Iterator<Item = &str> {
    let parts = without_ending(name).rsplit(['/', '\\']);
    parts.filter(|part| !part.is_empty() && *part != ".")
}

/// The file's name without folders and ending.
pub fn stem(name: &str) -> &str {
    parts(name).next().unwrap_or(name)
}

/// An entry that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) index: usize,
    /// By its whole path; otherwise by its stem and whatever stands before it.
    pub(crate) whole: bool,
}

/// Entries by path and by stem.
#[derive(Debug)]
pub(crate) struct NameIndex<'a> {
    names: &'a [String],
    by_path: HashMap<&'a str, usize>,
    by_stem: HashMap<&'a str, Vec<usize>>,
}

impl<'a> NameIndex<'a> {
    /// Of names that occur twice the first is kept under its path.
    pub(crate) fn new(names: &'a [String]) -> Self {
        let mut by_path = HashMap::with_capacity(names.len());
        let mut by_stem: HashMap<&str, Vec<usize>> = HashMap::with_capacity(names.len());
        for (index, name) in names.iter().enumerate() {
            by_path.entry(name.as_str()).or_insert(index);
            by_stem.entry(stem(name)).or_default().push(index);
        }
        Self { names, by_path, by_stem }
    }

    /// The entry for an image: that of its whole path, else the one that shares
    /// most of its path's last parts, the stem at least. Where several share as
    /// much, `same` says whether they come to the same.
    pub(crate) fn find(
        &self,
        file: &str,
        name: &str,
        same: impl Fn(usize, usize) -> bool,
    ) -> Result<Option<Found>, FileError> {
        if let Some(&index) = self.by_path.get(name) {
            return Ok(Some(Found { index, whole: true }));
        }
        let Some(candidates) = self.by_stem.get(stem(name)) else { return Ok(None) };
        let shared = |index: usize| {
            parts(&self.names[index]).zip(parts(name)).take_while(|(a, b)| a == b).count()
        };
        let most = candidates.iter().map(|&index| shared(index)).max().unwrap_or(0);
        let mut best = candidates.iter().copied().filter(|&index| shared(index) == most);
        let Some(index) = best.next() else { return Ok(None) };
        if let Some(other) = best.find(|&other| !same(index, other)) {
            let [one, other] = [index, other].map(|index| shown(&self.names[index]));
            let name = shown(name);
            return Err(FileError::new(file, FileProblem::Ambiguous { name, one, other }));
        }
        Ok(Some(Found { index, whole: false }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(names: &[&str], name: &str) -> Result<Option<Found>, FileError> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        NameIndex::new(&names).find("file", name, |_, _| false)
    }

    #[test]
    fn names_are_found_by_path_by_stem_and_by_as_much_of_the_path_as_it_takes() {
        let found = |names: &[&str], name| find(names, name).expect("no doubt");
        assert_eq!(
            found(&["a/x.jpg", "b/x.jpg"], "b/x.jpg"),
            Some(Found { index: 1, whole: true })
        );
        assert_eq!(found(&["lfw.tar/x.jpg"], "x"), Some(Found { index: 0, whole: false }));
        let cfp = ["cfp/001/frontal/01.jpg", "cfp/001/profile/01.jpg", "cfp/002/profile/01.jpg"];
        assert_eq!(found(&cfp, "001/profile/01"), Some(Found { index: 1, whole: false }));
        assert_eq!(found(&["x.y.jpg"], "x.y"), Some(Found { index: 0, whole: false }));
        assert_eq!(found(&["x.y.jpg"], "x"), None);
        let error = find(&cfp, "q/01").expect_err("three fit").to_string();
        assert!(error.contains("'q/01' fits several entries"), "{error}");
    }

    #[test]
    fn stems_have_no_folder_and_no_ending() {
        assert_eq!(stem("a/b.c/x y.JPG"), "x y");
        assert_eq!(stem("x"), "x");
        assert_eq!(stem("a\\b.png"), "b");
        assert_eq!(stem(""), "");
        assert_eq!(without_ending("é.jpg"), "é");
    }
}
