//! Writes rows as Apache Parquet. Its tables have their index at the end and cannot be appended to,
//! so rows are kept one by one, in the encoding of `cells`, until all of them are there.

use std::io::{BufWriter, IntoInnerError, Write};
use std::path::Path;

use anyhow::Context;

use super::cells::{decode, encode};
use super::parquet_table::{ParquetTable, TableSchema};
use super::replacement::Replacement;
use super::{Columns, Destination, OwnedCell, Record, RunOutput, Sink};
use crate::journal::{DoneImage, RunLog};

/// A row's cells, in the order of the columns.
pub(super) fn cells_of(record: &Record, columns: &Columns) -> Vec<OwnedCell> {
    columns.fields.iter().map(|field| record.cell(field).into()).collect()
}

/// Writes to standard output or something that is not a file, where a run cannot be continued.
pub(super) struct ParquetStream {
    table: ParquetTable<Destination>,
    columns: Columns,
}

impl ParquetStream {
    pub(super) fn new(destination: Destination, columns: Columns) -> anyhow::Result<Self> {
        let table = ParquetTable::new(destination, &TableSchema::of_file(&columns))?;
        Ok(Self { table, columns })
    }
}

impl Sink for ParquetStream {
    fn write(&mut self, record: &Record) -> anyhow::Result<()> {
        self.table.push(cells_of(record, &self.columns))
    }
}

impl RunOutput for ParquetStream {
    fn finish(self: Box<Self>, images: Option<u64>) -> anyhow::Result<()> {
        self.table.finish()?.finish_run(images)
    }
}

/// Writes to a file once all rows are there.
pub(super) struct ParquetFile {
    log: RunLog,
    keep_journal: bool,
    columns: Columns,
}

impl ParquetFile {
    pub(super) fn new(log: RunLog, keep_journal: bool, columns: Columns) -> Self {
        Self { log, keep_journal, columns }
    }
}

impl Sink for ParquetFile {
    fn write(&mut self, record: &Record) -> anyhow::Result<()> {
        let mut bytes = Vec::new();
        encode(&cells_of(record, &self.columns), &mut bytes);
        Ok(self.log.write_all(&bytes)?)
    }
}

impl RunOutput for ParquetFile {
    fn end_image(&mut self, image: &DoneImage) -> anyhow::Result<()> {
        self.log.end_image(image)
    }

    fn log(&mut self) -> Option<&mut RunLog> {
        Some(&mut self.log)
    }

    fn finish(mut self: Box<Self>, images: Option<u64>) -> anyhow::Result<()> {
        let Some(images) = images else { return self.log.leave() };
        let output = self.log.place().output.clone();
        write_table(&mut self.log, &output, &TableSchema::of_file(&self.columns))?;
        self.log.end(images)?;
        self.log.discard(self.keep_journal)
    }
}

/// Writes the rows of a log as one table, which appears only when it is complete.
pub(super) fn write_table(
    log: &mut RunLog,
    output: &Path,
    schema: &TableSchema,
) -> anyhow::Result<()> {
    let context = || format!("cannot write '{}'", output.display());
    let replacement = Replacement::create(output, &log.place().data)?;
    let mut table = ParquetTable::new(BufWriter::new(replacement), schema)?;
    log.replay(|image, _, mut bytes| {
        for _ in 0..image.rows {
            let row =
                decode(&mut bytes).context("a row that cannot be read back: this is a bug")?;
            table.push(row)?;
        }
        Ok(())
    })?;
    let writer = table.finish().with_context(context)?;
    writer.into_inner().map_err(IntoInnerError::into_error).with_context(context)?.finish()
}

/// Rows kept by a run until the table is complete go into `destination` as they are.
pub(super) fn open(destination: Destination, columns: Columns) -> anyhow::Result<Box<dyn Sink>> {
    Ok(match destination {
        Destination::Log { log, keep_journal } => {
            Box::new(ParquetFile::new(*log, keep_journal, columns))
        }
        destination => Box::new(ParquetStream::new(destination, columns)?),
    })
}
