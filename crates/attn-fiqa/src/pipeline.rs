//! A stream of encoded images through decoding and the network, in order and in
//! bounded memory.
//!
//! One thread reads bytes ahead. While the network works on one batch, the same
//! threads decode the next: there are never more busy threads than the engine
//! has. At any time at most two batches of crops and one of encoded images exist.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};

use rayon::prelude::*;

use crate::crop::{Crop, CropOptions, crop_from_picture};
use crate::decode::{DecodeLimits, Note, decode};
use crate::engine::{Assessment, Engine, Request, RequestError};
use crate::source::SourceItem;
use crate::status::Failure;

/// Encoded images that are read ahead at most: reading is far faster than scoring.
const MAX_READ_AHEAD: usize = 1024;

/// How images go through.
#[derive(Debug, Clone)]
pub struct PipelineOptions {
    /// Limits before anything is decoded.
    pub limits: DecodeLimits,
    /// How pictures become crops.
    pub crop: CropOptions,
    /// Images that are decoded and assessed together; at least one.
    pub batch: usize,
}

/// Everything about one image. Every image that goes in comes out as one row.
#[derive(Debug)]
pub struct Row {
    /// The name to show.
    pub path: String,
    /// The name inside its input, for files to be written.
    pub relative: PathBuf,
    /// Width and height of the picture in its file, upright, when it was decoded.
    pub size: Option<(usize, usize)>,
    /// What was ignored or changed on the way.
    pub notes: Vec<Note>,
    /// The network's input, when there is one.
    pub crop: Option<Crop>,
    /// What was found out, or why nothing was.
    pub outcome: Result<Assessment, Failure>,
}

/// What ended a run before its images did.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError<E> {
    /// The model cannot do what was asked for; no image was read.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The sink refused a row.
    #[error("the run was ended by its output")]
    Sink(E),
}

/// A decoded image on its way to the network.
struct Prepared {
    path: String,
    relative: PathBuf,
    size: Option<(usize, usize)>,
    notes: Vec<Note>,
    crop: Result<Crop, Failure>,
}

/// Sends every item through and hands its row to `sink`, in the order of the items.
///
/// # Errors
///
/// When the request does not fit the model, or `sink` fails: reading then stops
/// and the remaining images are dropped.
pub fn run<E>(
    items: impl Iterator<Item = SourceItem> + Send,
    engine: &Engine,
    request: &Request,
    options: &PipelineOptions,
    mut sink: impl FnMut(Row) -> Result<(), E>,
) -> Result<(), PipelineError<E>> {
    engine.check(request)?;
    let batch = options.batch.max(1);
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(batch.min(MAX_READ_AHEAD));
        scope.spawn(move || {
            for item in items {
                // The receiver is gone when the sink has failed.
                if sender.send(item).is_err() {
                    break;
                }
            }
        });
        let mut ready: Vec<Prepared> = Vec::new();
        loop {
            let encoded = next_batch(&receiver, batch, ready.is_empty());
            if encoded.is_empty() && ready.is_empty() {
                return Ok(());
            }
            let current = std::mem::take(&mut ready);
            let (rows, prepared) = engine.pool().install(|| {
                rayon::join(
                    || assess(engine, request, current),
                    || encoded.into_par_iter().map(|item| prepare(item, options)).collect(),
                )
            });
            ready = prepared;
            for row in rows {
                sink(row).map_err(PipelineError::Sink)?;
            }
        }
    })
}

/// Up to `limit` items: waits for the first only when there is nothing else to
/// do, and never for more, so that slow sources are answered at once.
fn next_batch(receiver: &Receiver<SourceItem>, limit: usize, wait: bool) -> Vec<SourceItem> {
    let mut items = Vec::new();
    if wait {
        items.extend(receiver.recv());
    }
    while items.len() < limit {
        match receiver.try_recv() {
            Ok(item) => items.push(item),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
        }
    }
    items
}

fn prepare(item: SourceItem, options: &PipelineOptions) -> Prepared {
    let SourceItem { path, relative, bytes } = item;
    let mut size = None;
    let mut notes = Vec::new();
    let crop = bytes.and_then(|bytes| {
        let decoded = decode(&bytes, &options.limits)?;
        size = Some((decoded.picture.width(), decoded.picture.height()));
        notes = decoded.notes;
        let (crop, crop_notes) = crop_from_picture(decoded.picture, &options.crop)?;
        notes.extend(crop_notes);
        Ok(crop)
    });
    Prepared { path, relative, size, notes, crop }
}

/// Runs on the engine's threads; the request was checked.
fn assess(engine: &Engine, request: &Request, prepared: Vec<Prepared>) -> Vec<Row> {
    let crops: Vec<Crop> = prepared.iter().filter_map(|image| image.crop.clone().ok()).collect();
    let mut outcomes = engine.assess_batch(&crops, request).into_iter();
    prepared
        .into_iter()
        .map(|Prepared { path, relative, size, notes, crop }| {
            let (crop, outcome) = match crop {
                Ok(crop) => {
                    let outcome = outcomes.next().expect("one outcome a crop: this is a bug");
                    (Some(crop), outcome)
                }
                Err(failure) => (None, Err(failure)),
            };
            Row { path, relative, size, notes, crop, outcome }
        })
        .collect()
}
