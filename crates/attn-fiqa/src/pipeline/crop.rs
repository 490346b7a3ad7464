//! Crops faces without scoring them.

use super::driver::drive;
use super::memory::Budget;
use super::prepare::{Given, Prepared, prepare};
use super::{CropRow, FaceOptions, StreamOptions};
use crate::input::SourceItem;
use crate::threads::Threads;

/// Runs decoding, detection and alignment only: one row per face, with a crop of `side` pixels or
/// the reason why there is none. `work` runs on `threads`, for several rows at once, and its
/// results are passed to `sink` in the order of the items.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "builtin-model")] {
/// use std::sync::Arc;
///
/// use attn_fiqa::detect::Detector;
/// use attn_fiqa::pipeline::{FaceOptions, FaceSource, StreamOptions, crop_faces};
/// use attn_fiqa::source::{Input, SourceOptions, Sources};
/// use attn_fiqa::threads::Threads;
///
/// # let photo = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/astronaut.png");
/// let threads = Threads::new(None)?;
/// let detector = Arc::new(Detector::builtin(&threads)?);
/// let faces = FaceOptions::new(FaceSource::Detected(detector));
/// let photos = Sources::open(&[Input::Path(photo.into())], &SourceOptions::default())?;
/// let (stream, mut crops) = (StreamOptions::default(), Vec::new());
/// crop_faces(photos, &threads, 112, &faces, &stream, |row| row.crop, |crop| {
///     // Here an image without a face ends the run.
///     crop.map(|crop| crops.push(crop))
/// })?;
/// assert_eq!(crops.len(), 1);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Errors of `sink`: reading then stops and the remaining images are dropped.
pub fn crop_faces<R: Send, E>(
    items: impl Iterator<Item = SourceItem> + Send,
    threads: &Threads,
    side: usize,
    options: &FaceOptions,
    stream: &StreamOptions,
    work: impl Fn(CropRow) -> R + Send + Sync,
    mut sink: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let budget = Budget::new(stream, options.limits, options.keep_photo);
    let budget = budget.with_detection(&options.faces);
    let crop = |SourceItem { path, relative, image }| {
        let prepared = prepare(image, Given::Path(&path), side, options, |_, _| ());
        let Prepared { size, notes, faces, .. } = prepared;
        let row = |is_first, face, crop| {
            let (path, relative, notes) = (path.clone(), relative.clone(), notes.clone());
            work(CropRow { path, relative, size, notes, is_first, face, crop })
        };
        match faces {
            Err(failure) => vec![row(true, None, Err(failure))],
            Ok(faces) => faces
                .into_iter()
                .enumerate()
                .map(|(place, face)| row(place == 0, Some(face.info), face.crop))
                .collect(),
        }
    };
    drive(
        items,
        threads,
        stream,
        &budget,
        crop,
        |rows| rows,
        |rows: Vec<R>| rows.into_iter().try_for_each(&mut sink),
    )
}
