//! Adience: all images of a person against each other.

use std::path::Path;

use super::folder::{find_images, identities_by};
use super::{Benchmark, BenchmarkImage};
use crate::comparisons::{Comparisons, Pair};
use crate::files::lines::Lines;
use crate::files::{FileError, FileProblem, Missing, check_classes};
use crate::stream::Stream;

/// Folds of the distribution.
const FOLDS: usize = 5;

/// Adience as distributed: `fold_0_data.txt` … `fold_4_data.txt` (a header, then tab-separated
/// `user_id`, `original_image`, `face_id`, …) and the images `USER/…aligned_face.FACE.ORIGINAL`
/// anywhere below, from the landmark-aligned or the coarsely aligned distribution.
///
/// Mated comparisons: all pairs of images of the same person. The protocol has no non-mated ones;
/// the same number is drawn from images of different persons, with replacement, using `seed`.
///
/// # Errors
///
/// If a fold has another format, an image is missing, or there is only one person.
pub fn adience(
    name: &str,
    folder: &Path,
    seed: u64,
    missing: Missing,
) -> Result<Benchmark, FileError> {
    let names = image_names(folder)?;
    let mut images = images(name, folder, &names, missing)?;
    identities_by(&mut images, |image| image.name.split('/').next().unwrap_or_default().to_owned());
    let pairs = pairs(&folder.to_string_lossy(), &images, seed)?;
    Ok(Benchmark { name: name.to_owned(), images, templates: None, pairs, folds: None })
}

/// The names of the images in the lists of the folds, each once.
fn image_names(folder: &Path) -> Result<Vec<String>, FileError> {
    let mut names = Vec::new();
    for fold in 0..FOLDS {
        let mut lines = Lines::open(&folder.join(format!("fold_{fold}_data.txt")))?;
        let file = lines.file().to_owned();
        let mut heading = true;
        while let Some((number, line)) = lines.next()? {
            let cells: Vec<&str> = line.split('\t').collect();
            if std::mem::take(&mut heading) && cells.first() == Some(&"user_id") {
                continue;
            }
            let expected = "tab-separated `user_id`, `original_image`, `face_id`, …";
            let &[user, original, face, ..] = cells.as_slice() else {
                return Err(FileError::unexpected(&file, number, expected, line));
            };
            names.push(format!("{user}/landmark_aligned_face.{face}.{original}"));
        }
    }
    let distinct = names.iter().collect::<std::collections::HashSet<_>>().len();
    if distinct != names.len() {
        let against = "distinct ones are named by the folds".to_owned();
        let (what, found) = ("faces", names.len());
        let problem = FileProblem::Count { what, found, against, expected: distinct };
        return Err(FileError::new(&folder.to_string_lossy(), problem));
    }
    Ok(names)
}

/// The images of one of the two distributions; if both are incomplete, the one with fewer missing.
fn images(
    name: &str,
    folder: &Path,
    names: &[String],
    missing: Missing,
) -> Result<Vec<BenchmarkImage>, FileError> {
    let coarse: Vec<String> = names
        .iter()
        .map(|name| name.replace("/landmark_aligned_face.", "/coarse_tilt_aligned_face."))
        .collect();
    let error = match find_images(name, folder, names, Missing::Fail) {
        Ok(images) => return Ok(images),
        Err(error) => error,
    };
    match find_images(name, folder, &coarse, Missing::Fail) {
        Ok(images) => Ok(images),
        Err(_) if missing == Missing::Fail => Err(error),
        Err(_) => [names, &coarse]
            .into_iter()
            .filter_map(|names| find_images(name, folder, names, missing).ok())
            .min_by_key(|images| images.iter().filter(|image| !image.is_there()).count())
            .ok_or(error),
    }
}

/// All mated pairs, and the same number of non-mated ones drawn using the seed.
fn pairs(folder: &str, images: &[BenchmarkImage], seed: u64) -> Result<Vec<Pair>, FileError> {
    let mut of_person: Vec<Vec<u32>> = Vec::new();
    let mut person_of = Vec::with_capacity(images.len());
    for (index, image) in (0..).zip(images) {
        let person = image.identity.unwrap_or_default() as usize;
        of_person.resize_with(of_person.len().max(person + 1), Vec::new);
        of_person[person].push(index);
        person_of.push(person);
    }
    let mated = of_person.iter().map(|of| of.len() * of.len().saturating_sub(1) / 2).sum::<usize>();
    if mated > Comparisons::MAX / 2 {
        let (what, limit) = ("set of comparisons", Comparisons::MAX as u64 / 2);
        let problem = FileProblem::TooLarge { what, limit, unit: "mated pairs" };
        return Err(FileError::new(folder, problem));
    }
    let mut pairs = Vec::with_capacity(2 * mated);
    for of in &of_person {
        for (first, &a) in of.iter().enumerate() {
            pairs.extend(of[first + 1..].iter().map(|&b| Pair { a, b, mated: true }));
        }
    }
    let mut random = Stream::new(seed, 0);
    while of_person.len() > 1 && pairs.len() < 2 * mated {
        let [a, b] = [(); 2].map(|()| random.below(images.len()) as u32);
        if person_of[a as usize] != person_of[b as usize] {
            pairs.push(Pair { a, b, mated: false });
        }
    }
    check_classes(folder, &pairs)?;
    Ok(pairs)
}
