//! A stream of encoded images through decoding, detection, alignment and the
//! network, in order and in bounded memory.
//!
//! One thread reads bytes ahead. While the network works on one batch, the same
//! threads decode the next and find its faces: there are never more busy threads
//! than the engine has. At any time at most two batches of crops, one of encoded
//! images and one decoded picture a thread exist.

mod choice;
mod embed;
mod jitter;
mod prepare;
mod read_ahead;
mod row;

use std::sync::Arc;

use rayon::prelude::*;

use crate::align::landmark_file::LandmarkFile;
use crate::crop::{ChannelOrder, Crop, Fit};
use crate::decode::DecodeLimits;
use crate::detect::Detector;
use crate::engine::{Assessment, Engine, Request, RequestError};
use crate::measure::Measure;
use crate::source::SourceItem;
use crate::status::Failure;
use crate::threads::Threads;

pub use crate::face::{FaceInfo, Way};
pub use choice::FaceChoice;
pub use embed::embed_faces;
pub use row::{CropRow, FacesRow, Row};

use prepare::{Prepared, PreparedFace};
use read_ahead::ReadAhead;

/// How pictures become crops.
#[derive(Clone)]
pub enum FaceSource {
    /// Every picture is an aligned face already. One of another size than the
    /// network's is treated as `Fit` says.
    Aligned(Fit),
    /// Faces are found and aligned; a picture of exactly the network's size is
    /// taken for an aligned face and scored as it is.
    Detected(Arc<Detector>),
    /// Faces are aligned by landmarks that somebody else found, whatever the
    /// picture's size.
    Landmarks(Arc<LandmarkFile>),
}

/// How images go through.
#[derive(Clone)]
pub struct PipelineOptions {
    /// Limits before anything is decoded.
    pub limits: DecodeLimits,
    /// The order in which files hold their colours.
    pub channels: ChannelOrder,
    /// How pictures become crops.
    pub faces: FaceSource,
    /// Which of a picture's faces are taken.
    pub choice: FaceChoice,
    /// Times that each face found is aligned again with noise on its landmarks,
    /// for [`Row::jitter_std`]; 0 is none, 1 has no spread.
    pub jitter: usize,
    /// Whether rows hold the upright photo: a batch of them is then in memory.
    pub keep_photo: bool,
    /// Images that are decoded and assessed together; at least one.
    pub batch: usize,
    /// Where a row's scores come from, in their order; if empty, from the methods of
    /// the request.
    pub scorers: Vec<Scorer>,
}

/// Where one of a row's scores comes from.
#[derive(Clone)]
pub enum Scorer {
    /// The method of the request at this place.
    Method(usize),
    /// Something that needs no Vision Transformer. NaN where a face has none.
    Measure(Measure),
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

/// Sends every item through and hands its rows to `sink`, in the order of the
/// items: one row a face, the largest face first, and one row for an image
/// without any.
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
    // A run may take measures alone.
    if !request.methods.is_empty() || options.scorers.is_empty() {
        engine.check(request)?;
    }
    let batch = options.batch.max(1);
    let side = engine.config().image_size;
    std::thread::scope(|scope| {
        let items = ReadAhead::start(scope, items, batch);
        let mut ready: Vec<Prepared> = Vec::new();
        loop {
            let encoded = items.next_batch(batch, ready.is_empty());
            if encoded.is_empty() && ready.is_empty() {
                return Ok(());
            }
            let current = std::mem::take(&mut ready);
            let (rows, prepared) = engine.threads().install(|| {
                rayon::join(
                    || assess(engine, request, options, current),
                    || {
                        in_parallel(encoded, |item| {
                            let mut prepared = prepare::prepare(item, side, options);
                            if options.jitter > 0 {
                                jitter::measure(&mut prepared, engine, request, options.jitter);
                            }
                            prepared.without_photo_unless(options.keep_photo)
                        })
                    },
                )
            });
            ready = prepared;
            for row in rows {
                sink(row).map_err(PipelineError::Sink)?;
            }
        }
    })
}

/// Sends every item through decoding and detection only, and hands one row an
/// image to `sink`, in the order of the items. `side` is the size that counts as
/// aligned already, `None` if none does.
///
/// # Errors
///
/// Those of `sink`: reading then stops and the remaining images are dropped.
pub fn find_faces<E>(
    items: impl Iterator<Item = SourceItem> + Send,
    threads: &Threads,
    detector: &Detector,
    options: &FindOptions,
    mut sink: impl FnMut(FacesRow) -> Result<(), E>,
) -> Result<(), E> {
    let batch = options.batch.max(1);
    std::thread::scope(|scope| {
        let items = ReadAhead::start(scope, items, batch);
        loop {
            let encoded = items.next_batch(batch, true);
            if encoded.is_empty() {
                return Ok(());
            }
            let rows = threads
                .install(|| in_parallel(encoded, |item| prepare::find_in(item, detector, options)));
            for row in rows {
                sink(row)?;
            }
        }
    })
}

