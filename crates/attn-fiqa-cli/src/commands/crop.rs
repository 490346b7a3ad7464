//! `attn-fiqa crop`: aligned crops of all faces, with a manifest.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use attn_fiqa::detect::FaceBox;
use attn_fiqa::pipeline::{CropRow, FaceSource, crop_faces, main_face};
use attn_fiqa::threads::Threads;
use attn_fiqa_eval::files::stem;

use super::crop_folder::CropFolder;
use crate::args::{CropArgs, FormatChoice, RunOptions};
use crate::exit::Exit;
use crate::interrupt::{self, until_asked};
use crate::log;
use crate::output::{self, Columns, Record, Sink, same_file};
use crate::summary::{Activity, Summary};

pub(crate) fn run(args: &CropArgs, run: &RunOptions) -> anyhow::Result<Exit> {
    args.input.refuse_as_output_folder(Some(&args.output))?;
    let threads = Threads::new(run.jobs)?;
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
    let mut folder = CropFolder::create(&args.output, args.image_format)?;
    let mut manifest = output::open(FormatChoice::Csv, Some(&manifest), Columns::of_crops())?;

    let mut of_image = Vec::new();
    let tally = sources.progress();
    let mut summary = Summary::start(Activity::Other("cropped"), tally);
    let stream = args.input.stream(run.batch);
    crop_faces(
        until_asked(sources),
        &threads,
        args.side.into(),
        &options,
        &stream,
        |row| row,
        |row| {
            if !args.keep_layout {
                return write(&mut folder, row, false, &mut summary, manifest.as_mut());
            }
            if row.is_first
                && let Some(row) = main_row(std::mem::take(&mut of_image))
            {
                write(&mut folder, row, true, &mut summary, manifest.as_mut())?;
            }
            of_image.push(row);
            Ok(())
        },
    )?;
    if let Some(row) = main_row(of_image) {
        write(&mut folder, row, true, &mut summary, manifest.as_mut())?;
    }
    if args.keep_layout {
        let lists = copy_lists(args.input.searched_folders(), &args.output)?;
        log::note(format!("{lists} text lists copied"));
    }
    if let FaceSource::Landmarks(file) = &options.faces {
        log::note(format!("landmark file: {}", file.report()));
    }
    summary.refuse_empty()?;
    manifest.finish()?;
    Ok(summary.finish())
}

/// Of the rows of one image that of its main face; without boxes the first, whose eyes are
/// farthest apart.
fn main_row(mut rows: Vec<CropRow>) -> Option<CropRow> {
    let size = rows.first()?.size.unwrap_or_default();
    let boxes: Option<Vec<FaceBox>> = rows.iter().map(|row| row.face?.bounds).collect();
    let main = boxes.and_then(|boxes| main_face(&boxes, size)).unwrap_or(0);
    let mut row = rows.swap_remove(main);
    row.is_first = true;
    Some(row)
}

/// Copies the text lists below some folders to the same places below another; one that is
/// there already stays as it is.
fn copy_lists<'f>(folders: impl Iterator<Item = &'f Path>, to: &Path) -> anyhow::Result<usize> {
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
                    copied += 1;
                }
            }
        }
    }
    Ok(copied)
}

/// Writes the crop, if there is one, and the row of the manifest.
fn write(
    folder: &mut CropFolder,
    mut row: CropRow,
    keep_layout: bool,
    summary: &mut Summary,
    manifest: &mut dyn Sink,
) -> anyhow::Result<()> {
    let file = write_crop(folder, &mut row, keep_layout)?;
    summary.count_crop(&row);
    manifest.write(&Record::of_crop(row, file))
}

/// Writes the crop, if there is one, and puts a refusal into its place.
fn write_crop(
    folder: &mut CropFolder,
    row: &mut CropRow,
    keep_layout: bool,
) -> anyhow::Result<String> {
    let Ok(crop) = &row.crop else { return Ok(String::new()) };
    let written = if keep_layout {
        let name = row.relative.file_name().unwrap_or_default().to_string_lossy();
        folder.write_once(&row.relative.with_file_name(stem(&name)), crop)?
    } else {
        let mut stem = row.relative.as_os_str().to_owned();
        stem.push(format!(".face-{}", row.face.map_or(0, |face| face.index)));
        folder.write(&PathBuf::from(stem), crop)?
    };
    match written {
        Ok(name) => Ok(name),
        Err(failure) => {
            row.crop = Err(failure);
            Ok(String::new())
        }
    }
}
