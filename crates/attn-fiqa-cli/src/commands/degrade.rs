//! `attn-fiqa degrade`: faces degraded in known ways and to known strengths.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context;
use attn_fiqa::crop::Crop;
use attn_fiqa::decode::Note;
use attn_fiqa::pipeline::{CropRow, crop_faces};
use attn_fiqa::source::SourceItem;
use attn_fiqa::status::{Failure, Status};
use attn_fiqa::threads::Threads;
use attn_fiqa::visualize::encode_png;
use attn_fiqa_eval::degrade::{Degradation, Level, sample_degradation, seed_for};

use crate::args::{DegradeArgs, RunOptions};
use crate::exit::Exit;
use crate::hint::message_of_crop;
use crate::output::{
    BeforeRun, Existing, MANIFEST, NewFile, csv_record, describe_notes, open_folder, write_file,
};
use crate::summary::{Activity, Summary};

pub(crate) fn run(args: &DegradeArgs, run: &RunOptions) -> anyhow::Result<Exit> {
    let threads = Threads::new(run.jobs)?;
    args.input.refuse_as_output_folder(Some(&args.output))?;
    let sources = args.input.open()?;
    let existing = args.folder.existing();
    open_folder(&args.output, existing, None)?;
    let before = BeforeRun::new(existing, SystemTime::now());
    let mut manifest = Manifest::create(&args.output, existing)?;
    let (folder, mixed) = (args.output.clone(), args.mixed.is_some());
    // One file of an image stands for all of them.
    let sources = sources.only(move |_, relative| {
        let name = relative.with_extension("png");
        let first = if mixed { name } else { Path::new(CLEAN).join(name) };
        !before.keeps(&folder.join(first))
    });
    let tally = sources.progress();
    let mut summary = Summary::start(Activity::OnCrops("degraded"), tally);
    let plan = Plan {
        folder: args.output.clone(),
        kinds: args.degradation.kinds(),
        levels: args.degradation.levels(),
        mixed: args.mixed,
        seed: args.degradation.seed,
    };
    let mut taken = HashSet::new();
    // A name that is already assigned must not be overwritten.
    let items = sources.map(move |item| match taken.insert(names_hash(&item.relative)) {
        true => item,
        false => SourceItem { image: Err(same_name(&item.relative)), ..item },
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
    manifest.finish()?;
    Ok(summary.finish())
}

/// One image, degraded in every way and to every strength, or the reason why not.
struct Degraded {
    path: String,
    notes: Vec<Note>,
    outcome: Result<Vec<DegradedFile>, Failure>,
}

/// One image that was written.
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
}

impl Plan {
    fn make(&self, row: CropRow) -> anyhow::Result<Degraded> {
        let CropRow { path, relative, notes, crop, .. } = row;
        let outcome = match crop {
            Ok(crop) => Ok(self.write_all(&crop, &relative)?),
            Err(failure) => Err(failure),
        };
        Ok(Degraded { path, notes, outcome })
    }

    fn write_all(&self, crop: &Crop, relative: &Path) -> anyhow::Result<Vec<DegradedFile>> {
        let name = relative.with_extension("png");
        let seed = seed_for(self.seed, &slashed(relative));
        if let Some(share) = self.mixed {
            let drawn = sample_degradation(&self.kinds, share, seed);
            let (kind, level) = drawn.map_or((None, Level::NONE), |(k, level)| (Some(k), level));
            let image = kind.map(|kind| kind.apply(crop, level, seed));
            self.write(&name, image.as_ref().unwrap_or(crop))?;
            return Ok(vec![DegradedFile { kind, level, seed, file: name }]);
        }
        let mut made = vec![DegradedFile {
            kind: None,
            level: Level::NONE,
            seed,
            file: Path::new(CLEAN).join(&name),
        }];
        self.write(&made[0].file, crop)?;
        for &kind in &self.kinds {
            for &level in self.levels.iter().filter(|&&level| level != Level::NONE) {
                let folder = format!("{kind}-{:03.0}", 100.0 * level.get());
                let file = Path::new(&folder).join(&name);
                self.write(&file, &kind.apply(crop, level, seed))?;
                made.push(DegradedFile { kind: Some(kind), level, seed, file });
            }
        }
        Ok(made)
    }

    fn write(&self, file: &Path, crop: &Crop) -> anyhow::Result<()> {
        let bytes = encode_png(crop.rgb(), crop.side(), crop.side())?;
        write_file(&self.folder.join(file), &bytes)
    }
}

fn same_name(relative: &Path) -> Failure {
    Failure::new(
        Status::NotWritten,
        format!(
            "another image of this run is also called '{}', and its output has that name: degrade \
             each input into its own folder",
            relative.display()
        ),
    )
}

/// Represents a name in the set of assigned names.
fn names_hash(relative: &Path) -> u64 {
    seed_for(0, &relative.to_string_lossy())
}

/// A relative path written identically on every system.
fn slashed(path: &Path) -> String {
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

const COLUMNS: [&str; 9] =
    ["source", "status", "kind", "level", "parameter", "unit", "seed", "file", "message"];

/// The folder of the undegraded images.
const CLEAN: &str = "clean";

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
