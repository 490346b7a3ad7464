//! A plain list of pairs, with or without a folder of images.

use std::path::Path;

use super::folder::find_images;
use super::{Benchmark, BenchmarkImage, ImageSource};
use crate::files::{FileError, Missing, PairList};

/// A benchmark from a list of pairs (`a b 1|0` per line) and, if images are needed, the folder
/// below which they have these names, with any extension. Ten folds of nearly equal size, in the
/// order of the list.
///
/// # Errors
///
/// The errors of [`PairList::read`], or a missing image.
pub fn pair_list(
    name: &str,
    list: &Path,
    images: Option<&Path>,
    missing: Missing,
) -> Result<Benchmark, FileError> {
    let list = PairList::read(list)?;
    let images = match images {
        Some(folder) => find_images(name, folder, &list.names, missing)?,
        None => {
            let nowhere =
                |name: &String| BenchmarkImage::new(name.clone(), ImageSource::Unavailable);
            list.names.iter().map(nowhere).collect()
        }
    };
    let pairs = list.pairs;
    Ok(Benchmark { name: name.to_owned(), images, templates: None, pairs, folds: None })
}
