//! The faces of a data set whose images are not aligned crops.

use std::path::{Path, PathBuf};

use attn_fiqa::detect::{Detector, FaceBox};
use attn_fiqa::pipeline::{FacesRow, FindOptions, StreamOptions, find_faces, main_face};
use attn_fiqa::source::{ImageData, SourceItem};
use attn_fiqa::status::{Failure, Status};
use attn_fiqa::threads::Threads;

use super::StudyError;
use super::cache::{ImageHash, Table};
use super::compute::Progress;
use super::inputs::Dataset;
use super::network::CROP_SIDE;

/// Incremented when other faces are found.
const VERSION: u32 = 1;

/// Number of rows written together.
const BATCH: usize = 32;

/// Values per image: its kind, and the five landmarks.
const WIDTH: usize = 11;

/// The first value of a row.
const NO_FACE: f32 = 0.0;
const FACE: f32 = 1.0;
/// The image is an aligned crop already.
const CROP: f32 = 2.0;

/// Finds the main face of every image without landmarks, and stores its landmarks, which are used
/// to align it from then on. Images without a face are recorded as such.
pub(super) fn find_main_faces(
    dataset: &mut Dataset<'_>,
    threads: &Threads,
    cache: &Path,
    on_progress: &dyn Fn(Progress),
) -> Result<(), StudyError> {
    let detector = Detector::builtin(threads)?;
    let channels = dataset.config.channels;
    let what = format!(
        "v{VERSION} faces of {} {} channels={channels:?}",
        detector.name(),
        env!("CARGO_PKG_VERSION")
    );
    let mut table = Table::open(cache, &what, WIDTH)?;
    let keys = dataset.hashes().to_vec();
    let lacking: Vec<(usize, ImageHash)> = (0..keys.len())
        .filter_map(|index| Some((index, *keys[index].as_ref().ok()?)))
        .filter(|(_, key)| !table.contains(key))
        .collect();
    let (step, total) = (format!("faces of {}", dataset.config.name), keys.len());
    let at = |done: usize| on_progress(Progress { step: step.clone(), done, total });
    let before = total - lacking.len();
    at(before);

    let mut failed = Vec::new();
    let mut rows: Vec<(ImageHash, [f32; WIDTH])> = Vec::new();
    let reader = &*dataset;
    let items = lacking.iter().map(|&(index, _)| SourceItem {
        path: reader.benchmark.images[index].name.clone(),
        relative: PathBuf::from("image"),
        image: reader.read(index).map(ImageData::Encoded),
    });
    let options = FindOptions { channels, ..FindOptions::default() };
    let mut images = lacking.iter();
    let mut done = before;
    let stream = StreamOptions::default();
    find_faces(items, threads, &detector, &options, &stream, |row| {
        let &(index, key) = images.next().expect("a row for each image: this is a bug");
        match landmarks(row) {
            Ok(numbers) => rows.push((key, numbers)),
            Err(failure) => failed.push((index, failure)),
        }
        done += 1;
        if rows.len() >= BATCH {
            append(&mut table, &rows)?;
            rows.clear();
            at(done);
        }
        Ok::<(), StudyError>(())
    })?;
    append(&mut table, &rows)?;
    at(total);

    let mut reader = table.reader()?;
    let mut numbers = [0.0; WIDTH];
    for (index, key) in keys.iter().enumerate() {
        let Ok(key) = key else { continue };
        if !reader.read(key, &mut numbers)? {
            continue;
        }
        let [what, points @ ..] = numbers;
        if what == FACE {
            let point = |n: usize| [points[2 * n], points[2 * n + 1]];
            dataset.benchmark.images[index].landmarks = Some(std::array::from_fn(point));
        } else if what == NO_FACE {
            failed.push((index, Failure::new(Status::NoFace, "no face was found in the image")));
        }
    }
    dataset.without_face.extend(failed);
    Ok(())
}

fn append(table: &mut Table, rows: &[(ImageHash, [f32; WIDTH])]) -> Result<(), StudyError> {
    table.append(rows.iter().map(|(key, row)| (*key, row.as_slice())))
}

/// The values of an image's main face.
fn landmarks(row: FacesRow) -> Result<[f32; WIDTH], Failure> {
    let (faces, size) = (row.faces?, row.size.unwrap_or_default());
    let mut numbers = [0.0; WIDTH];
    let boxes: Vec<FaceBox> = faces.iter().map(|face| face.bounds).collect();
    numbers[0] = match main_face(&boxes, size) {
        _ if size == (CROP_SIDE, CROP_SIDE) => CROP,
        None => NO_FACE,
        Some(face) => {
            let points = faces[face].landmarks.0;
            numbers[1..].iter_mut().zip(points.iter().flatten()).for_each(|(to, &n)| *to = n);
            FACE
        }
    };
    Ok(numbers)
}
