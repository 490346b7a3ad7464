//! `attn-fiqa crop`: aligned crops of all faces, with a manifest.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use attn_fiqa::detect::FaceBox;
use attn_fiqa::engine::Precision;
use attn_fiqa::pipeline::{CropRow, FaceSource, crop_faces, main_face};
use attn_fiqa::threads::Threads;
use attn_fiqa_eval::files::stem;

use super::crop_folder::{CropFolder, crop_name};
use crate::args::{CropArgs, RunOptions};
use crate::exit::Exit;
use crate::interrupt;
use crate::journal::{Admit, RunFiles, RunLog};
use crate::log;
use crate::output::{self, BeforeRun, Columns, ListedImages, Record, RunRows, Sink, same_file};
use crate::summary::{Activity, Summary};

/// The column of the manifest that names the crops.
const FILE: &str = "file";

pub(crate) fn run(args: &CropArgs, run: &RunOptions) -> anyhow::Result<Exit> {
    args.input.refuse_as_output_folder(Some(&args.output))?;
    let threads = Threads::new(run.jobs)?;
    let options = args.faces.options(&args.input, &threads, Precision::F32)?;
    interrupt::enable_graceful_stop();
    // Detect unreadable inputs and unwritable outputs before any work.
    let sources = args.input.open()?;
    let existing = args.folder.existing();
    let about = [("instruction_set", threads.isa().name().to_owned())];
    let plan = args.shard.plan(run, &about, args.folder.overwrite);
    let mut manifest = output::open_manifest(&args.output, existing, Columns::of_crops(), &plan)?;
    let log = manifest.log().context("a manifest without a log: this is a bug")?;
    let before = BeforeRun::new(existing, log.started());
    let mut folder = CropFolder::new(&args.output, args.image_format, before);
    take_names(log, &mut folder)?;
    log.track_files(folder.files().clone())?;
    let admit = admit(args, before)?;
    let (mut manifest, images) = RunRows::start(manifest, sources, &plan, Some(admit))?;

    let mut of_image = Vec::new();
    let mut summary = Summary::of_images(Activity::Other("cropped"), &images);
    let stream = args.input.stream(run.batch);
    crop_faces(
        images,
        &threads,
        args.side.into(),
        &options,
        &stream,
        |row| row,
        |row| {
            if !args.keep_layout {
                return write(&mut folder, row, false, &mut summary, &mut manifest);
            }
            if row.is_first
                && let Some(row) = main_row(std::mem::take(&mut of_image))
            {
                write(&mut folder, row, true, &mut summary, &mut manifest)?;
            }
            of_image.push(row);
            Ok(())
        },
    )?;
    if let Some(row) = main_row(of_image) {
        write(&mut folder, row, true, &mut summary, &mut manifest)?;
    }
    if args.keep_layout {
        let lists = copy_lists(args.input.searched_folders(), &args.output, folder.files())?;
        log::note(format!("{lists} text lists copied"));
    }
    if let FaceSource::Landmarks(file) = &options.faces {
        log::note(format!("landmark file: {}", file.report()));
    }
    summary.refuse_empty()?;
    manifest.finish(&summary)?;
    Ok(summary.finish())
}

/// Reads the names assigned by an earlier run from the rows of the manifest.
fn take_names(log: &mut RunLog, folder: &mut CropFolder) -> anyhow::Result<()> {
    let file = Columns::of_crops().names().position(|name| name == FILE);
    let file = file.context("a manifest without files: this is a bug")?;
    log.replay(|_, _, rows| {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(rows);
        for row in reader.byte_records() {
            let row = row?;
            match row.get(file).filter(|name| !name.is_empty()) {
                Some(name) => folder.take(name),
                None => continue,
            }
        }
        Ok(())
    })
}

