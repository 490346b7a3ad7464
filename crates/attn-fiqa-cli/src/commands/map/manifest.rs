//! `manifest.csv` in the output folder: one row a face, with its files.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::Context;
use attn_fiqa::pipeline::Row;
use attn_fiqa::status::Status;

use super::{file_stem, refuse};
use crate::args::GridFormat;
use crate::hint::message_of;
use crate::output::{NewFile, describe_notes};
use crate::summary::Summary;

/// The endings of an image's files, after the image's own name.
pub(super) const OVERLAY: &str = "overlay.png";
pub(super) const MAP: &str = "map.png";

/// The ending of a raw grid.
pub(super) fn grid_ending(format: GridFormat) -> &'static str {
    match format {
        GridFormat::Json => "grid.json",
        GridFormat::Npy => "grid.npy",
    }
}

/// `faces/a.jpg` and `map.png` make `faces/a.jpg.map.png`: `a.jpg` and `a.png`
/// of one folder keep apart.
pub(super) fn with_ending(stem: &Path, ending: &str) -> PathBuf {
    let mut name = stem.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

pub(super) struct Manifest {
    writer: csv::Writer<NewFile>,
    /// Hashes of the names given out: eight bytes an image, however many there are.
    taken: HashSet<u64>,
}

impl Manifest {
    pub(super) fn create(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder '{}'", folder.display()))?;
        let mut writer = csv::Writer::from_writer(NewFile::create(&folder.join("manifest.csv"))?);
        writer.write_record([
            "path", "face", "status", "score", "overlay", "map", "grid", "photo", "message",
        ])?;
        Ok(Self { writer, taken: HashSet::new() })
    }

    /// Enters a face and says how its files are called; `None` if it gets none.
    /// `photo` gives the file of the photo that its map is drawn on, if there is one.
    pub(super) fn enter(
        &mut self,
        row: &Row,
        grid: GridFormat,
        photo: impl FnOnce(&Row) -> anyhow::Result<Option<PathBuf>>,
        summary: &mut Summary,
    ) -> anyhow::Result<Option<PathBuf>> {
        let path = row.path.as_str();
        let face = row.face.map(|face| face.index.to_string()).unwrap_or_default();
        let assessment = match &row.outcome {
            Ok(assessment) => assessment,
            Err(failure) => {
                self.enter_failure(path, &face, failure.status, &message_of(failure))?;
                return Ok(None);
            }
        };
        let stem = file_stem(row);
        let mut hasher = DefaultHasher::new();
        stem.hash(&mut hasher);
        if !self.taken.insert(hasher.finish()) {
            let (status, message) = refuse(summary, row);
            self.enter_failure(path, &face, status, &message)?;
            return Ok(None);
        }
        let file = |ending| with_ending(&stem, ending).to_string_lossy().into_owned();
        let photo = photo(row)?.map(|photo| photo.to_string_lossy().into_owned());
        let score = assessment.scores.first().map(f32::to_string).unwrap_or_default();
        let (status, notes) = (Status::Ok.name(), describe_notes(&row.notes));
        self.writer.write_record([
            path,
            &face,
            status,
            &score,
            &file(OVERLAY),
            &file(MAP),
            &file(grid_ending(grid)),
            &photo.unwrap_or_default(),
            &notes,
        ])?;
        Ok(Some(stem))
    }

    fn enter_failure(
        &mut self,
        path: &str,
        face: &str,
        status: Status,
        message: &str,
    ) -> anyhow::Result<()> {
        Ok(self.writer.write_record([path, face, status.name(), "", "", "", "", "", message])?)
    }

    pub(super) fn finish(self) -> anyhow::Result<()> {
        self.writer.into_inner().map_err(|error| error.into_error())?.finish_run()
    }
}
