//! Writes crops into a folder under unique names.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use attn_fiqa::crop::Crop;
use attn_fiqa::source::escaped_path;
use attn_fiqa::status::{Failure, Status};
use attn_fiqa::visualize::{encode_jpeg, encode_png};

use crate::args::ImageFormat;
use crate::journal::RunFiles;
use crate::output::{BeforeRun, name_hash};

/// A folder that crops are written into.
pub(super) struct CropFolder {
    folder: PathBuf,
    format: ImageFormat,
    /// Hashes of the names assigned in this run, as they are in the manifest.
    taken: HashSet<u64>,
    before: BeforeRun,
    files: RunFiles,
}

impl CropFolder {
    pub(super) fn new(folder: &Path, format: ImageFormat, before: BeforeRun) -> Self {
        let (taken, files) = (HashSet::new(), RunFiles::new(folder));
        Self { folder: folder.to_owned(), format, taken, before, files }
    }

    /// The files written into it.
    pub(super) fn files(&self) -> &RunFiles {
        &self.files
    }

    /// Records a name inside the folder assigned by the earlier run that this one continues, as it
    /// is in the manifest.
    pub(super) fn take(&mut self, name: &[u8]) {
        self.taken.insert(name_hash(name));
    }

    /// Writes a crop as `stem` plus the format's extension, or with `-2`, `-3`, … after the stem if
    /// this run already has a file with that name. Returns its name inside the
    /// folder, as in the manifest.
    ///
    /// # Errors
    ///
    /// The inner error, if a file with that name existed before the run and is to be kept.
    pub(super) fn write(
        &mut self,
        stem: &Path,
        crop: &Crop,
    ) -> anyhow::Result<Result<String, Failure>> {
        let name = self.free_name(stem);
        self.write_as(name, crop)
    }

    /// The same under exactly that name.
    ///
    /// # Errors
    ///
    /// The inner error, if a file with that name exists already, from this run or from before.
    pub(super) fn write_once(
        &mut self,
        stem: &Path,
        crop: &Crop,
    ) -> anyhow::Result<Result<String, Failure>> {
        let name = self.name(stem, 1);
        if !self.insert(&name) {
            let message = format!(
                "'{}' was written for another image, whose name differs in its extension",
                name.display()
            );
            return Ok(Err(Failure::new(Status::NotWritten, message)));
        }
        self.write_as(name, crop)
    }

    fn write_as(&self, name: PathBuf, crop: &Crop) -> anyhow::Result<Result<String, Failure>> {
        let inside = name.components().all(|part| matches!(part, Component::Normal(_)));
        assert!(inside, "a name that leads out of its folder: this is a bug");
        let path = self.folder.join(&name);
        let bytes = match self.format {
            ImageFormat::Png => encode_png(crop.rgb(), crop.side(), crop.side())?,
            ImageFormat::Jpg => encode_jpeg(crop.rgb(), crop.side(), crop.side())?,
        };
        if self.before.keeps(&path) {
            let message = format!("'{}' existed before the run and is kept", path.display());
            return Ok(Err(Failure::new(Status::NotWritten, message)));
        }
        self.files.write(&path, &bytes)?;
        Ok(Ok(escaped_path(&name)))
    }

    /// The file name for a stem and a number.
    fn name(&self, stem: &Path, number: u64) -> PathBuf {
        crop_name(stem, number, self.format)
    }

    /// Records a name; returns whether it was free.
    fn insert(&mut self, name: &Path) -> bool {
        self.taken.insert(name_hash(escaped_path(name).as_bytes()))
    }

    fn free_name(&mut self, stem: &Path) -> PathBuf {
        let mut number = 1_u64;
        loop {
            let name = self.name(stem, number);
            if self.insert(&name) {
                return name;
            }
            number += 1;
        }
    }
}

/// The crop name for a stem and a number.
pub(super) fn crop_name(stem: &Path, number: u64, format: ImageFormat) -> PathBuf {
    let ending = match format {
        ImageFormat::Png => "png",
        ImageFormat::Jpg => "jpg",
    };
    let mut name = stem.as_os_str().to_owned();
    if number > 1 {
        name.push(format!("-{number}"));
    }
    name.push(format!(".{ending}"));
    PathBuf::from(name)
}
