//! Embeds every face with any recogniser.

use rayon::prelude::*;

use super::driver::drive;
use super::memory::Budget;
use super::prepare::{Given, Prepared, PreparedFace, prepare};
use super::{FaceOptions, Row, ScoredFace, ScoredImage, StreamOptions};
use crate::crop::Crop;
use crate::engine::Assessment;
use crate::input::SourceItem;
use crate::status::Failure;
use crate::threads::Threads;

/// Runs decoding, detection and `embed`, and passes the rows to `sink` in the order of the items.
/// `side` is the size of the crops. `embed` is called on `threads`, for several crops at once.
///
/// # Examples
///
/// An ONNX recogniser on aligned faces:
///
/// ```no_run
/// use attn_fiqa::crop::Fit;
/// use attn_fiqa::engine::Assessment;
/// use attn_fiqa::onnx::OnnxModel;
/// use attn_fiqa::pipeline::{FaceOptions, FaceSource, StreamOptions, embed_faces};
/// use attn_fiqa::recognise::{Recogniser, RecogniserPreset};
/// use attn_fiqa::source::{Input, SourceOptions, Sources};
/// use attn_fiqa::threads::Threads;
///
/// let threads = Threads::new(None)?;
/// let model = OnnxModel::open("arcface.onnx".as_ref())?;
/// let network = Recogniser::new(model, Some(RecogniserPreset::ArcFace.spec()), &threads)?;
/// let faces = FaceOptions::new(FaceSource::Aligned(Fit::Exact));
/// let crops = Sources::open(&[Input::Path("crops".into())], &SourceOptions::default())?;
/// let (side, stream) = (network.side(), StreamOptions::default());
/// embed_faces(
///     crops,
///     &threads,
///     side,
///     &faces,
///     &stream,
///     |crop| {
///         let mut assessment = Assessment::default();
///         assessment.embedding = Some(network.embed(crop)?);
///         Ok(assessment)
///     },
///     |row| Ok::<(), std::io::Error>(println!("{}", row.path)),
/// )?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Errors of `sink`: reading then stops and the remaining images are dropped.
pub fn embed_faces<E>(
    items: impl Iterator<Item = SourceItem> + Send,
    threads: &Threads,
    side: usize,
    options: &FaceOptions,
    stream: &StreamOptions,
    embed: impl Fn(&Crop) -> Result<Assessment, Failure> + Send + Sync,
    mut sink: impl FnMut(Row) -> Result<(), E>,
) -> Result<(), E> {
    let budget = Budget::new(stream, options.limits, options.keep_photo);
    let budget = budget.with_detection(&options.faces);
    drive(
        items,
        threads,
        stream,
        &budget,
        |SourceItem { path, relative, image }| {
            let prepared = prepare(image, Given::Path(&path), side, options, |_, _| ());
            (path, relative, prepared)
        },
        |batch| {
            let images = batch.into_par_iter();
            let images = images
                .map(|(path, relative, prepared)| (path, relative, embedded(prepared, &embed)));
            images.collect()
        },
        |(path, relative, image)| {
            Row::of_image(&path, &relative, image).into_iter().try_for_each(&mut sink)
        },
    )
}

fn embedded(
    prepared: Prepared,
    embed: &(impl Fn(&Crop) -> Result<Assessment, Failure> + Sync),
) -> ScoredImage {
    let Prepared { size, notes, photo, faces_found, faces } = prepared;
    let faces = faces.map(|faces| {
        let faces = faces.into_par_iter().map(|PreparedFace { info, crop, .. }| {
            let outcome = crop.as_ref().map_err(Clone::clone).and_then(embed);
            ScoredFace { info, crop: crop.ok(), outcome, jitter_std: None, components: None }
        });
        faces.collect()
    });
    ScoredImage { size, notes, photo, faces_found, faces }
}
