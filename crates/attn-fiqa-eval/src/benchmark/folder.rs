//! Finds the image files below a folder by the names in a protocol.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{BenchmarkImage, ImageSource};
use crate::files::names::{join, without_extension};
use crate::files::{FileError, FileProblem, Missing, first_names};

/// Maximum nesting of folders.
const MAX_DEPTH: usize = 16;
/// Maximum number of images below one folder, more than in any published set.
const MAX_IMAGES: usize = 16 << 20;

/// The image files below a folder, sorted by relative path.
fn image_files(folder: &Path) -> Result<Vec<String>, FileError> {
    let (mut files, mut folders) = (Vec::new(), vec![(folder.to_owned(), 0)]);
    while let Some((inside, depth)) = folders.pop() {
        let problem = |error| FileError::io(&inside, error);
        for entry in fs::read_dir(&inside).map_err(problem)? {
            let path = entry.map_err(problem)?.path();
            if path.is_dir() {
                if depth < MAX_DEPTH {
                    folders.push((path, depth + 1));
                }
                continue;
            }
            let relative = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy();
            if without_extension(&relative).len() < relative.len() && !relative.ends_with(".npy") {
                files.push(relative.replace('\\', "/"));
            }
            if files.len() > MAX_IMAGES {
                let (what, limit) = ("set of images", MAX_IMAGES as u64);
                let problem = FileProblem::TooLarge { what, limit, unit: "images" };
                return Err(FileError::new(&folder.to_string_lossy(), problem));
            }
        }
    }
    files.sort();
    Ok(files)
}

/// The images of these names anywhere below a folder, with any extension. A missing one is an
/// error, or a failure when it is read, according to `missing`.
pub(super) fn find_images(
    benchmark: &str,
    folder: &Path,
    names: &[String],
    missing: Missing,
) -> Result<Vec<BenchmarkImage>, FileError> {
    let files = image_files(folder)?;
    let found = join(&folder.to_string_lossy(), &files, names, |_, _| false)?;
    let image = |(name, found): (&String, &Option<_>)| {
        let found: &Option<crate::files::names::Found> = found;
        let path = found.map_or(name, |found| &files[found.index]);
        BenchmarkImage::new(name.clone(), ImageSource::File(folder.join(path)))
    };
    let images = names.iter().zip(&found).map(image).collect();
    let absent = names.iter().zip(&found).filter(|(_, found)| found.is_none());
    complete(benchmark, folder, absent.map(|(name, _)| name.as_str()), names.len(), missing)?;
    Ok(images)
}

/// An error if an image is missing and `missing` requires all of them.
pub(super) fn complete<'n>(
    benchmark: &str,
    folder: &Path,
    absent: impl Iterator<Item = &'n str> + Clone,
    total: usize,
    missing: Missing,
) -> Result<(), FileError> {
    let count = absent.clone().count();
    if count == 0 || missing == Missing::Skip && count < total {
        return Ok(());
    }
    let (benchmark, examples) = (benchmark.to_owned(), first_names(absent));
    let problem = FileProblem::Incomplete { benchmark, missing: count, total, examples };
    Err(FileError::new(&folder.to_string_lossy(), problem))
}

/// The first of these files that exists, or an error that names the first.
pub(super) fn first_of(folder: &Path, names: &[&str]) -> Result<PathBuf, FileError> {
    let paths = names.iter().map(|name| folder.join(name));
    match paths.clone().find(|path| path.is_file()) {
        Some(path) => Ok(path),
        None => {
            let missing = paths.into_iter().next().unwrap_or_else(|| folder.to_owned());
            Err(FileError::io(&missing, std::io::ErrorKind::NotFound.into()))
        }
    }
}

/// Numbers the persons of images by the result of `person` for each.
pub(super) fn identities_by(
    images: &mut [BenchmarkImage],
    person: impl Fn(&BenchmarkImage) -> String,
) {
    let mut numbers = HashMap::new();
    for image in images {
        let next = numbers.len() as u32;
        image.identity = Some(*numbers.entry(person(image)).or_insert(next));
    }
}
