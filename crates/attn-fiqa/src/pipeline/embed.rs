//! The same way for embeddings: every face through any recogniser.

use rayon::prelude::*;

use super::prepare::prepare;
use super::read_ahead::ReadAhead;
use super::{PipelineOptions, Row, in_parallel};
use crate::crop::Crop;
use crate::engine::Assessment;
use crate::source::SourceItem;
use crate::status::Failure;
use crate::threads::Threads;

/// Sends every item through decoding, detection and `embed`, and hands its rows to
/// `sink` in the order of the items. `side` is the size of the crops.
///
/// [`PipelineOptions::jitter`] and [`super::FaceChoice::best`] mean nothing here.
///
/// # Errors
///
/// Those of `sink`: reading then stops and the remaining images are dropped.
pub fn embed_faces<E>(
    items: impl Iterator<Item = SourceItem> + Send,
    threads: &Threads,
    side: usize,
    options: &PipelineOptions,
    embed: impl Fn(&Crop) -> Result<Assessment, Failure> + Sync,
    mut sink: impl FnMut(Row) -> Result<(), E>,
) -> Result<(), E> {
    let batch = options.batch.max(1);
    std::thread::scope(|scope| {
        let items = ReadAhead::start(scope, items, batch);
        loop {
            let encoded = items.next_batch(batch, true);
            if encoded.is_empty() {
                return Ok(());
            }
            let rows: Vec<Vec<Row>> = threads
                .install(|| in_parallel(encoded, |item| rows_of(item, side, options, &embed)));
            for row in rows.into_iter().flatten() {
                sink(row)?;
            }
        }
    })
}

fn rows_of(
    item: SourceItem,
    side: usize,
    options: &PipelineOptions,
    embed: &(impl Fn(&Crop) -> Result<Assessment, Failure> + Sync),
) -> Vec<Row> {
    let prepared = prepare(item, side, options).without_photo_unless(options.keep_photo);
    let common = prepared.common;
    let faces = match prepared.faces {
        Ok(faces) => faces,
        Err(failure) => return vec![common.into_row(true, None, None, Err(failure))],
    };
    faces
        .into_par_iter()
        .enumerate()
        .map(|(index, face)| {
            let outcome = face.crop.as_ref().map_err(Clone::clone).and_then(embed);
            common.clone().into_row(index == 0, Some((face.info, None)), face.crop.ok(), outcome)
        })
        .collect()
}
