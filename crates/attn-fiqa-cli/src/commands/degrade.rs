//! `attn-fiqa degrade`: faces degraded in known ways and to known strengths.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use attn_fiqa::crop::Crop;
use attn_fiqa::decode::Note;
use attn_fiqa::pipeline::{CropRow, crop_faces};
use attn_fiqa::source::{SourceItem, escaped_path};
use attn_fiqa::status::{Failure, Status};
use attn_fiqa::threads::Threads;
use attn_fiqa::visualize::encode_png;
use attn_fiqa_eval::degrade::{Degradation, Level, sample_degradation, seed_for};

use crate::args::{DegradeArgs, RunOptions};
use crate::exit::Exit;
use crate::hint::message_of_crop;
use crate::interrupt;
use crate::journal::Images;
use crate::log;
use crate::output::{
    Existing, MANIFEST, NewFile, csv_record, describe_notes, for_each_listed, name_hash,
    open_folder, report_skipped, write_file,
};
use crate::summary::{Activity, Summary};

pub(crate) fn run(args: &DegradeArgs, run: &RunOptions) -> anyhow::Result<Exit> {
    let threads = Threads::new(run.jobs)?;
    args.input.refuse_as_output_folder(Some(&args.output))?;
    interrupt::enable_graceful_stop();
    let sources = args.input.open()?;
    let existing = args.folder.existing();
    open_folder(&args.output, existing, None)?;
    let mut manifest = Manifest::create(&args.output, existing)?;
    let plan = Arc::new(Plan {
        folder: args.output.clone(),
        kinds: args.degradation.kinds(),
        levels: args.degradation.levels(),
        mixed: args.mixed,
        seed: args.degradation.seed,
        listed: Listed::read(&args.output, existing)?,
    });
    let skipped = Arc::new(AtomicU64::new(0));
    let sources = {
        let (plan, skipped) = (Arc::clone(&plan), Arc::clone(&skipped));
        sources.only(move |path, relative| {
            let done = plan.is_done(path, relative);
            skipped.fetch_add(done.into(), Ordering::Relaxed);
            !done
        })
    };
    let images = Images::all(sources);
    let mut summary = Summary::start(Activity::OnCrops("degraded"), images.progress());
    let mut taken = HashSet::new();
    // A name that is already assigned must not be overwritten.
    let items = images.map(move |item| {
        let name = file_name(&item.relative);
        match taken.insert(name_hash(name.as_os_str().as_encoded_bytes())) {
            true => item,
            false => SourceItem { image: Err(same_name(&name)), ..item },
        }
    });
    let (aligned, stream) = (args.faces(), args.input.stream(run.batch));
    let work = |row| plan.make(row);
    crop_faces(items, &threads, args.side, &aligned, &stream, work, |degraded| {
        let degraded = degraded?;
        summary.count_image(&degraded.path, &degraded.notes, degraded.outcome.as_ref().err());
        manifest.enter(&degraded)
    })?;
    if existing != Existing::Skip {
        summary.refuse_empty()?;
    }
    // Also if the run was interrupted: only what is listed is skipped later.
    manifest.finish()?;
    report_skipped(skipped.load(Ordering::Relaxed));
    if interrupt::is_interrupted() {
        log::note("the manifest lists what was done; --skip-existing continues after it");
    }
    Ok(summary.finish())
}

/// One image, degraded in every way and to every strength, or the reason why not.
struct Degraded {
    path: String,
    notes: Vec<Note>,
    outcome: Result<Vec<DegradedFile>, Failure>,
}

/// One file of an image.
struct DegradedFile {
    /// `None` for the unchanged face.
    kind: Option<Degradation>,
    level: Level,
    seed: u64,
    /// Relative to the output folder.
    file: PathBuf,
}

/// What is done to every image.
struct Plan {
    folder: PathBuf,
    kinds: Vec<Degradation>,
    levels: Vec<Level>,
    /// One image per face, of which this fraction is degraded.
    mixed: Option<f64>,
    seed: u64,
    listed: Listed,
}

impl Plan {
    /// Whether every file of an image is there and listed.
    fn is_done(&self, path: &str, relative: &Path) -> bool {
        !self.listed.0.is_empty()
            && self.files(relative).iter().all(|made| self.has(path, &made.file))
    }

    fn has(&self, path: &str, file: &Path) -> bool {
        self.listed.is_from(path, file) && self.folder.join(file).exists()
    }

    fn make(&self, row: CropRow) -> anyhow::Result<Degraded> {
        let CropRow { path, relative, notes, crop, .. } = row;
        let outcome = match crop {
            Ok(crop) => self.write_all(&crop, &path, &relative)?,
            Err(failure) => Err(failure),
        };
        Ok(Degraded { path, notes, outcome })
    }

    /// Writes the files that are not there yet, and returns those.
    fn write_all(
        &self,
        crop: &Crop,
        path: &str,
        relative: &Path,
    ) -> anyhow::Result<Result<Vec<DegradedFile>, Failure>> {
        let mut files = self.files(relative);
        if let Some(made) = files.iter().find(|made| self.listed.is_from_another(path, &made.file))
        {
            return Ok(Err(from_another(&made.file)));
        }
        files.retain(|made| !self.has(path, &made.file));
        for DegradedFile { kind, level, seed, file } in &files {
            let image = kind.map(|kind| kind.apply(crop, *level, *seed));
            self.write(file, image.as_ref().unwrap_or(crop))?;
        }
        Ok(Ok(files))
    }

