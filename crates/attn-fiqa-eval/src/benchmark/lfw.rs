//! LFW and its derivatives, whose images are named `Name_0001`.

use std::path::Path;

use super::folder::{find_images, first_of, identities_by};
use super::{Benchmark, Template};
use crate::comparisons::Pair;
use crate::files::lines::Lines;
use crate::files::{FileError, FileProblem, Missing, PairBuilder, PairList, stem};

/// LFW: `pairs.txt` (first line `10 300`, then ten times 300 mated and 300 non-mated
/// pairs) or `pair_list.txt` (`a b 1|0` per line, in the order of the folds), and
/// the images `Name_0001.jpg` anywhere below.
///
/// # Errors
///
/// If the protocol does not match its first line, or an image is missing.
pub fn lfw(name: &str, folder: &Path, missing: Missing) -> Result<Benchmark, FileError> {
    with_lfw_pairs(name, folder, &["pairs.txt", "pair_list.txt", "lfw-pair_list.txt"], missing)
}

/// XQLFW: as [`lfw`], with `xqlfw_pairs.txt`.
///
/// # Errors
///
/// As [`lfw`].
pub fn xqlfw(name: &str, folder: &Path, missing: Missing) -> Result<Benchmark, FileError> {
    with_lfw_pairs(name, folder, &["xqlfw_pairs.txt", "pairs.txt", "pair_list.txt"], missing)
}

/// CALFW and CPLFW: `pairs_CALFW.txt` or `pairs_CPLFW.txt` (two lines per pair, `file
/// label`, where 0 is non-mated and anything else mated) or `pair_list.txt`, and the
/// images anywhere below.
///
/// # Errors
///
/// If the two lines of a pair have different labels, or an image is missing.
pub fn two_line_lfw(
    name: &str,
    folder: &Path,
    protocol: &str,
    missing: Missing,
) -> Result<Benchmark, FileError> {
    let path = first_of(folder, &[protocol, "pair_list.txt"])?;
    if path.ends_with("pair_list.txt") {
        return finish(name, folder, PairList::read(&path)?.into(), None, missing);
    }
    let mut lines = Lines::open(&path)?;
    let file = lines.file().to_owned();
    let mut builder = PairBuilder::new(&file);
    let mut first: Option<(String, bool)> = None;
    while let Some((number, line)) = lines.next()? {
        let expected = "`file label`, two lines per pair with one label";
        let unexpected = || FileError::unexpected(&file, number, expected, line);
        let (image, label) = line.rsplit_once([' ', '\t']).ok_or_else(unexpected)?;
        let label: i64 = label.parse().map_err(|_| unexpected())?;
        let image = image.trim_end();
        match first.take() {
            None => first = Some((image.to_owned(), label != 0)),
            Some((other, mated)) if mated == (label != 0) => {
                builder.add(number, &other, image, mated)?;
            }
            Some(_) => return Err(unexpected()),
        }
    }
    if let Some((image, _)) = first {
        let problem = FileProblem::Damaged(format!("the last pair has only one image, '{image}'"));
        return Err(FileError::new(&file, problem));
    }
    finish(name, folder, builder.finish()?, None, missing)
}

fn with_lfw_pairs(
    name: &str,
    folder: &Path,
    lists: &[&str],
    missing: Missing,
) -> Result<Benchmark, FileError> {
    let path = first_of(folder, lists)?;
    if path.to_string_lossy().ends_with("pair_list.txt") {
        return finish(name, folder, PairList::read(&path)?.into(), None, missing);
    }
    let (list, folds) = read_pairs_txt(&path)?;
    finish(name, folder, list, Some(folds), missing)
}

type NamedPairs = (Vec<String>, Vec<Pair>);

impl From<PairList> for NamedPairs {
    fn from(list: PairList) -> Self {
        (list.names, list.pairs)
    }
}

fn finish(
    name: &str,
    folder: &Path,
    (names, pairs): NamedPairs,
    folds: Option<Vec<u16>>,
    missing: Missing,
) -> Result<Benchmark, FileError> {
    let mut images = find_images(name, folder, &names, missing)?;
    // `Ann_Lee_0001` is the first image of Ann Lee.
    identities_by(&mut images, |image| person(&image.name).to_owned());
    let templates = None::<Vec<Template>>;
    Ok(Benchmark { name: name.to_owned(), images, templates, pairs, folds })
}

/// The person in an image named `Name_0001`: the part before the number.
pub fn person(image: &str) -> &str {
    let stem = stem(image);
    match stem.rsplit_once('_') {
        Some((person, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => person,
        _ => stem,
    }
}

/// Names, pairs and the fold of each pair.
fn read_pairs_txt(path: &Path) -> Result<(NamedPairs, Vec<u16>), FileError> {
    let mut lines = Lines::open(path)?;
    let file = lines.file().to_owned();
    let [folds, per_fold] = match lines.next()? {
        None => return Err(FileError::new(&file, FileProblem::Empty { what: "pair" })),
        Some((number, line)) => {
            let sizes: Vec<u16> =
                line.split_whitespace().map_while(|size| size.parse().ok()).collect();
            let expected = "the number of folds and of mated pairs in each, such as `10 300`";
            match sizes.as_slice() {
                &[folds, pairs] if folds > 0 && pairs > 0 => [folds, pairs].map(usize::from),
                _ => return Err(FileError::unexpected(&file, number, expected, line)),
            }
        }
    };
    let mut builder = PairBuilder::new(&file);
    let mut fold_of = Vec::new();
    let expected_pairs = folds * per_fold * 2;
    while let Some((number, line)) = lines.next()? {
        let mated = fold_of.len() / per_fold % 2 == 0;
        let expected = if mated { "`name i j`, a mated pair" } else { "`name i name j`" };
        let unexpected = || FileError::unexpected(&file, number, expected, line);
        let cells: Vec<&str> = match line.contains('\t') {
            true => line.split('\t').map(str::trim).collect(),
            false => line.split_whitespace().collect(),
        };
        let image = |name: &str, number: &str| {
            let number: u32 = number.parse().map_err(|_| unexpected())?;
            Ok::<_, FileError>(format!("{name}_{number:04}"))
        };
        let [a, b] = match (cells.as_slice(), mated) {
            (&[name, i, j], true) => [image(name, i)?, image(name, j)?],
            (&[name, i, other, j], false) => [image(name, i)?, image(other, j)?],
            _ => return Err(unexpected()),
        };
        builder.add(number, &a, &b, mated)?;
        fold_of.push((fold_of.len() / (2 * per_fold)) as u16);
    }
    if fold_of.len() != expected_pairs {
        let against = format!("are announced by its first line ({folds} folds of 2 × {per_fold})");
        let (what, found) = ("pairs", fold_of.len());
        let problem = FileProblem::Count { what, found, against, expected: expected_pairs };
        return Err(FileError::new(&file, problem));
    }
    Ok((builder.finish()?, fold_of))
}
