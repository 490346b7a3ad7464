//! `attn-fiqa detect`: the faces themselves, or how well a detector finds them.

mod draw;
mod evaluate;
mod truth;

use attn_fiqa::detect::Detector;
use attn_fiqa::pipeline::{FacesRow, FindOptions, find_faces};
use attn_fiqa::source::Sources;
use attn_fiqa::status::{Failure, Status};
use attn_fiqa::threads::Threads;

use crate::args::{DetectArgs, FormatChoice};
use crate::exit::Exit;
use crate::interrupt;
use crate::output::{self, Columns, Record, Sink};
use crate::report::Report;

pub(crate) fn run(args: &DetectArgs) -> anyhow::Result<Exit> {
    args.input.refuse_as_output(args.output.as_deref())?;
    let threads = Threads::new(args.jobs)?;
    let detector = args.detector.open(&threads)?;
    if args.evaluate {
        return evaluate::run(args, &threads, &detector);
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
    let report = find(args, sources, &threads, &detector, |row, report| {
        if let Some(drawing) = &mut drawing {
            drawing.draw(&row, report)?;
        }
        write_rows(row, sink.as_mut())
    })?;
    sink.finish()?;
    Ok(report.finish())
}

/// Sends every source through the detector; `sink` gets each row in order, after
/// it was counted.
fn find(
    args: &DetectArgs,
    sources: Sources,
    threads: &Threads,
    detector: &Detector,
    mut sink: impl FnMut(FacesRow, &mut Report) -> anyhow::Result<()>,
) -> anyhow::Result<Report> {
    let mut report = Report::start_finding(args.quiet, args.verbose, sources.progress());
    report.say_in_detail(&format!(
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
    let stream = args.input.stream(args.batch);
    find_faces(interrupt::until_asked(sources), threads, detector, &options, &stream, |row| {
        report.count_faces(&row);
        sink(row, &mut report)
    })?;
    if report.is_empty() {
        anyhow::bail!("the inputs hold no image");
    }
    Ok(report)
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
