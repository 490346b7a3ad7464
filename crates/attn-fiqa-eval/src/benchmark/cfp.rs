//! CFP: frontal–frontal and frontal–profile.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::folder::{complete, identities_by};
use super::{Benchmark, BenchmarkImage, ImageSource};
use crate::files::lines::Lines;
use crate::files::{FileError, Missing, PairBuilder, sanitized};

/// Folds of the protocol.
const FOLDS: u16 = 10;

/// CFP as distributed: `Protocol/Pair_list_F.txt` and `Pair_list_P.txt` (`number path`, the path
/// relative to `Protocol`), and `Protocol/Split/{FF,FP}/01…10/` with `same.txt` and `diff.txt`
/// (`i,j` per line). In FP the first number refers to the frontal list and the second to the
/// profile list.
///
/// An image's name is its path below the folder, such as `Data/Images/001/frontal/01.jpg`. Aligned
/// copies may have another extension.
///
/// # Errors
///
/// If a list has another format, a number is in no list, or an image is missing.
pub fn cfp(
    name: &str,
    folder: &Path,
    profile: bool,
    missing: Missing,
) -> Result<Benchmark, FileError> {
    let protocol = folder.join("Protocol");
    let frontal = read_list(&protocol.join("Pair_list_F.txt"))?;
    let second = match profile {
        true => &read_list(&protocol.join("Pair_list_P.txt"))?,
        false => &frontal,
    };
    let split = protocol.join("Split").join(if profile { "FP" } else { "FF" });
    let mut builder = PairBuilder::new(&split.to_string_lossy());
    let mut folds = Vec::new();
    for fold in 0..FOLDS {
        let inside = split.join(format!("{:02}", fold + 1));
        for (list, mated) in [("same.txt", true), ("diff.txt", false)] {
            let mut lines = Lines::open(&inside.join(list))?;
            let file = lines.file().to_owned();
            while let Some((number, line)) = lines.next()? {
                let expected = "`i,j`, two numbers of the lists of images";
                let unexpected = || FileError::unexpected(&file, number, expected, line);
                let (i, j) = line.split_once(',').ok_or_else(unexpected)?;
                let image = |list: &HashMap<u32, String>, number: &str| {
                    let number: Option<u32> = number.trim().parse().ok();
                    number.and_then(|number| list.get(&number)).cloned().ok_or_else(unexpected)
                };
                builder.add(number, &image(&frontal, i)?, &image(second, j)?, mated)?;
                folds.push(fold);
            }
        }
    }
    let (names, pairs) = builder.finish()?;
    let mut images = Vec::with_capacity(names.len());
    let mut absent = Vec::new();
    for name in &names {
        let path = existing(&folder.join(name)).unwrap_or_else(|| {
            absent.push(name.as_str());
            folder.join(name)
        });
        images.push(BenchmarkImage::new(name.clone(), ImageSource::File(path)));
    }
    complete(name, folder, absent.into_iter(), names.len(), missing)?;
    // `…/001/frontal/01.jpg` shows person 001.
    identities_by(&mut images, |image| {
        image.name.rsplit('/').nth(2).unwrap_or_default().to_owned()
    });
    Ok(Benchmark { name: name.to_owned(), images, templates: None, pairs, folds: Some(folds) })
}

/// The file, possibly with another extension.
fn existing(path: &Path) -> Option<PathBuf> {
    let endings = ["jpg", "png", "jpeg", "webp", "bmp"];
    let others = endings.iter().map(|ending| path.with_extension(ending));
    std::iter::once(path.to_owned()).chain(others).find(|path| path.is_file())
}

/// The images of a list by number, with their paths below the benchmark's folder.
fn read_list(path: &Path) -> Result<HashMap<u32, String>, FileError> {
    let mut lines = Lines::open(path)?;
    let file = lines.file().to_owned();
    let mut images = HashMap::new();
    while let Some((number, line)) = lines.next()? {
        let expected = "`number path`, each number once";
        let unexpected = || FileError::unexpected(&file, number, expected, line);
        let (image, path) = line.split_once([' ', '\t']).ok_or_else(unexpected)?;
        let image: u32 = image.parse().map_err(|_| unexpected())?;
        // The list contains `../Data/…`, relative to its own folder.
        let path = path.trim().replace('\\', "/");
        let path = path.trim_start_matches("../").trim_start_matches("./").to_owned();
        if path.split('/').any(|part| part == "..") {
            return Err(FileError::unexpected(
                &file,
                number,
                "a path below CFP's folder",
                &sanitized(&path),
            ));
        }
        if images.insert(image, path).is_some() {
            return Err(unexpected());
        }
    }
    Ok(images)
}
