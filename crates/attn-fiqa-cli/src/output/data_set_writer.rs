//! Writes a data set whose rows are all available.
//!
//! Its files are written into a folder of their own inside the data set, and move to their places
//! once all of them are complete: until then, what was there before is untouched.

use std::fs::{self, File};
use std::io::{self, BufWriter, IntoInnerError};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::data_set::{
    is_unfinished, open_folder, part_name, remove_if_there, remove_parts, write_success,
};
use super::parquet_table::{ParquetTable, TableSchema};
use super::{NewFile, OwnedCell, SUCCESS};
use crate::journal::{RunPaths, sync_folder};

/// Where the new files are written; table readers ignore the name.
const STAGING: &str = "_merge";

pub(crate) struct DataSetWriter {
    folder: PathBuf,
    staging: PathBuf,
    place: RunPaths,
    /// Keeps other runs out of the folder; empty, unless it belongs to a run that is overwritten.
    lock: File,
    schema: TableSchema,
    rows_per_file: u64,
    parts: u64,
    rows: u64,
    table: Option<ParquetTable<BufWriter<NewFile>>>,
}

impl DataSetWriter {
    pub(crate) fn create(
        folder: &Path,
        schema: TableSchema,
        rows_per_file: u64,
        overwrite: bool,
    ) -> anyhow::Result<Self> {
        let place = RunPaths::inside(folder);
        // A merge that was killed leaves an empty journal.
        let has_lines = fs::metadata(&place.journal).is_ok_and(|found| found.len() > 0);
        if !overwrite && has_lines && is_unfinished(folder, &place) {
            bail!(
                "the folder '{}' holds an unfinished run: repeat its command to continue it, name \
                 another folder, or use --overwrite to discard it",
                folder.display()
            );
        }
        open_folder(folder, &place, overwrite)?;
        let lock = place.lock()?;
        let staging = folder.join(STAGING);
        let (folder, parts, rows, table) = (folder.to_owned(), 0, 0, None);
        let mut writer =
            Self { folder, staging, place, lock, schema, rows_per_file, parts, rows, table };
        writer.make_staging()?;
        writer.start_part()?;
        Ok(writer)
    }

    /// Makes the folder for the new files, without any that a killed merge has left.
    fn make_staging(&self) -> anyhow::Result<()> {
        let context = || format!("cannot make the folder '{}'", self.staging.display());
        match fs::remove_dir_all(&self.staging) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(context);
            }
            _ => {}
        }
        fs::create_dir(&self.staging).with_context(context)
    }

    fn start_part(&mut self) -> anyhow::Result<()> {
        let file = NewFile::create(&self.staging.join(part_name(self.parts)))?;
        self.table = Some(ParquetTable::new(BufWriter::new(file), &self.schema)?);
        (self.parts, self.rows) = (self.parts + 1, 0);
        Ok(())
    }

    /// Adds the rows of one image.
    pub(crate) fn push(&mut self, rows: Vec<Vec<OwnedCell>>) -> anyhow::Result<()> {
        if self.rows >= self.rows_per_file {
            self.end_part()?;
            self.start_part()?;
        }
        self.rows += rows.len() as u64;
        if let Some(table) = &mut self.table {
            rows.into_iter().try_for_each(|row| table.push(row))?;
        }
        Ok(())
    }

    fn end_part(&mut self) -> anyhow::Result<()> {
        match self.table.take() {
            Some(table) => {
                table.finish()?.into_inner().map_err(IntoInnerError::into_error)?.finish()
            }
            None => Ok(()),
        }
    }

    /// Puts the new files in the place of what was there before.
    pub(crate) fn finish(mut self) -> anyhow::Result<()> {
        self.end_part()?;
        // From here on the data set is incomplete.
        remove_if_there(&self.folder.join(SUCCESS))?;
        let journal = &self.place.journal;
        self.lock.set_len(0).with_context(|| format!("cannot write '{}'", journal.display()))?;
        remove_if_there(&self.place.data)?;
        remove_parts(&self.folder, 0)?;
        for part in 0..self.parts {
            let name = part_name(part);
            let to = self.folder.join(&name);
            fs::rename(self.staging.join(&name), &to)
                .with_context(|| format!("cannot write '{}'", to.display()))?;
        }
        sync_folder(&self.folder);
        write_success(&self.folder)
    }
}

impl Drop for DataSetWriter {
    fn drop(&mut self) {
        // A file cannot be removed on Windows while it is open.
        self.table = None;
        let _ = fs::remove_dir_all(&self.staging);
        if self.lock.metadata().is_ok_and(|found| found.len() == 0) {
            let _ = fs::remove_file(&self.place.journal);
        }
    }
}