/// Excludes images whose first face was cropped before the run.
fn admit(args: &CropArgs, before: BeforeRun) -> anyhow::Result<Admit> {
    let (folder, format, keep_layout) = (args.output.clone(), args.image_format, args.keep_layout);
    let listed = ListedImages::read(&folder, FILE, before)?;
    Ok(Box::new(move |path, relative| {
        let stem = match keep_layout {
            true => layout_stem(relative),
            false => face_stem(relative, 0),
        };
        !(listed.contains(path) && before.keeps(&folder.join(crop_name(&stem, 1, format))))
    }))
}

/// The name of an image's main crop, without its extension.
fn layout_stem(relative: &Path) -> PathBuf {
    let unicode = relative.file_name().and_then(OsStr::to_str);
    match unicode {
        Some(name) => relative.with_file_name(stem(name)),
        None => relative.with_extension(""),
    }
}

/// The name of a face's crop, without its extension.
fn face_stem(relative: &Path, face: usize) -> PathBuf {
    let mut stem = relative.as_os_str().to_owned();
    stem.push(format!(".face-{face}"));
    PathBuf::from(stem)
}

/// The row of the main face among the rows of an image; without boxes the first one, whose eyes are
/// farthest apart.
fn main_row(mut rows: Vec<CropRow>) -> Option<CropRow> {
    let size = rows.first()?.size.unwrap_or_default();
    let boxes: Option<Vec<FaceBox>> = rows.iter().map(|row| row.face?.bounds).collect();
    let main = boxes.and_then(|boxes| main_face(&boxes, size)).unwrap_or(0);
    let mut row = rows.swap_remove(main);
    row.is_first = true;
    Some(row)
}

/// Copies the text lists below some folders to the same places below another; existing ones are
/// left as they are.
fn copy_lists<'f>(
    folders: impl Iterator<Item = &'f Path>,
    to: &Path,
    files: &RunFiles,
) -> anyhow::Result<usize> {
    let mut copied = 0;
    for root in folders {
        let mut to_open = vec![root.to_owned()];
        while let Some(folder) = to_open.pop() {
            for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
                let entry = entry?;
                let (path, kind) = (entry.path(), entry.file_type()?);
                if kind.is_dir() && !same_file(&path, to) {
                    to_open.push(path);
                } else if kind.is_file() && path.extension().is_some_and(|e| e == "txt") {
                    let target = to.join(path.strip_prefix(root).unwrap_or(&path));
                    if target.exists() {
                        continue;
                    }
                    let context = || format!("cannot copy '{}'", path.display());
                    fs::create_dir_all(target.parent().unwrap_or(to)).with_context(context)?;
                    fs::copy(&path, &target).with_context(context)?;
                    files.wrote(&target).with_context(context)?;
                    copied += 1;
                }
            }
        }
    }
    Ok(copied)
}

/// Writes the crop, if there is one, and the manifest row.
fn write(
    folder: &mut CropFolder,
    mut row: CropRow,
    keep_layout: bool,
    summary: &mut Summary,
    manifest: &mut RunRows<dyn Sink>,
) -> anyhow::Result<()> {
    let file = write_crop(folder, &mut row, keep_layout)?;
    summary.count_crop(&row);
    let is_first = row.is_first;
    manifest.next_row(is_first, summary)?.write(&Record::of_crop(row, file))
}

/// Writes the crop, if there is one; a refusal takes its place.
fn write_crop(
    folder: &mut CropFolder,
    row: &mut CropRow,
    keep_layout: bool,
) -> anyhow::Result<String> {
    let Ok(crop) = &row.crop else { return Ok(String::new()) };
    let written = if keep_layout {
        folder.write_once(&layout_stem(&row.relative), crop)?
    } else {
        folder.write(&face_stem(&row.relative, row.face.map_or(0, |face| face.index)), crop)?
    };
    match written {
        Ok(name) => Ok(name),
        Err(failure) => {
            row.crop = Err(failure);
            Ok(String::new())
        }
    }
}
