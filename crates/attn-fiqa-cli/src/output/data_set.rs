//! A folder of Parquet files that readers treat as one table.
//!
//! Rows are kept one by one, as for a single file, until there are enough for a file, which then
//! appears complete. `_SUCCESS` appears once all files are there.

use std::fs;
use std::io::{BufWriter, IntoInnerError, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::parquet_rows::{cells_of, write_table};
use super::parquet_table::{ParquetTable, TableSchema};
use super::{Columns, NewFile, OwnedCell, Record, RunOutput, RunPlan, Sink, encode};
use crate::journal::{DoneImage, RunLog, RunPaths};

/// Marks a complete data set, as in Spark and Hadoop.
pub(crate) const SUCCESS: &str = "_SUCCESS";

/// The name of file number `part`.
pub(crate) fn part_name(part: u64) -> String {
    format!("part-{part:05}.parquet")
}

/// The number in a file name of this form.
fn part_number(name: &str) -> Option<u64> {
    name.strip_prefix("part-")?.strip_suffix(".parquet")?.parse().ok()
}

pub(super) struct DataSet {
    folder: PathBuf,
    log: RunLog,
    columns: Columns,
    schema: TableSchema,
    rows_per_file: u64,
    keep_journal: bool,
}

impl DataSet {
    /// Starts a data set in an empty or new folder, or continues one.
    pub(super) fn open(
        folder: &Path,
        columns: Columns,
        rows_per_file: u64,
        plan: &RunPlan,
    ) -> anyhow::Result<Self> {
        let place = RunPaths::inside(folder);
        open_folder(folder, &place, plan.overwrite)?;
        let log = RunLog::open(place, &plan.fingerprint, plan.overwrite)?;
        let done = log.done().parts;
        for part in 0..done {
            let file = folder.join(part_name(part));
            if !file.is_file() {
                bail!(
                    "'{}' is missing, and its rows cannot be recreated on their own: {}",
                    file.display(),
                    log.place().remedy()
                );
            }
        }
        remove_parts(folder, done)?;
        let schema = TableSchema::of_data_set(&columns);
        let keep_journal = plan.shard.is_some();
        let folder = folder.to_owned();
        let mut data_set = Self { folder, log, columns, schema, rows_per_file, keep_journal };
        data_set.end_part_if_full()?;
        Ok(data_set)
    }

    /// The rows of one image stay together, so a file may have slightly more rows than asked for.
    fn end_part_if_full(&mut self) -> anyhow::Result<()> {
        if self.log.done().rows_in_data >= self.rows_per_file {
            self.end_part()?;
        }
        Ok(())
    }

    /// Writes the rows so far as the next file.
    fn end_part(&mut self) -> anyhow::Result<()> {
        let part = self.log.done().parts;
        write_table(&mut self.log, &self.folder.join(part_name(part)), &self.schema)?;
        self.log.end_part(part)
    }
}

impl Sink for DataSet {
    fn write(&mut self, record: &Record) -> anyhow::Result<()> {
        let mut bytes = Vec::new();
        encode(&cells_of(record, &self.columns), &mut bytes);
        Ok(self.log.write_all(&bytes)?)
    }
}

impl RunOutput for DataSet {
    fn end_image(&mut self, image: &DoneImage) -> anyhow::Result<()> {
        self.log.end_image(image)?;
        self.end_part_if_full()
    }

    fn log(&mut self) -> Option<&mut RunLog> {
        Some(&mut self.log)
    }

    fn finish(mut self: Box<Self>, images: Option<u64>) -> anyhow::Result<()> {
        let Some(images) = images else { return self.log.leave() };
        let done = self.log.done();
        // A shard without images becomes a table without rows.
        if done.rows_in_data > 0 || done.parts == 0 {
            self.end_part()?;
        }
        self.log.end(images)?;
        let success = self.folder.join(SUCCESS);
        fs::write(&success, "").with_context(|| format!("cannot write '{}'", success.display()))?;
        self.log.discard(self.keep_journal)
    }
}

/// Creates the folder. Unless `overwrite`, refuses one with any contents that are not from an
/// unfinished run.
pub(crate) fn open_folder(folder: &Path, place: &RunPaths, overwrite: bool) -> anyhow::Result<()> {
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder '{}'", folder.display()))?;
    let success = folder.join(SUCCESS);
    let unfinished = place.journal.exists() && !success.exists();
    if unfinished {
        return Ok(());
    }
    let mut entries = fs::read_dir(folder)
        .with_context(|| format!("cannot read the folder '{}'", folder.display()))?;
    if entries.next().is_none() {
        return Ok(());
    }
    if !overwrite {
        let what = if success.exists() { "holds a complete data set" } else { "is not empty" };
        bail!(
            "the folder '{}' {what}: name another, or use --overwrite to replace the data set in \
             it",
            folder.display()
        );
    }
    // From here on the data set is incomplete.
    if success.exists() {
        fs::remove_file(&success)
            .with_context(|| format!("cannot remove '{}'", success.display()))?;
    }
    Ok(())
}

/// Removes the files of a data set from number `first` on, left by an earlier run.
pub(crate) fn remove_parts(folder: &Path, first: u64) -> anyhow::Result<()> {
    let context = || format!("cannot read the folder '{}'", folder.display());
    for entry in fs::read_dir(folder).with_context(context)? {
        let path = entry.with_context(context)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if part_number(&name).is_some_and(|number| number >= first) {
            fs::remove_file(&path)
                .with_context(|| format!("cannot remove '{}'", path.display()))?;
        }
    }
    Ok(())
}

/// The files of a data set, in order.
pub(crate) fn parts(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut count = 0;
    let mut found = Vec::new();
    loop {
        let path = folder.join(part_name(count));
        if !path.is_file() {
            return Ok(found);
        }
        found.push(path);
        count += 1;
    }
}

/// Writes a data set whose rows are all available.
pub(crate) struct DataSetWriter {
    folder: PathBuf,
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
        open_folder(folder, &RunPaths::inside(folder), overwrite)?;
        remove_parts(folder, 0)?;
        let folder = folder.to_owned();
        let mut writer = Self { folder, schema, rows_per_file, parts: 0, rows: 0, table: None };
        writer.start_part()?;
        Ok(writer)
    }

    fn start_part(&mut self) -> anyhow::Result<()> {
        let file = NewFile::create(&self.folder.join(part_name(self.parts)))?;
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

    pub(crate) fn finish(mut self) -> anyhow::Result<()> {
        self.end_part()?;
        let success = self.folder.join(SUCCESS);
        fs::write(&success, "").with_context(|| format!("cannot write '{}'", success.display()))
    }
}
