//! A folder of Parquet files that readers treat as one table.
//!
//! Rows are kept one by one, as for a single file, until there are enough for a file, which then
//! appears complete. `_SUCCESS` appears once all files are there.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::parquet_rows::{cells_of, write_table};
use super::parquet_table::TableSchema;
use super::{Columns, Record, RunOutput, RunPlan, Sink, encode};
use crate::journal::{DoneImage, JournalReader, RunLog, RunPaths, sync_folder};

/// Marks a complete data set, as in Spark and Hadoop.
pub(crate) const SUCCESS: &str = "_SUCCESS";

/// The name of file number `part`.
pub(super) fn part_name(part: u64) -> String {
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
        let mut log = RunLog::open(place, &plan.fingerprint, plan.overwrite)?;
        check_parts(folder, &log)?;
        if log.done().images == 0 {
            // From here on the data set is incomplete.
            log.replace_finished()?;
            remove_if_there(&folder.join(SUCCESS))?;
        }
        remove_parts(folder, log.done().parts)?;
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
        check_parts(&self.folder, &self.log)?;
        self.log.end(images)?;
        write_success(&self.folder)?;
        self.log.discard(self.keep_journal)
    }
}

/// Fails if a file that holds rows of the run is not there.
fn check_parts(folder: &Path, log: &RunLog) -> anyhow::Result<()> {
    for part in 0..log.done().parts {
        let file = folder.join(part_name(part));
        if !file.is_file() {
            bail!(
                "'{}' is missing, and its rows cannot be recreated on their own: {}",
                file.display(),
                log.place().remedy()
            );
        }
    }
    Ok(())
}

/// Marks the data set as complete, on disk before anything is removed.
pub(super) fn write_success(folder: &Path) -> anyhow::Result<()> {
    let path = folder.join(SUCCESS);
    let written = File::create(&path).and_then(|file| file.sync_all());
    written.with_context(|| format!("cannot write '{}'", path.display()))?;
    sync_folder(folder);
    Ok(())
}

pub(super) fn remove_if_there(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove '{}'", path.display()))
        }
        _ => Ok(()),
    }
}

/// Whether a folder holds a run that can be continued. One that was killed in its last steps has
/// marked the data set as complete but still has files to remove; the journal of a shard stays.
pub(super) fn is_unfinished(folder: &Path, place: &RunPaths) -> bool {
    let is_shard = || {
        let journal = JournalReader::open(&place.journal);
        journal.map_or(true, |(fingerprint, _)| fingerprint.shard.is_some())
    };
    place.journal.exists() && (!folder.join(SUCCESS).exists() || place.data.exists() || !is_shard())
}

/// Creates the folder. Unless `overwrite`, refuses one with any contents that are not from an
/// unfinished run.
pub(super) fn open_folder(folder: &Path, place: &RunPaths, overwrite: bool) -> anyhow::Result<()> {
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder '{}'", folder.display()))?;
    if is_unfinished(folder, place) {
        return Ok(());
    }
    let mut entries = fs::read_dir(folder)
        .with_context(|| format!("cannot read the folder '{}'", folder.display()))?;
    if entries.next().is_none() {
        return Ok(());
    }
    if !overwrite {
        let complete = folder.join(SUCCESS).exists();
        let what = if complete { "holds a complete data set" } else { "is not empty" };
        bail!(
            "the folder '{}' {what}: name another, or use --overwrite to replace the data set in \
             it",
            folder.display()
        );
    }
    Ok(())
}

/// Removes the files of a data set from number `first` on, left by an earlier run.
pub(super) fn remove_parts(folder: &Path, first: u64) -> anyhow::Result<()> {
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
