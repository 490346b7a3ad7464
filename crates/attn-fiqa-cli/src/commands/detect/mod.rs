//! `attn-fiqa detect`: the faces themselves, or how well a detector finds them.

mod draw;
mod evaluate;
mod truth;

use attn_fiqa::detect::Detector;
use attn_fiqa::pipeline::{FacesRow, FindOptions, find_faces};
use attn_fiqa::source::Sources;
use attn_fiqa::status::{Failure, Status};
use attn_fiqa::threads::Threads;

use crate::args::{DetectArgs, FormatChoice, RunOptions};
use crate::exit::Exit;
use crate::interrupt;
use crate::log;
use crate::output::{self, Columns, Record, Sink};
use crate::summary::{Activity, Summary};

pub(crate) fn run(args: &DetectArgs, run: &RunOptions) -> anyhow::Result<Exit> {
    args.input.refuse_as_output(args.output.as_deref())?;
    args.input.refuse_as_output_folder(args.draw.as_deref())?;
    let threads = Threads::new(run.jobs)?;
    let detector = args.detector.open(&threads)?;
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
    interrupt::end_early();
    // Whatever cannot be read or written is found out before any work.
    let sources = args.input.open()?;
    let mut sink = output::open(format, args.output.as_deref(), Columns::of_faces())?;
    let mut drawing = args.draw.as_deref().map(draw::Drawing::new).transpose()?;
    let summary = find(args, run, sources, &threads, &detector, |row, summary| {
        if let Some(drawing) = &mut drawing {
            drawing.draw(&row, summary)?;
        }
        write_rows(row, sink.as_mut())
    })?;
    sink.finish()?;
    Ok(summary.finish())
}

/// Sends every source through the detector; `sink` gets each row in order, after
/// it was counted.
fn find(
    args: &DetectArgs,
    run: &RunOptions,
    sources: Sources,
    threads: &Threads,
    detector: &Detector,
    mut sink: impl FnMut(FacesRow, &mut Summary) -> anyhow::Result<()>,
) -> anyhow::Result<Summary> {
    let mut summary = Summary::start(Activity::Detect, sources.progress());
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
    find_faces(interrupt::until_asked(sources), threads, detector, &options, &stream, |row| {
        summary.count_faces(&row);
        sink(row, &mut summary)
    })?;
    summary.refuse_empty()?;
    Ok(summary)
}

fn write_rows(row: FacesRow, sink: &mut dyn Sink) -> anyhow::Result<()> {
    let FacesRow { path, notes, faces, .. } = row;
    match faces {
        Err(failure) => sink.write(&Record::without_face(path, failure)),
        Ok(faces) if faces.is_empty() => {
            let mut message = "no face was found in the image".to_owned();
            for limit in notes.iter().filter(|note| note.limits_faces()) {
                message = format!("{message}; {limit}");
            }
            sink.write(&Record::without_face(path, Failure::new(Status::NoFace, message)))
        }
        Ok(faces) => faces.iter().enumerate().try_for_each(|(index, face)| {
            sink.write(&Record::of_face(path.clone(), index, face, &notes))
        }),
    }
}
