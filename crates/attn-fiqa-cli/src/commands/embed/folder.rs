//! Writes one `STEM.npy` per face, as evaluation scripts look them up.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::{Path, PathBuf};

use attn_fiqa::pipeline::Row;
use attn_fiqa::status::Status;
use attn_fiqa_eval::files::npy;

use super::writer::{WriterOptions, embedding_of};
use crate::journal::{Admit, DoneImage, RunFiles, RunLog, RunPaths};
use crate::output::{BeforeRun, RunOutput, name_hash, open_folder};
use crate::summary::Summary;

pub(super) struct Folder {
    path: PathBuf,
    /// Hashes of the assigned names.
    taken: HashSet<u64>,
    /// The names of the files of all images so far, each after a zero byte.
    log: RunLog,
    before: BeforeRun,
    files: RunFiles,
}

impl Folder {
    pub(super) fn open(path: &Path, options: &WriterOptions<'_>) -> anyhow::Result<Self> {
        let place = RunPaths::inside(path);
        open_folder(path, options.existing, Some(&place.journal))?;
        let plan = options.plan;
        let mut log = RunLog::open(place, &plan.fingerprint, plan.overwrite)?;
        let mut taken = HashSet::new();
        log.replay(|_, _, names| {
            taken.extend(names.split(|&byte| byte == 0).skip(1).map(name_hash));
            Ok(())
        })?;
        let before = BeforeRun::new(options.existing, log.started());
        let files = RunFiles::new(path);
        log.track_files(files.clone())?;
        Ok(Self { path: path.to_owned(), taken, log, before, files })
    }

    pub(super) fn admit(&self) -> Admit {
        let (folder, before) = (self.path.clone(), self.before);
        Box::new(move |_, relative| {
            let mut name = stem(relative);
            name.push(".npy");
            !before.keeps(&folder.join(name))
        })
    }

    pub(super) fn write(&mut self, row: &Row, summary: &mut Summary) -> anyhow::Result<()> {
        let Some(embedding) = embedding_of(row) else { return Ok(()) };
        // The bytes of the name, Unicode or not.
        let mut name = stem(&row.relative);
        name.push(match row.face {
            Some(face) if !row.is_first => format!("#{}.npy", face.index),
            _ => ".npy".to_owned(),
        });
        let path = self.path.join(&name);
        let refusal = if !self.taken.insert(name_hash(name.as_encoded_bytes())) {
            Some("already holds the embedding of another image of this run")
        } else {
            self.before.keeps(&path).then_some("existed before the run and is kept")
        };
        if let Some(refusal) = refusal {
            let message = format!("'{}' {refusal}", name.display());
            summary.retract(row, Status::NotWritten, &message);
            return Ok(());
        }
        self.files.write(&path, &npy::to_bytes(&[embedding.len()], embedding))?;
        self.log.write_all(&[0])?;
        Ok(self.log.write_all(name.as_encoded_bytes())?)
    }
}

impl RunOutput for Folder {
    fn end_image(&mut self, image: &DoneImage) -> anyhow::Result<()> {
        self.log.end_image(image)
    }

    fn log(&mut self) -> Option<&mut RunLog> {
        Some(&mut self.log)
    }

    fn finish(mut self: Box<Self>, images: Option<u64>) -> anyhow::Result<()> {
        let Some(images) = images else { return self.log.leave() };
        self.log.end(images)?;
        self.log.discard(false)
    }
}

fn stem(relative: &Path) -> OsString {
    relative.file_stem().unwrap_or(OsStr::new("unnamed")).to_owned()
}
