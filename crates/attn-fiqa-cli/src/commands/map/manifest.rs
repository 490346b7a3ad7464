//! `manifest.csv` in the output folder: one row per face, with its files.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use attn_fiqa::pipeline::Row;
use attn_fiqa::source::escaped_path;
use attn_fiqa::status::{Failure, Status};

use super::file_stem;
use crate::args::GridFormat;
use crate::hint::message_of;
use crate::output::{BeforeRun, csv_record, describe_notes, name_hash};
use crate::summary::Summary;

/// Endings of an image's files, appended to its name.
pub(super) const OVERLAY: &str = "overlay.png";
pub(super) const MAP: &str = "map.png";

const COLUMNS: [&str; 9] =
    ["path", "face", "status", "score", "overlay", "map", "grid", "photo", "message"];

/// The ending of a raw grid.
pub(super) fn grid_ending(format: GridFormat) -> &'static str {
    match format {
        GridFormat::Json => "grid.json",
        GridFormat::Npy => "grid.npy",
    }
}

/// `faces/a.jpg` and `map.png` make `faces/a.jpg.map.png`, so that `a.jpg` and `a.png` in one
/// folder do not collide.
pub(super) fn with_ending(stem: &Path, ending: &str) -> PathBuf {
    let mut name = stem.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

pub(super) struct Manifest {
    folder: PathBuf,
    grid: GridFormat,
    before: BeforeRun,
    /// Hashes of the assigned names: eight bytes per image, however many there are.
    taken: HashSet<u64>,
}

/// The row of a face, and the stem of its files if it gets any.
pub(super) struct Entry {
    pub(super) row: Vec<u8>,
    pub(super) stem: Option<PathBuf>,
}

impl Manifest {
    pub(super) fn new(folder: &Path, grid: GridFormat, before: BeforeRun) -> Self {
        Self { folder: folder.to_owned(), grid, before, taken: HashSet::new() }
    }

    /// The heading row.
    pub(super) fn heading() -> anyhow::Result<Vec<u8>> {
        csv_record(COLUMNS.iter())
    }

    /// Records a name assigned by the earlier run that this one continues.
    pub(super) fn take(&mut self, stem: &Path) -> bool {
        self.taken.insert(name_hash(stem.as_os_str().as_encoded_bytes()))
    }

    /// Adds a face. `photo` returns the file of the photo that its map is drawn on, if there is
    /// one.
    pub(super) fn enter(
        &mut self,
        row: &Row,
        photo: impl FnOnce(&Row) -> anyhow::Result<Option<PathBuf>>,
        summary: &mut Summary,
    ) -> anyhow::Result<Entry> {
        let assessment = match &row.outcome {
            Ok(assessment) => assessment,
            Err(failure) => return failed(row, failure),
        };
        let stem = file_stem(row);
        let refusal = if !self.take(&stem) {
            Some(
                "another image of this run has the same name inside its input, and the files of \
                 one would overwrite the other's; map each input into its own folder",
            )
        } else {
            let overlay = self.folder.join(with_ending(&stem, OVERLAY));
            self.before.keeps(&overlay).then_some("its files existed before the run")
        };
        if let Some(message) = refusal {
            summary.retract(row, Status::NotWritten, message);
            return failed(row, &Failure::new(Status::NotWritten, message));
        }
        let file = |ending| escaped_path(&with_ending(&stem, ending));
        let photo = photo(row)?.map(|photo| escaped_path(&photo));
        let cells = [
            row.path.clone(),
            face_of(row),
            Status::Ok.name().to_owned(),
            assessment.scores.first().map(f32::to_string).unwrap_or_default(),
            file(OVERLAY),
            file(MAP),
            file(grid_ending(self.grid)),
            photo.unwrap_or_default(),
            describe_notes(&row.notes),
        ];
        Ok(Entry { row: csv_record(cells.iter())?, stem: Some(stem) })
    }
}

fn face_of(row: &Row) -> String {
    row.face.map(|face| face.index.to_string()).unwrap_or_default()
}

fn failed(row: &Row, failure: &Failure) -> anyhow::Result<Entry> {
    let (face, message) = (face_of(row), message_of(failure));
    let cells = [&row.path, &face, failure.status.name(), "", "", "", "", "", &message];
    Ok(Entry { row: csv_record(cells.iter())?, stem: None })
}
