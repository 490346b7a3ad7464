//! The images of a map run: written to the log one by one, and drawn from it.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, bail};
use attn_fiqa::pipeline::Row;

use super::manifest::{Manifest, OVERLAY, with_ending};
use super::photos::Photos;
use super::section::{Section, for_each_section, write_section};
use super::spool::Spool;
use super::style::{MapStyles, SetRange};
use super::{file_stem, images, sheet, spooled};
use crate::args::MapArgs;
use crate::journal::{Admit, DoneImage, RunFiles, RunLog, RunPaths};
use crate::output::{
    BeforeRun, Existing, ListedImages, MANIFEST, NewFile, RunOutput, RunPlan, open_folder,
};
use crate::summary::Summary;

/// What is drawn for the images.
pub(super) struct Drawing<'a> {
    pub(super) args: &'a MapArgs,
    pub(super) jobs: usize,
    /// The head of the first per-head grid.
    pub(super) first_head: usize,
    /// The title of the sheet.
    pub(super) title: String,
}

pub(super) struct MapOutput<'a> {
    drawing: Drawing<'a>,
    log: RunLog,
    before: BeforeRun,
    manifest: Option<Manifest>,
    photos: Option<Photos>,
    spool: Spool,
    range: SetRange,
}

impl<'a> MapOutput<'a> {
    /// Starts a run, or continues it after the images in its log.
    pub(super) fn open(
        drawing: Drawing<'a>,
        photos: Option<Photos>,
        plan: &RunPlan,
    ) -> anyhow::Result<Self> {
        let args = drawing.args;
        let existing = args.folder.existing();
        let place = match (&args.output, &args.sheet) {
            (Some(folder), _) => {
                let place = RunPaths::beside(&folder.join(MANIFEST));
                open_folder(folder, existing, Some(&place.journal))?;
                place
            }
            (None, Some(sheet)) => {
                if existing == Existing::Skip {
                    bail!("--skip-existing is for a folder of files: name one with --output");
                }
                // Detect unwritable outputs before any work.
                NewFile::create(sheet)?;
                RunPaths::beside(sheet)
            }
            (None, None) => bail!("neither a folder nor a sheet: this is a bug"),
        };
        if existing == Existing::Skip {
            check_heading(&place)?;
        }
        let mut log = RunLog::open(place, &plan.fingerprint, plan.overwrite)?;
        if existing == Existing::Skip {
            keep_manifest(&mut log)?;
        }
        let before = BeforeRun::new(existing, log.started());
        let manifest =
            args.output.as_deref().map(|folder| Manifest::new(folder, args.grid, before));
        let (spool, range) = (Spool::default(), SetRange::default());
        let mut output = Self { drawing, log, before, manifest, photos, spool, range };
        output.replay()?;
        Ok(output)
    }

    /// Reads everything in the log.
    fn replay(&mut self) -> anyhow::Result<()> {
        let Self { log, manifest, photos, spool, range, .. } = self;
        log.replay(|_, start, bytes| {
            for_each_section(start, bytes, |section, at, own| {
                match (section, &mut *photos) {
                    (Section::Image, _) => {
                        let image = spool.found(at, own)?;
                        range.include(&image.grids);
                        if let Some(manifest) = manifest {
                            manifest.take(&image.file_stem);
                        }
                    }
                    (Section::Photo, Some(photos)) => photos.found_photo(at, own)?,
                    (Section::Face, Some(photos)) => photos.found_face(own)?,
                    (Section::Row | Section::Photo | Section::Face, _) => {}
                }
                Ok(())
            })
        })
    }

    /// Excludes images whose files existed before the run.
    pub(super) fn admit(&self) -> anyhow::Result<Option<Admit>> {
        let Some(folder) = self.drawing.args.output.clone() else { return Ok(None) };
        let before = self.before;
        let listed = ListedImages::read(&folder, "overlay", before)?;
        Ok(Some(Box::new(move |path, relative| {
            let files = [relative.to_owned(), with_ending(relative, "face-0")];
            let kept = |stem: &Path| before.keeps(&folder.join(with_ending(stem, OVERLAY)));
            !(listed.contains(path) && files.iter().any(|stem| kept(stem)))
        })))
    }