/// Sends every source through decoding, detection and alignment only, and hands
/// one row a face to `sink`, in the order of the items: a crop of `side` pixels,
/// or why there is none. Of the options [`FaceChoice::best`] and `jitter`, which
/// need scores, mean nothing here.
///
/// # Errors
///
/// Those of `sink`: reading then stops and the remaining images are dropped.
pub fn cut_faces<E>(
    items: impl Iterator<Item = SourceItem> + Send,
    threads: &Threads,
    side: usize,
    options: &PipelineOptions,
    mut sink: impl FnMut(CropRow) -> Result<(), E>,
) -> Result<(), E> {
    let batch = options.batch.max(1);
    std::thread::scope(|scope| {
        let items = ReadAhead::start(scope, items, batch);
        loop {
            let encoded = items.next_batch(batch, true);
            if encoded.is_empty() {
                return Ok(());
            }
            let rows = threads.install(|| {
                in_parallel(encoded, |item| {
                    let prepared = prepare::prepare(item, side, options);
                    prepared.without_photo_unless(false).into_crops()
                })
            });
            for row in rows.into_iter().flatten() {
                sink(row)?;
            }
        }
    })
}

/// How [`find_faces`] works.
#[derive(Debug, Clone)]
pub struct FindOptions {
    /// Limits before anything is decoded.
    pub limits: DecodeLimits,
    /// The order in which files hold their colours.
    pub channels: ChannelOrder,
    /// Which of a picture's faces are taken; [`FaceChoice::best`] means nothing here.
    pub choice: FaceChoice,
    /// Whether rows hold the upright photo: a batch of them is then in memory.
    pub keep_photo: bool,
    /// Images that are decoded together; at least one.
    pub batch: usize,
}

/// As many items at once as there are threads and no more, since each may hold
/// a large picture while it waits for its own parts to be done. In order.
fn in_parallel<T: Send>(
    items: Vec<SourceItem>,
    work: impl Fn(SourceItem) -> T + Send + Sync,
) -> Vec<T> {
    let threads = rayon::current_num_threads().max(1);
    let mut done = Vec::with_capacity(items.len());
    let mut items = items.into_iter();
    loop {
        let few: Vec<SourceItem> = items.by_ref().take(threads).collect();
        if few.is_empty() {
            return done;
        }
        done.par_extend(few.into_par_iter().map(&work));
    }
}

/// Runs on the engine's threads; the request was checked.
fn assess(
    engine: &Engine,
    request: &Request,
    options: &PipelineOptions,
    prepared: Vec<Prepared>,
) -> Vec<Row> {
    let faces = prepared.iter().filter_map(|image| image.faces.as_ref().ok()).flatten();
    let (infos, crops): (Vec<FaceInfo>, Vec<Crop>) =
        faces.filter_map(|face| Some((face.info, face.crop.clone().ok()?))).unzip();
    let outcomes = if request.methods.is_empty() {
        crops.iter().map(|_| Ok(Assessment::default())).collect()
    } else {
        engine.assess_batch(&crops, request)
    };
    let mut outcomes = with_measures(&options.scorers, outcomes, &infos, &crops).into_iter();
    let best = options.choice.best;
    let mut rows = Vec::new();
    for Prepared { common, faces } in prepared {
        let faces = match faces {
            Ok(faces) => faces,
            Err(failure) => {
                rows.push(common.into_row(true, None, None, Err(failure)));
                continue;
            }
        };
        let scored = faces.into_iter().map(|PreparedFace { info, crop, jitter_std }| {
            let (crop, outcome) = match crop {
                Ok(crop) => {
                    let outcome = outcomes.next().expect("one outcome a crop: this is a bug");
                    (Some(crop), outcome)
                }
                Err(failure) => (None, Err(failure)),
            };
            common.clone().into_row(info.index == 0, Some((info, jitter_std)), crop, outcome)
        });
        let mut scored: Vec<Row> = scored.collect();
        if best {
            scored = Vec::from_iter(best_of(scored));
        }
        if let Some(first) = scored.first_mut() {
            first.is_first = true;
        }
        rows.extend(scored);
    }
    rows
}

/// Brings scores of the network and measures into the order asked for.
fn with_measures(
    scorers: &[Scorer],
    outcomes: Vec<Result<Assessment, Failure>>,
    infos: &[FaceInfo],
    crops: &[Crop],
) -> Vec<Result<Assessment, Failure>> {
    if scorers.is_empty() {
        return outcomes;
    }
    let faces = outcomes.into_par_iter().zip(infos).zip(crops);
    faces
        .map(|((outcome, info), crop)| {
            let mut assessment = outcome?;
            let score = |scorer: &Scorer| match scorer {
                Scorer::Method(place) => Ok(assessment.scores[*place]),
                Scorer::Measure(measure) => measure.take(info, crop),
            };
            assessment.scores = scorers.iter().map(score).collect::<Result<_, _>>()?;
            Ok(assessment)
        })
        .collect()
}

/// The row of the highest first score, the earlier of equal ones; a failed one
/// only if none was scored.
fn best_of(rows: Vec<Row>) -> Option<Row> {
    let score = |outcome: &Result<Assessment, Failure>| {
        let assessment = outcome.as_ref().ok()?;
        assessment.scores.first().copied().filter(|score| !score.is_nan())
    };
    rows.into_iter().reduce(|best, row| match (score(&best.outcome), score(&row.outcome)) {
        (Some(a), Some(b)) if b > a => row,
        (None, Some(_)) => row,
        _ => best,
    })
}
