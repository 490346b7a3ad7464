//! `attn-fiqa crop`: aligned crops of all faces, with a manifest.

use std::path::PathBuf;

use attn_fiqa::align::Landmarks;
use attn_fiqa::pipeline::{CropRow, FaceSource, cut_faces};
use attn_fiqa::status::Status;
use attn_fiqa::threads::Threads;

use super::crop_folder::CropFolder;
use crate::args::CropArgs;
use crate::exit::Exit;
use crate::hint::message_of;
use crate::interrupt::{self, until_asked};
use crate::output::{NewFile, describe_notes};
use crate::report::Report;

/// The columns between a face's file and its landmarks.
const ABOUT_FACE: [&str; 9] = [
    "way",
    "box_x",
    "box_y",
    "box_width",
    "box_height",
    "confidence",
    "eye_distance",
    "roll",
    "yaw",
];

pub(crate) fn run(args: &CropArgs) -> anyhow::Result<Exit> {
    if args.faces.wants_best() {
        anyhow::bail!(
            "--best needs scores, and nothing is scored here; 'best --crops DIR' does it"
        );
    }
    let threads = Threads::new(args.jobs)?;
    let options = args.faces.options(&args.input, &threads)?;
    interrupt::end_early();
    // Whatever cannot be read or written is found out before any work.
    let sources = args.input.open()?;
    let manifest = args.output.join("manifest.csv");
    if manifest.exists() {
        anyhow::bail!(
            "'{}' is there already, and crops are not written over; name another folder",
            manifest.display()
        );
    }
    let mut folder = CropFolder::create(&args.output, args.format)?;
    let mut manifest = csv::Writer::from_writer(NewFile::create(&manifest)?);
    let points =
        Landmarks::NAMES.iter().flat_map(|name| ["x", "y"].map(|axis| format!("{name}_{axis}")));
    let heading = ["path", "face", "status", "file"].iter().chain(&ABOUT_FACE);
    let heading = heading.map(|&name| name.to_owned()).chain(points);
    manifest.write_record(heading.chain(["message".to_owned()]))?;

    let tally = sources.found_so_far();
    let mut report = Report::start_other(args.quiet, args.verbose, "cropped", tally);
    let stream = args.input.stream(args.batch);
    cut_faces(
        until_asked(sources),
        &threads,
        args.side.into(),
        &options,
        &stream,
        |row| row,
        |mut row| {
            let file = write(&mut folder, &mut row)?;
            report.count_crop(&row);
            manifest.write_record(cells(&row, file)).map_err(anyhow::Error::from)
        },
    )?;
    if let FaceSource::Landmarks(file) = &options.faces {
        report.say(&format!("note: landmark file: {}", file.report()));
    }
    if report.is_empty() {
        anyhow::bail!("the inputs hold no image");
    }
    manifest.into_inner().map_err(|error| error.into_error())?.finish_run()?;
    Ok(report.finish())
}

/// Writes the crop, if there is one, and puts a refusal into its place.
fn write(folder: &mut CropFolder, row: &mut CropRow) -> anyhow::Result<String> {
    let Ok(crop) = &row.crop else { return Ok(String::new()) };
    let mut stem = row.relative.as_os_str().to_owned();
    stem.push(format!(".face-{}", row.face.map_or(0, |face| face.index)));
    match folder.write(&PathBuf::from(stem), crop)? {
        Ok(name) => Ok(name),
        Err(failure) => {
            row.crop = Err(failure);
            Ok(String::new())
        }
    }
}

/// A row of the manifest; it can be read as a landmark file.
fn cells(row: &CropRow, file: String) -> Vec<String> {
    fn text(value: Option<impl ToString>) -> String {
        value.map(|value| value.to_string()).unwrap_or_default()
    }
    let (status, message) = match &row.crop {
        Ok(_) => (Status::Ok, describe_notes(&row.notes)),
        Err(failure) => (failure.status, message_of(failure)),
    };
    let bounds = row.face.and_then(|face| face.bounds);
    let landmarks = row.face.and_then(|face| face.landmarks);
    let pose = landmarks.map(|landmarks| landmarks.pose());
    let mut cells = vec![
        row.path.clone(),
        text(row.face.map(|face| face.index)),
        status.to_string(),
        file,
        text(row.face.map(|face| face.way)),
        text(bounds.map(|bounds| bounds.x)),
        text(bounds.map(|bounds| bounds.y)),
        text(bounds.map(|bounds| bounds.width)),
        text(bounds.map(|bounds| bounds.height)),
        text(row.face.and_then(|face| face.confidence)),
        text(landmarks.map(|landmarks| landmarks.eye_distance())),
        text(pose.map(|pose| pose.roll)),
        text(pose.map(|pose| pose.yaw)),
    ];
    let points = landmarks.map(|landmarks| landmarks.0);
    cells.extend((0..10).map(|index| text(points.map(|points| points[index / 2][index % 2]))));
    cells.push(message);
    cells
}
