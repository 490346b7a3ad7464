//! Images with the boxes and landmarks of their faces drawn in.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use attn_fiqa::pipeline::FacesRow;
use attn_fiqa::status::{Failure, Status};
use attn_fiqa::visualize::{draw_faces, encode_png};

use crate::journal::{Admit, RunFiles, RunLog};
use crate::output::{BeforeRun, Existing, name_hash, open_folder, report_skipped};
use crate::summary::{SCORED as SEARCHED, Summary};

/// Appended to the name of an image.
const ENDING: &str = ".faces.png";

/// Hashes of the relative names of the images that were found, in order.
#[derive(Clone, Default)]
pub(super) struct DrawnNames(Arc<Mutex<Vec<u64>>>);

impl DrawnNames {
    /// Records every image, and excludes none.
    pub(super) fn admit(&self) -> Admit {
        let names = Arc::downgrade(&self.0);
        Box::new(move |_, relative| {
            // After the start of the run the names are no longer needed.
            if let Some(names) = names.upgrade() {
                let hash = name_hash(relative.as_os_str().as_encoded_bytes());
                names.lock().unwrap_or_else(PoisonError::into_inner).push(hash);
            }
            true
        })
    }
}

pub(super) struct Drawing {
    folder: PathBuf,
    /// Hashes of the assigned names.
    taken: HashSet<u64>,
    before: BeforeRun,
    /// Images whose drawings existed before the run.
    skipped: u64,
    files: RunFiles,
}

impl Drawing {
    /// Draws into a folder that is empty or holds the drawings of the run that `log` continues.
    pub(super) fn open(
        folder: &Path,
        existing: Existing,
        names: DrawnNames,
        mut log: Option<&mut RunLog>,
    ) -> anyhow::Result<Self> {
        let unfinished = log.as_ref().map(|log| log.place().journal.clone());
        let (mut taken, mut continues, mut started) = (HashSet::new(), false, SystemTime::now());
        if let Some(log) = &mut log {
            continues = log.continues();
            started = log.started();
            let names = names.0.lock().unwrap_or_else(PoisonError::into_inner);
            let mut names = names.iter();
            log.for_each_image(|image| {
                let name = names.next();
                // Every image that was searched was also drawn.
                if image.outcome.starts_with(SEARCHED) {
                    taken.extend(name);
                }
                Ok(())
            })?;
        }
        open_folder(folder, existing, unfinished.as_deref().filter(|_| continues))?;
        let (before, files) = (BeforeRun::new(existing, started), RunFiles::new(folder));
        if let Some(log) = log {
            log.track_files(files.clone())?;
        }
        Ok(Self { folder: folder.to_owned(), taken, before, skipped: 0, files })
    }

    /// Draws an image that could be searched, with or without faces.
    pub(super) fn draw(&mut self, row: &FacesRow, summary: &mut Summary) -> anyhow::Result<()> {
        let (Some(photo), Ok(faces)) = (&row.photo, &row.faces) else { return Ok(()) };
        let mut name = row.relative.as_os_str().to_owned();
        name.push(ENDING);
        let path = self.folder.join(name);
        if self.before.keeps(&path) {
            self.skipped += 1;
            return Ok(());
        }
        if !self.taken.insert(name_hash(row.relative.as_os_str().as_encoded_bytes())) {
            let message = "another image of this run has the same name inside its input, and its \
                           drawing was written; draw each input into its own folder";
            summary.count_failure(&row.path, &Failure::new(Status::NotWritten, message));
            return Ok(());
        }
        let drawn = draw_faces(photo, faces);
        let png = encode_png(drawn.rgb(), drawn.width(), drawn.height())?;
        self.files.write(&path, &png)
    }

    /// Reports the images that were not drawn.
    pub(super) fn finish(self) {
        report_skipped(self.skipped);
    }
}
