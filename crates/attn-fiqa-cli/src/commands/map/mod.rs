//! `attn-fiqa map`: which parts of each face the score comes from.
//!
//! Colours need the range of the whole set, so images are scored once and stored
//! in a `spool` on disk; `images` then draws them one by one and
//! `sheet` puts a choice of them on one page. Memory stays flat.

mod images;
mod manifest;
mod photos;
mod sheet;
mod spool;
mod style;

use std::path::{Path, PathBuf};

use anyhow::Context;
use attn_fiqa::engine::Request;
use attn_fiqa::pipeline::{CropOrigin, FaceOptions, Row, ScoreOptions};
use attn_fiqa::status::Status;

use super::session::Session;
use crate::args::{AttentionChoice, MapArgs, RunOptions};
use crate::exit::Exit;
use crate::interrupt;
use crate::summary::Summary;
use manifest::{Manifest, with_ending};
use photos::Photos;
use spool::{Spool, Spooled};
use style::{MapStyles, SetRange};

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

    interrupt::end_early();
    // Whatever cannot be read or written is found out before any work.
    let sources = args.input.open()?;
    let mut manifest = args.output.as_deref().map(Manifest::create).transpose()?;
    let mut spool = Spool::create(&spool_folder(args))?;
    let mut range = SetRange::default();
    let jobs = run.jobs.map_or(0, std::num::NonZeroUsize::get);
    let photos = with_photos.then(|| {
        let isa = session.engine.threads().isa();
        Photos::create(&spool_folder(args), args.photo_side as usize, jobs, isa)
    });
    let mut photos = photos.transpose()?;
    let summary = session.run(sources, &pipeline, &args.input, run, |row, summary| {
        let file_stem = match &mut manifest {
            Some(manifest) => {
                let photo = |row: &Row| match &mut photos {
                    Some(photos) => photos.add(row, spool.len()),
                    None => Ok(None),
                };
                manifest.enter(&row, args.grid, photo, summary)?
            }
            None => Some(file_stem(&row)),
        };
        let Some(image) = file_stem.and_then(|stem| spooled(row, stem)) else { return Ok(()) };
        range.include(&image.grids);
        spool.push(&image)
    })?;

    let styles = MapStyles::new(args, range);
    if let (Some(folder), Some(manifest)) = (&args.output, manifest) {
        let first_head = method.head().unwrap_or(0);
        images::write(&mut spool, folder, &styles, args.grid, first_head, jobs)?;
        if let Some(photos) = photos {
            photos.write(&mut spool, folder, &styles)?;
        }
        manifest.finish()?;
    }
    if let Some(file) = &args.sheet {
        let title = format!("{}, {method}", session.model_name);
        sheet::write(&mut spool, file, &styles, args, &title)?;
    }
    Ok(summary.finish())
}

/// What is drawn later; nothing of an image that failed.
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

/// The name of a face's files without their endings: the image's, and after it
/// the number of the face if it was cropped out of the image.
fn file_stem(row: &Row) -> PathBuf {
    match row.face {
        Some(face) if face.crop_origin != CropOrigin::Aligned => {
            with_ending(&row.relative, &format!("face-{}", face.index))
        }
        _ => row.relative.clone(),
    }
}

/// Which needs room for the images anyway.
fn spool_folder(args: &MapArgs) -> PathBuf {
    let beside = |file: &Path| file.parent().map(Path::to_owned);
    let folder = args.output.clone().or_else(|| args.sheet.as_deref().and_then(beside));
    folder.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| PathBuf::from("."))
}

/// Writes a whole file at once, with its folder.
fn write_file(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(path, bytes))
        .with_context(|| format!("cannot write '{}'", path.display()))
}

/// An image whose files cannot be written; it was counted as scored before.
fn refuse(summary: &mut Summary, row: &Row) -> (Status, String) {
    let message = "another image of this run has the same name inside its input, and one's \
                   files would overwrite the other's; map the inputs into folders of their own";
    summary.retract(row, Status::NotWritten, message);
    (Status::NotWritten, message.to_owned())
}
