//! Faces cut out and not scored.

use super::driver::drive;
use super::memory::Budget;
use super::prepare::{Given, Prepared, prepare};
use super::{CropRow, FaceOptions, StreamOptions};
use crate::source::SourceItem;
use crate::threads::Threads;

/// Sends every item through decoding, detection and alignment only: one row per face, a
/// crop of `side` pixels, or why there is none. `work` is done on `threads`, for several
/// rows at once, and its results are handed to `sink` in the order of the items.
///
/// # Errors
///
/// Those of `sink`: reading then stops and the remaining images are dropped.
pub fn cut_faces<R: Send, E>(
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
    let cut = |SourceItem { path, relative, image }| {
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
        cut,
        |rows| rows,
        |rows: Vec<R>| rows.into_iter().try_for_each(&mut sink),
    )
}
