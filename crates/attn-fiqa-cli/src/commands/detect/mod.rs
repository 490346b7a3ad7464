//! `attn-fiqa detect`: finds faces, or measures how well a detector finds them.

mod draw;
mod evaluate;
mod truth;

use attn_fiqa::detect::Detector;
use attn_fiqa::engine::Precision;
use attn_fiqa::pipeline::{FacesRow, FindOptions, find_faces};
use attn_fiqa::status::{Failure, Status};
use attn_fiqa::threads::Threads;

use crate::args::{DetectArgs, FormatChoice, RunOptions};
use crate::exit::Exit;
use crate::interrupt;
use crate::journal::Images;
use crate::log;
use crate::output::{self, Columns, Record, RunPlan, RunRows};
use crate::summary::{Activity, Summary};

pub(crate) fn run(args: &DetectArgs, run: &RunOptions) -> anyhow::Result<Exit> {
    args.input.refuse_as_output(args.output.as_deref())?;
    args.input.refuse_as_output_folder(args.draw.as_deref())?;
    let threads = Threads::new(run.jobs)?;
    let detector = args.detector.open(&threads, Precision::F32)?;
    if args.evaluate {
        return evaluate::run(args, run, &threads, &detector);
    }
    let format = match args.format {
        Some(format) => format.into(),
        None => output::choose_format(None, args.output.as_deref())?,
    };
    let format = match format {
        FormatChoice::Table => FormatChoice::Csv,
        FormatChoice::Txt => anyhow::bail!(
            "the format txt holds scores, and nothing is scored here; use csv, jsonl or parquet"
        ),
        format => format,
    };
    interrupt::enable_graceful_stop();
    // Detect unreadable inputs and unwritable outputs before any work.
    let sources = args.input.open()?;
    let about = about(&threads);
    let plan = args.shard.plan(run, &about, args.folder.overwrite);
    let plan = RunPlan { rows_per_file: args.rows.rows_per_file, ..plan };
    let columns = Columns::of_faces().with_about(about);
    let sink = output::open(format, args.output.as_deref(), columns, &plan)?;
    let names = draw::DrawnNames::default();
    let admit = args.draw.as_ref().map(|_| names.admit());
    let (mut rows, images) = RunRows::start(sink, sources, &plan, admit)?;
    let drawing = args
        .draw
        .as_deref()
        .map(|folder| draw::Drawing::open(folder, args.folder.existing(), names, rows.log()));
    let mut drawing = drawing.transpose()?;
    let summary = find(args, run, images, &threads, &detector, |row, summary| {
        if let Some(drawing) = &mut drawing {
            drawing.draw(&row, summary)?;
        }
        write_rows(row, |record, is_first| rows.next_row(is_first, summary)?.write(record))
    })?;
    rows.finish(&summary)?;
    if let Some(drawing) = drawing {
        drawing.finish();
    }
    Ok(summary.finish())
}

/// How the rows were made, for the output's metadata.
fn about(threads: &Threads) -> Vec<(&'static str, String)> {
    vec![
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("instruction_set", threads.isa().name().to_owned()),
    ]
}

/// Runs every image through the detector; `sink` gets each row in order, after it has been counted.
fn find(
    args: &DetectArgs,
    run: &RunOptions,
    images: Images,
    threads: &Threads,
    detector: &Detector,
    mut sink: impl FnMut(FacesRow, &mut Summary) -> anyhow::Result<()>,
) -> anyhow::Result<Summary> {
    let mut summary = Summary::of_images(Activity::Detect, &images);
    log::debug(format!(
        "detector {}: outputs as {}'s, {} landmarks",
        detector.name(),
        detector.format_name(),
        if detector.refines_landmarks() { "refined" } else { "its own" }
    ));
    let keep_photo = args.draw.is_some() || args.reference.is_some();
    let options = FindOptions {
        limits: args.input.limits(),
        channels: args.input.channels(),
        choice: args.detector.choice(),
        keep_photo,
    };
    let stream = args.input.stream(run.batch);
    find_faces(images, threads, detector, &options, &stream, |row| {
        summary.count_faces(&row);
        sink(row, &mut summary)
    })?;
    summary.refuse_empty()?;
    Ok(summary)
}

/// Calls `write` with each row of an image, and whether it is the first.
fn write_rows(
    row: FacesRow,
    mut write: impl FnMut(&Record, bool) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let FacesRow { path, notes, faces, .. } = row;
    match faces {
        Err(failure) => write(&Record::without_face(path, failure), true),
        Ok(faces) if faces.is_empty() => {
            let mut message = "no face was found in the image".to_owned();
            for limit in notes.iter().filter(|note| note.limits_faces()) {
                message = format!("{message}; {limit}");
            }
            let failure = Failure::new(Status::NoFace, message);
            write(&Record::without_face(path, failure), true)
        }
        Ok(faces) => faces.iter().enumerate().try_for_each(|(index, face)| {
            write(&Record::of_face(path.clone(), index, face, &notes), index == 0)
        }),
    }
}
