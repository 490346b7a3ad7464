//! IJB-C, 1:1 verification of templates.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::folder::complete;
use super::{Benchmark, BenchmarkImage, ImageSource, Template};
use crate::comparisons::{Comparisons, Pair};
use crate::files::lines::Lines;
use crate::files::{FileError, FileProblem, Missing, check_classes, sanitized};

/// IJB-C in InsightFace's layout: below `meta`, `ijbc_face_tid_mid.txt` (image, template, media),
/// `ijbc_template_pair_label.txt` (template, template, 1|0) and `ijbc_name_5pts_score.txt` (image,
/// five landmarks, detection score); the images in `loose_crop`. IJB-B is the same with `ijbb`.
///
/// Without the folder `loose_crop`, qualities and embeddings from other programs can still be
/// evaluated.
///
/// # Errors
///
/// If a file has another format, an image has no landmarks, a pair's template has no image, or an
/// image is missing.
pub fn ijbc(name: &str, folder: &Path, missing: Missing) -> Result<Benchmark, FileError> {
    let set = if folder.join("meta/ijbb_face_tid_mid.txt").is_file() { "ijbb" } else { "ijbc" };
    let meta = |file: &str| folder.join("meta").join(format!("{set}_{file}.txt"));
    let (mut images, by_name) = read_points(&meta("name_5pts_score"))?;
    let templates = read_templates(&meta("face_tid_mid"), &by_name)?;
    let pairs = read_pairs(&meta("template_pair_label"), &templates)?;
    let crops = folder.join("loose_crop");
    if crops.is_dir() {
        let mut absent = Vec::new();
        let total = images.len();
        for image in &mut images {
            let path: PathBuf = crops.join(&image.name);
            if !path.is_file() {
                absent.push(image.name.clone());
            }
            image.source = ImageSource::File(path);
        }
        complete(name, &crops, absent.iter().map(String::as_str), total, missing)?;
    }
    let templates = Some(templates);
    Ok(Benchmark { name: name.to_owned(), images, templates, pairs, folds: None })
}

/// The images with their landmarks, and their indices by name.
fn read_points(path: &Path) -> Result<(Vec<BenchmarkImage>, HashMap<String, u32>), FileError> {
    let mut lines = Lines::open(path)?;
    let file = lines.file().to_owned();
    let (mut images, mut by_name) = (Vec::new(), HashMap::new());
    while let Some((number, line)) = lines.next()? {
        let expected = "an image, five points x y, and a detector score";
        let unexpected = || FileError::unexpected(&file, number, expected, line);
        let mut cells = line.split_whitespace();
        let name = cells.next().ok_or_else(unexpected)?;
        let numbers: Vec<f32> =
            cells.map_while(|cell| cell.parse().ok()).filter(|n: &f32| n.is_finite()).collect();
        let &[ax, ay, bx, by, cx, cy, dx, dy, ex, ey, _score] = numbers.as_slice() else {
            return Err(unexpected());
        };
        if by_name.insert(name.to_owned(), images.len() as u32).is_some() {
            return Err(FileError::unexpected(&file, number, "each image once", name));
        }
        let landmarks = Some([[ax, ay], [bx, by], [cx, cy], [dx, dy], [ex, ey]]);
        images.push(BenchmarkImage {
            landmarks,
            ..BenchmarkImage::new(name, ImageSource::Unavailable)
        });
    }
    Ok((images, by_name))
}

/// The templates, by ascending number.
fn read_templates(path: &Path, by_name: &HashMap<String, u32>) -> Result<Vec<Template>, FileError> {
    let mut lines = Lines::open(path)?;
    let file = lines.file().to_owned();
    let mut images: HashMap<u32, Vec<(u32, u32)>> = HashMap::new();
    while let Some((number, line)) = lines.next()? {
        let expected = "`image template media`, the image one of those with points";
        let unexpected = || FileError::unexpected(&file, number, expected, line);
        let cells: Vec<&str> = line.split_whitespace().collect();
        let &[image, template, media] = cells.as_slice() else { return Err(unexpected()) };
        let image = *by_name.get(image).ok_or_else(unexpected)?;
        let template = template.parse().map_err(|_| unexpected())?;
        let media = media.parse().map_err(|_| unexpected())?;
        images.entry(template).or_default().push((image, media));
    }
    if images.is_empty() {
        return Err(FileError::new(&file, FileProblem::Empty { what: "template" }));
    }
    let mut templates: Vec<Template> =
        images.into_iter().map(|(id, images)| Template { id, images }).collect();
    templates.sort_by_key(|template| template.id);
    Ok(templates)
}

fn read_pairs(path: &Path, templates: &[Template]) -> Result<Vec<Pair>, FileError> {
    let indices: HashMap<u32, u32> =
        templates.iter().map(|template| template.id).zip(0..).collect();
    let mut lines = Lines::open(path)?;
    let file = lines.file().to_owned();
    let mut pairs = Vec::new();
    while let Some((number, line)) = lines.next()? {
        let expected = "`template template 1|0`";
        let unexpected = || FileError::unexpected(&file, number, expected, line);
        let mut cells = line.split_whitespace();
        let (Some(a), Some(b), Some(label), None) =
            (cells.next(), cells.next(), cells.next(), cells.next())
        else {
            return Err(unexpected());
        };
        let template = |cell: &str| {
            let id: u32 = cell.parse().map_err(|_| unexpected())?;
            indices.get(&id).copied().ok_or_else(|| {
                let found = format!("template {}, which has no image", sanitized(cell));
                FileError::unexpected(&file, number, "templates that have images", &found)
            })
        };
        let mated = match label {
            "1" => true,
            "0" => false,
            _ => return Err(unexpected()),
        };
        if pairs.len() >= Comparisons::MAX {
            let (what, limit) = ("list of pairs", Comparisons::MAX as u64);
            let problem = FileProblem::TooLarge { what, limit, unit: "pairs" };
            return Err(FileError::new(&file, problem));
        }
        pairs.push(Pair { a: template(a)?, b: template(b)?, mated });
    }
    check_classes(&file, &pairs)?;
    Ok(pairs)
}
