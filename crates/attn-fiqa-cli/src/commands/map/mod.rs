//! `attn-fiqa map`: shows which parts of each face the score comes from.
//!
//! Colours need the range of the whole set, so images are scored once and stored in the run's log;
//! `images` then draws them one by one, and `sheet` puts a selection of them on one page. Memory
//! use stays constant. A killed run continues after the images in its log; drawing starts again.

mod images;
mod manifest;
mod output;
mod photos;
mod section;
mod sheet;
mod spool;
mod style;

use std::path::PathBuf;

use attn_fiqa::engine::Request;
use attn_fiqa::pipeline::{CropOrigin, FaceOptions, Row, ScoreOptions};

use super::session::Session;
use crate::args::{AttentionChoice, MapArgs, RunOptions};
use crate::exit::Exit;
use crate::interrupt;
use crate::output::RunRows;
use manifest::with_ending;
use output::{Drawing, MapOutput};
use photos::Photos;
use spool::Spooled;

pub(crate) fn run(args: &MapArgs, run: &RunOptions) -> anyhow::Result<Exit> {
    style::check(args.range)?;
    args.check_sheet()?;
    args.input.refuse_as_output(args.sheet.as_deref())?;
    args.input.refuse_as_output_folder(args.output.as_deref())?;
    let session = Session::open(&args.model, run, args.method.as_slice(), false)?;
    let method = args.method.unwrap_or_else(|| session.engine.default_method());
    let request = Request {
        received: args.attention == AttentionChoice::Received,
        paid: args.attention == AttentionChoice::Paid,
        per_head: args.per_head,
        ..Request::new(method)
    };
    let with_photos = args.output.is_some() && !args.no_photo && !args.faces.aligned;
    let faces = session.faces(&args.input, &args.faces)?;
    let faces = FaceOptions { keep_photo: with_photos, ..faces };
    let options = ScoreOptions { best_only: args.best.best, ..request.into() };
    let pipeline = session.pipeline(faces, options)?;

    interrupt::enable_graceful_stop();
    // Detect unreadable inputs and unwritable outputs before any work.
    let sources = args.input.open()?;
    let plan = args.plan(run, &session.about());
    let jobs = run.jobs.map_or(0, std::num::NonZeroUsize::get);
    let photos = with_photos
        .then(|| Photos::new(args.photo_side as usize, jobs, session.engine.threads().isa()));
    let drawing = Drawing {
        args,
        jobs,
        first_head: method.head().unwrap_or(0),
        title: format!("{}, {method}", session.model_name),
    };
    let output = MapOutput::open(drawing, photos.transpose()?, &plan)?;
    let admit = output.admit()?;
    let (mut rows, images) = RunRows::start(Box::new(output), sources, &plan, admit)?;
    let summary = session.run(images, &pipeline, &args.input, run, |row, summary| {
        rows.next_row(row.is_first, summary)?.write(row, summary)
    })?;
    rows.finish(&summary)?;
    Ok(summary.finish())
}

/// What is drawn later; `None` for a failed image.
fn spooled(row: Row, file_stem: PathBuf) -> Option<Spooled> {
    let Row { path, crop, outcome, .. } = row;
    let assessment = outcome.ok()?;
    let maps = assessment.received.or(assessment.paid)?;
    let grids = std::iter::once(&maps.mean).chain(&maps.per_head);
    Some(Spooled {
        path,
        file_stem,
        score: *assessment.scores.first()?,
        crop: crop?,
        grids: grids.map(|map| map.values().to_vec()).collect(),
    })
}

/// The common stem of a face's files: the name of the image, followed by the number of the face if
/// it was cropped out of the image.
fn file_stem(row: &Row) -> PathBuf {
    match row.face {
        Some(face) if face.crop_origin != CropOrigin::Aligned => {
            with_ending(&row.relative, &format!("face-{}", face.index))
        }
        _ => row.relative.clone(),
    }
}