    /// All files of an image.
    fn files(&self, relative: &Path) -> Vec<DegradedFile> {
        let name = file_name(relative);
        let seed = seed_for(self.seed, &slashed(relative));
        if let Some(share) = self.mixed {
            let drawn = sample_degradation(&self.kinds, share, seed);
            let (kind, level) = drawn.map_or((None, Level::NONE), |(k, level)| (Some(k), level));
            return vec![DegradedFile { kind, level, seed, file: name }];
        }
        let clean = Path::new(CLEAN).join(&name);
        let mut files = vec![DegradedFile { kind: None, level: Level::NONE, seed, file: clean }];
        for &kind in &self.kinds {
            for &level in self.levels.iter().filter(|&&level| level != Level::NONE) {
                let folder = format!("{kind}-{:03.0}", 100.0 * level.get());
                let file = Path::new(&folder).join(&name);
                files.push(DegradedFile { kind: Some(kind), level, seed, file });
            }
        }
        files
    }

    fn write(&self, file: &Path, crop: &Crop) -> anyhow::Result<()> {
        let bytes = encode_png(crop.rgb(), crop.side(), crop.side())?;
        write_file(&self.folder.join(file), &bytes)
    }
}

/// The name of an image's files, each in a folder of its own.
fn file_name(relative: &Path) -> PathBuf {
    relative.with_extension("png")
}

fn same_name(name: &Path) -> Failure {
    Failure::new(
        Status::NotWritten,
        format!(
            "the files of another image of this run are also called '{}': rename one, or degrade \
             each into its own folder",
            name.display()
        ),
    )
}

fn from_another(file: &Path) -> Failure {
    Failure::new(
        Status::NotWritten,
        format!(
            "'{}' was made from another image before the run and is kept: degrade each into its own \
             folder",
            file.display()
        ),
    )
}

/// A relative path written identically on every system.
fn slashed(path: &Path) -> String {
    let parts: Vec<_> = path.iter().map(|part| escaped_path(Path::new(part))).collect();
    parts.join("/")
}

const COLUMNS: [&str; 9] =
    ["source", "status", "kind", "level", "parameter", "unit", "seed", "file", "message"];

/// The folder of the undegraded images.
const CLEAN: &str = "clean";

/// The files that the manifest of earlier runs lists, and the image of each, as hashes.
struct Listed(HashMap<u64, u64>);

impl Listed {
    /// Empty unless existing files are kept.
    fn read(folder: &Path, existing: Existing) -> anyhow::Result<Self> {
        let mut listed = HashMap::new();
        if existing == Existing::Skip {
            for_each_listed(&folder.join(MANIFEST), ["source", "file"], |source, file| {
                listed.insert(name_hash(file), name_hash(source));
            })?;
        }
        Ok(Self(listed))
    }

    fn is_from(&self, path: &str, file: &Path) -> bool {
        self.source(file) == Some(name_hash(path.as_bytes()))
    }

    fn is_from_another(&self, path: &str, file: &Path) -> bool {
        self.source(file).is_some_and(|source| source != name_hash(path.as_bytes()))
    }

    fn source(&self, file: &Path) -> Option<u64> {
        self.0.get(&name_hash(slashed(file).as_bytes())).copied()
    }
}

/// A list of the images made, one row each.
struct Manifest(csv::Writer<NewFile>);

impl Manifest {
    /// With [`Existing::Skip`], existing rows come before the new ones.
    fn create(folder: &Path, existing: Existing) -> anyhow::Result<Self> {
        let path = folder.join(MANIFEST);
        let mut file = NewFile::create(&path)?;
        let heading = csv_record(COLUMNS.iter())?;
        if existing == Existing::Skip && path.exists() {
            let context = || format!("cannot read '{}'", path.display());
            let mut before = File::open(&path).with_context(context)?;
            let mut start = vec![0; heading.len()];
            let read = before.read_exact(&mut start);
            if read.is_err() || start != heading {
                anyhow::bail!(
                    "'{}' does not have the columns of the rows to be added: name another folder",
                    path.display()
                );
            }
            file.write_all(&start)?;
            io::copy(&mut before, &mut file).with_context(context)?;
        } else {
            file.write_all(&heading)?;
        }
        Ok(Self(csv::Writer::from_writer(file)))
    }

    fn enter(&mut self, degraded: &Degraded) -> anyhow::Result<()> {
        let source = degraded.path.as_str();
        let made = match &degraded.outcome {
            Ok(made) => made,
            Err(failure) => {
                let (status, message) = (failure.status.name(), message_of_crop(failure));
                let row = [source, status, "", "", "", "", "", "", &message];
                return Ok(self.0.write_record(row)?);
            }
        };
        let notes = describe_notes(&degraded.notes);
        for DegradedFile { kind, level, seed, file } in made {
            self.0.write_record([
                source,
                Status::Ok.name(),
                kind.map_or("clean", Degradation::name),
                &level.get().to_string(),
                &kind.map(|kind| kind.parameter(*level).to_string()).unwrap_or_default(),
                kind.map_or("", Degradation::unit),
                &seed.to_string(),
                &slashed(file),
                &notes,
            ])?;
        }
        Ok(())
    }

    fn finish(self) -> anyhow::Result<()> {
        self.0.into_inner().map_err(|error| error.into_error())?.finish()
    }
}
