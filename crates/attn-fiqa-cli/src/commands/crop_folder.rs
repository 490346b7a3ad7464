//! Crops on their way into a folder, under names of their own.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Component, Path, PathBuf};

use anyhow::Context;
use attn_fiqa::crop::Crop;
use attn_fiqa::status::{Failure, Status};
use attn_fiqa::visualize::{encode_jpeg, encode_png};

use crate::args::ImageFormat;

/// A folder that crops are written into. Nothing that is there is written over.
pub(super) struct CropFolder {
    folder: PathBuf,
    format: ImageFormat,
    /// Names given out in this run.
    taken: HashSet<PathBuf>,
}

impl CropFolder {
    pub(super) fn create(folder: &Path, format: ImageFormat) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder '{}'", folder.display()))?;
        Ok(Self { folder: folder.to_owned(), format, taken: HashSet::new() })
    }

    /// Writes a crop under `stem` and the format's ending, or with `-2`, `-3`, …
    /// after the stem where this run has a file of that name already. Returns
    /// its name inside the folder.
    ///
    /// # Errors
    ///
    /// The inner one, if a file of that name was there before the run.
    pub(super) fn write(
        &mut self,
        stem: &Path,
        crop: &Crop,
    ) -> anyhow::Result<Result<String, Failure>> {
        let name = self.free_name(stem);
        self.write_as(name, crop)
    }

    /// The same under that very name.
    ///
    /// # Errors
    ///
    /// The inner one, if there is a file of that name already, of this run or from before.
    pub(super) fn write_once(
        &mut self,
        stem: &Path,
        crop: &Crop,
    ) -> anyhow::Result<Result<String, Failure>> {
        let name = self.name(stem, 1);
        if !self.taken.insert(name.clone()) {
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
        let context = || format!("cannot write '{}'", path.display());
        fs::create_dir_all(path.parent().unwrap_or(&self.folder)).with_context(context)?;
        match File::create_new(&path) {
            Ok(mut file) => file.write_all(&bytes).with_context(context)?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Ok(Err(Failure::new(
                    Status::NotWritten,
                    format!(
                        "'{}' is there already and is not written over; name another folder",
                        path.display()
                    ),
                )));
            }
            Err(error) => return Err(error).with_context(context),
        }
        Ok(Ok(name.to_string_lossy().into_owned()))
    }

    /// The name of the file of that number under a stem.
    fn name(&self, stem: &Path, number: u64) -> PathBuf {
        let ending = match self.format {
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

    fn free_name(&mut self, stem: &Path) -> PathBuf {
        let mut number = 1_u64;
        loop {
            let name = self.name(stem, number);
            if self.taken.insert(name.clone()) {
                return name;
            }
            number += 1;
        }
    }
}
