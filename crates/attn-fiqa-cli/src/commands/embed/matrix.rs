//! Writes one matrix, and the names of its rows in a text file next to it. Faces without an
//! embedding are in neither.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};
use attn_fiqa::pipeline::Row;
use attn_fiqa_eval::files::npy;

use super::writer::embedding_of;
use crate::journal::{DoneImage, RunLog};
use crate::output::{Destination, NewFile, RunOutput, RunPlan, printable};

pub(super) struct Matrix {
    /// For each face, the length of its name in four bytes, the name, and the numbers; in the
    /// output file the shape comes before the numbers, but it is known only after them.
    log: RunLog,
    /// The length of an embedding.
    dim: usize,
    rows: usize,
}

impl Matrix {
    pub(super) fn open(path: &Path, plan: &RunPlan) -> anyhow::Result<Self> {
        let Destination::Log { log, .. } = Destination::open_run(Some(path), plan)? else {
            bail!("'{}' cannot hold a matrix and its list of names", path.display())
        };
        if plan.shard.is_some() {
            bail!("--shard: `merge` joins rows; write .csv, .jsonl or .parquet");
        }
        // Detect unwritable outputs before any work.
        NewFile::create(&path.with_extension("txt"))?;
        let mut matrix = Self { log: *log, dim: 0, rows: 0 };
        let (mut dim, mut rows) = (0, 0);
        matrix.log.replay(|_, _, bytes| {
            for_each_row(bytes, |_, numbers| {
                (dim, rows) = (numbers.len() / 4, rows + 1);
                Ok(())
            })
        })?;
        (matrix.dim, matrix.rows) = (dim, rows);
        Ok(matrix)
    }

    pub(super) fn write(&mut self, row: &Row) -> anyhow::Result<()> {
        let Some(embedding) = embedding_of(row) else { return Ok(()) };
        let label = printable(&row.label());
        for length in [label.len(), embedding.len()] {
            self.log.write_all(&u32::try_from(length)?.to_le_bytes())?;
        }
        self.log.write_all(label.as_bytes())?;
        self.log.write_all(&npy::numbers(embedding))?;
        (self.dim, self.rows) = (embedding.len(), self.rows + 1);
        Ok(())
    }
}

impl RunOutput for Matrix {
    fn end_image(&mut self, image: &DoneImage) -> anyhow::Result<()> {
        self.log.end_image(image)
    }

    fn log(&mut self) -> Option<&mut RunLog> {
        Some(&mut self.log)
    }

    fn finish(mut self: Box<Self>, images: Option<u64>) -> anyhow::Result<()> {
        let Some(images) = images else { return self.log.leave() };
        let output = self.log.place().output.clone();
        let mut matrix = NewFile::create(&output)?;
        let mut names = NewFile::create(&output.with_extension("txt"))?;
        matrix.write_all(&npy::header(&[self.rows, self.dim]))?;
        self.log.replay(|_, _, bytes| {
            for_each_row(bytes, |name, numbers| {
                names.write_all(name)?;
                names.write_all(b"\n")?;
                Ok(matrix.write_all(numbers)?)
            })
        })?;
        matrix.finish()?;
        names.finish()?;
        self.log.end(images)?;
        self.log.discard(false)
    }
}

/// Calls `each` with the name and the numbers of each row of an image.
fn for_each_row(
    mut bytes: &[u8],
    mut each: impl FnMut(&[u8], &[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut take = |count: usize| {
        let (taken, rest) = bytes.split_at_checked(count)?;
        bytes = rest;
        Some(taken)
    };
    let length = |bytes: &[u8]| Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize);
    while let Some(name) = take(4).and_then(length) {
        let row = take(4).and_then(length).and_then(|dim| Some((take(name)?, take(4 * dim)?)));
        let (name, numbers) = row.context("a row that cannot be read back: this is a bug")?;
        each(name, numbers)?;
    }
    Ok(())
}
