//! Copies kept rows of CSV and JSON lines unchanged.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use attn_fiqa_eval::selection::Selection;

use crate::output::Destination;

/// Bytes read at once.
const BUFFER: usize = 1 << 16;

fn open(table: &Path) -> anyhow::Result<BufReader<File>> {
    let file = File::open(table).with_context(|| format!("cannot read '{}'", table.display()))?;
    Ok(BufReader::with_capacity(BUFFER, file))
}

/// Copies the heading of the first table and the kept rows of all.
pub(super) fn csv(
    destination: Destination,
    tables: &[PathBuf],
    selection: &Selection,
) -> anyhow::Result<u64> {
    let mut writer = csv::WriterBuilder::new().from_writer(destination);
    let (mut row, mut written) = (0, 0);
    let mut heading: Option<(csv::ByteRecord, &Path)> = None;
    for table in tables {
        let damaged = || format!("cannot read '{}'", table.display());
        let mut reader = csv::Reader::from_reader(open(table)?);
        let own = reader.byte_headers().with_context(damaged)?.clone();
        match &heading {
            None => {
                writer.write_byte_record(&own)?;
                heading = Some((own, table));
            }
            Some((first, of)) if *first != own => bail!(
                "'{}' does not have the columns of '{}'; filter them one by one",
                table.display(),
                of.display()
            ),
            Some(_) => {}
        }
        let mut record = csv::ByteRecord::new();
        while reader.read_byte_record(&mut record).with_context(damaged)? {
            if selection.keeps(row) {
                writer.write_byte_record(&record)?;
                written += 1;
            }
            row += 1;
        }
    }
    let destination = writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
    destination.finish()?;
    Ok(written)
}

/// Copies the kept lines of all tables.
pub(super) fn jsonl(
    mut destination: Destination,
    tables: &[PathBuf],
    selection: &Selection,
) -> anyhow::Result<u64> {
    let (mut row, mut written) = (0, 0);
    let mut line = Vec::new();
    for table in tables {
        let mut reader = open(table)?;
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line);
            if read.with_context(|| format!("cannot read '{}'", table.display()))? == 0 {
                break;
            }
            let text = line.trim_ascii();
            if text.is_empty() {
                continue;
            }
            if selection.keeps(row) {
                destination.write_all(text)?;
                destination.write_all(b"\n")?;
                written += 1;
            }
            row += 1;
        }
    }
    destination.finish()?;
    Ok(written)
}
