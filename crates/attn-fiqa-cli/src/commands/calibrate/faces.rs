//! Which faces a calibration uses, and their pixels.

use std::collections::{BinaryHeap, HashSet};
use std::convert::Infallible;

use attn_fiqa::crop::Fit as CropFit;
use attn_fiqa::engine::Engine;
use attn_fiqa::pipeline::{CropRow, FaceOptions, FaceSource, StreamOptions, crop_faces};
use attn_fiqa::source::{Input, SourceOptions, Sources};
use attn_fiqa_eval::calibrate::Face;
use attn_fiqa_eval::degrade::seed_for;

use crate::args::CalibrateArgs;
use crate::log;
use crate::summary::Summary;

pub(super) fn open(args: &CalibrateArgs) -> anyhow::Result<Sources> {
    let options = SourceOptions { recursive: true, ..SourceOptions::default() };
    Ok(Sources::open(&[Input::Path(args.faces().to_owned())], &options)?)
}

/// Chooses images by position: those whose names have the lowest hashes, so that the choice does
/// not depend on the order of the files.
pub(super) fn choose(args: &CalibrateArgs) -> anyhow::Result<HashSet<usize>> {
    let mut lowest = BinaryHeap::new();
    for (place, item) in open(args)?.enumerate() {
        lowest.push((seed_for(args.seed, &item.relative.to_string_lossy()), place));
        if lowest.len() > args.sample {
            lowest.pop();
        }
    }
    Ok(lowest.into_iter().map(|(_, place)| place).collect())
}

/// Decodes the chosen faces; an image that cannot be a face counts as a failure.
pub(super) fn load(
    engine: &Engine,
    sources: Sources,
    chosen: &HashSet<usize>,
    summary: &mut Summary,
) -> Vec<Face> {
    let items = sources.enumerate().filter(|(place, _)| chosen.contains(place));
    let aligned = FaceOptions::new(FaceSource::Aligned(CropFit::Exact));
    let (side, stream) = (engine.config().image_size, StreamOptions::default());
    let items = items.map(|(_, item)| item);
    let mut faces = Vec::new();
    let keep = |row: CropRow| {
        match row.crop {
            Ok(crop) => {
                if !row.notes.is_empty() {
                    let notes = crate::output::describe_notes(&row.notes);
                    log::debug(format!("{}: {notes}", row.path));
                }
                faces.push(Face { name: row.relative.to_string_lossy().into_owned(), crop });
            }
            Err(failure) => summary.count_image(&row.path, &[], Some(&failure)),
        }
        Ok(())
    };
    let outcome: Result<(), Infallible> =
        crop_faces(items, engine.threads(), side, &aligned, &stream, |row| row, keep);
    match outcome {
        Ok(()) => faces,
    }
}