    /// Stores an image to be drawn later.
    pub(super) fn write(&mut self, row: Row, summary: &mut Summary) -> anyhow::Result<()> {
        let Self { log, manifest, photos, spool, range, .. } = self;
        let stem = match manifest {
            None => Some(file_stem(&row)),
            Some(manifest) => {
                let number = spool.len();
                let entry = manifest.enter(
                    &row,
                    |row| match photos {
                        Some(photos) => photos.add(log, row, number),
                        None => Ok(None),
                    },
                    summary,
                )?;
                write_section(log, Section::Row, &entry.row)?;
                entry.stem
            }
        };
        let Some(image) = stem.and_then(|stem| spooled(row, stem)) else { return Ok(()) };
        range.include(&image.grids);
        spool.push(log, &image)
    }

    /// Writes the manifest from before the run, if its rows stay, followed by the rows in the log.
    fn write_manifest(&mut self) -> anyhow::Result<()> {
        let path = self.log.place().output.clone();
        let mut file = NewFile::create(&path)?;
        if !self.log.read_heading(&mut file)? {
            file.write_all(&Manifest::heading()?)?;
        }
        self.log.replay(|_, start, bytes| {
            for_each_section(start, bytes, |section, _, own| match section {
                Section::Row => Ok(file.write_all(own)?),
                Section::Image | Section::Photo | Section::Face => Ok(()),
            })
        })?;
        file.finish()
    }
}

impl RunOutput for MapOutput<'_> {
    fn end_image(&mut self, image: &DoneImage) -> anyhow::Result<()> {
        self.log.end_image(image)
    }

    fn log(&mut self) -> Option<&mut RunLog> {
        Some(&mut self.log)
    }

    fn finish(mut self: Box<Self>, total: Option<u64>) -> anyhow::Result<()> {
        let Some(total) = total else { return self.log.leave() };
        let Drawing { args, jobs, first_head, .. } = self.drawing;
        let styles = MapStyles::new(args, std::mem::take(&mut self.range));
        if let Some(folder) = &args.output {
            let painted = RunFiles::new(folder);
            let (log, spool) = (&mut self.log, &self.spool);
            images::write(log, spool, (folder, &painted), &styles, args.grid, first_head, jobs)?;
            if let Some(photos) = self.photos.take() {
                photos.write(log, spool, (folder, &painted), &styles)?;
            }
            // Without the journal, nothing would draw them again.
            painted.sync().with_context(|| format!("cannot write into '{}'", folder.display()))?;
        }
        if let Some(file) = &args.sheet {
            let title = &self.drawing.title;
            sheet::write(&mut self.log, &self.spool, file, &styles, args, title)?;
        }
        if args.output.is_some() {
            self.write_manifest()?;
        }
        self.log.end(total)?;
        self.log.discard(false)
    }
}

/// Keeps the manifest from before the run as the heading of the log: a run that is continued in its
/// last steps may already have replaced it.
fn keep_manifest(log: &mut RunLog) -> anyhow::Result<()> {
    let path = log.place().output.clone();
    if log.has_heading() || log.done().images > 0 || !path.exists() {
        return Ok(());
    }
    let file = File::open(&path);
    log.copy_heading(&mut file.with_context(|| format!("cannot read '{}'", path.display()))?)
}

/// Refuses to add rows to a manifest with other columns.
fn check_heading(place: &RunPaths) -> anyhow::Result<()> {
    let path = &place.output;
    if !path.exists() {
        return Ok(());
    }
    let heading = Manifest::heading()?;
    let mut start = Vec::new();
    let context = || format!("cannot read '{}'", path.display());
    let file = File::open(path).with_context(context)?;
    file.take(heading.len() as u64).read_to_end(&mut start).with_context(context)?;
    if start != heading {
        bail!(
            "'{}' does not have the columns of the rows to be added: name another folder",
            path.display()
        );
    }
    Ok(())
}
