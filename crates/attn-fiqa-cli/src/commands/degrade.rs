//! `attn-fiqa degrade`: faces degraded in known ways and strengths.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

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
use crate::hint::message_of;
use crate::output::{NewFile, describe_notes};
use crate::summary::{Activity, Summary};

pub(crate) fn run(args: &DegradeArgs, run: &RunOptions) -> anyhow::Result<Exit> {
    let threads = Threads::new(run.jobs)?;
    args.input.refuse_as_output_folder(Some(&args.output))?;
    let sources = args.input.open()?;
    let mut manifest = Manifest::create(&args.output)?;
    let tally = sources.progress();
    let mut summary = Summary::start(Activity::Other("degraded"), tally);
    let plan = Plan {
        folder: args.output.clone(),
        kinds: args.degradation.kinds(),
        levels: args.degradation.levels(),
        mixed: args.mixed,
        seed: args.degradation.seed,
    };
    let mut taken = HashSet::new();
    // A name that was given out already must not be written over.
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
    summary.refuse_empty()?;
    manifest.finish()?;
    Ok(summary.finish())
}

/// One image, degraded in every way and strength, or why it was not.
struct Degraded {
    path: String,
    notes: Vec<Note>,
    outcome: Result<Vec<Made>, Failure>,
}

/// One image that was written.
struct Made {
    /// `None` for the face as it is.
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

    fn write_all(&self, crop: &Crop, relative: &Path) -> anyhow::Result<Vec<Made>> {
        let name = relative.with_extension("png");
        let seed = seed_for(self.seed, &slashed(relative));
        if let Some(share) = self.mixed {
            let drawn = sample_degradation(&self.kinds, share, seed);
            let (kind, level) = drawn.map_or((None, Level::NONE), |(k, level)| (Some(k), level));
            let image = kind.map(|kind| kind.apply(crop, level, seed));
            self.write(&name, image.as_ref().unwrap_or(crop))?;
            return Ok(vec![Made { kind, level, seed, file: name }]);
        }
        let mut made = vec![Made {
            kind: None,
            level: Level::NONE,
            seed,
            file: Path::new("clean").join(&name),
        }];
        self.write(&made[0].file, crop)?;
        for &kind in &self.kinds {
            for &level in self.levels.iter().filter(|&&level| level != Level::NONE) {
                let folder = format!("{kind}-{:03.0}", 100.0 * level.get());
                let file = Path::new(&folder).join(&name);
                self.write(&file, &kind.apply(crop, level, seed))?;
                made.push(Made { kind: Some(kind), level, seed, file });
            }
        }
        Ok(made)
    }

    fn write(&self, file: &Path, crop: &Crop) -> anyhow::Result<()> {
        let bytes = encode_png(crop.rgb(), crop.side(), crop.side())?;
        let path = self.folder.join(file);
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, bytes))
            .with_context(|| format!("cannot write '{}'", path.display()))
    }
}

fn same_name(relative: &Path) -> Failure {
    Failure::new(
        Status::NotWritten,
        format!(
            "another image of this run is called '{}' too, and its images have that name: \
             degrade the inputs into folders of their own",
            relative.display()
        ),
    )
}

/// Stands for a name in the set of those that were given out.
fn names_hash(relative: &Path) -> u64 {
    seed_for(0, &relative.to_string_lossy())
}

/// A relative path written the same on every system.
fn slashed(path: &Path) -> String {
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

/// What was made, one row per image.
struct Manifest(csv::Writer<NewFile>);

impl Manifest {
    fn create(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder '{}'", folder.display()))?;
        let mut writer = csv::Writer::from_writer(NewFile::create(&folder.join("manifest.csv"))?);
        writer.write_record([
            "source",
            "status",
            "kind",
            "level",
            "parameter",
            "unit",
            "seed",
            "file",
            "message",
        ])?;
        Ok(Self(writer))
    }

    fn enter(&mut self, degraded: &Degraded) -> anyhow::Result<()> {
        let source = degraded.path.as_str();
        let made = match &degraded.outcome {
            Ok(made) => made,
            Err(failure) => {
                let (status, message) = (failure.status.name(), message_of(failure));
                let row = [source, status, "", "", "", "", "", "", &message];
                return Ok(self.0.write_record(row)?);
            }
        };
        let notes = describe_notes(&degraded.notes);
        for Made { kind, level, seed, file } in made {
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
