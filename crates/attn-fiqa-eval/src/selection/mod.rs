//! Selects which scored rows are kept: by status, by a minimum quality, and the best of each group.
//!
//! [`Selection::of`] reads tables of any size, at most twice, in bounded memory. Each row that
//! passes the status and the quality becomes a record of 33 bytes; the records are sorted by group
//! and rank, on disk if they exceed [`SelectionOptions::memory`]. In addition, there is one bit per
//! row. An embedded database would do the same, but DuckDB's library is larger than this whole
//! program, and DataFusion brings in several hundred crates, for one sort and no queries.

mod external_sort;
mod kept;

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::files::{FileError, GroupFile, MatchedRows, Missing, ScoreFile, ScoreRow};
use crate::fraction::portion;
use crate::sort_key::sort_key;

use external_sort::Sorter;
use kept::Kept;

/// What defines a group; the best rows of each are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupBy {
    /// The folder of the image, or its archive.
    Folder,
    /// A column of the tables or, with [`SelectionOptions::labels`], of the labels.
    Column(String),
    /// All rows are one group.
    All,
}

/// What is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct SelectionOptions {
    /// Only rows of these statuses, such as `ok`; of every status if empty.
    pub statuses: Vec<String>,
    /// Only rows of at least this quality, 0 to 100; rows without a quality are rejected.
    pub reject_below: Option<i8>,
    /// At most this many rows per group, the best first.
    pub top: Option<u64>,
    /// At most this fraction of the rows of each group that pass the status and the quality,
    /// rounded up, from 0 to 1.
    pub top_fraction: Option<f64>,
    /// What defines a group.
    pub by: GroupBy,
    /// A table of labels by image, read as [`GroupFile`] does. The names of all images are then
    /// held in memory.
    pub labels: Option<PathBuf>,
    /// Images without a label; if they are not an error, they are left out.
    pub missing: Missing,
    /// Maximum size of the records in memory, in bytes, before they are sorted on disk.
    pub memory: usize,
    /// The folder of the temporary file used for sorting.
    pub folder: PathBuf,
}

impl Default for SelectionOptions {
    fn default() -> Self {
        Self {
            statuses: Vec::new(),
            reject_below: None,
            top: None,
            top_fraction: None,
            by: GroupBy::Folder,
            labels: None,
            missing: Missing::default(),
            memory: 64 << 20,
            folder: std::env::temp_dir(),
        }
    }
}

impl SelectionOptions {
    /// Whether groups matter.
    fn ranks(&self) -> bool {
        self.top.is_some() || self.top_fraction.is_some()
    }

    /// How many rows of a group of `rows` are kept.
    fn quota(&self, rows: u64) -> u64 {
        let best = self.top_fraction.map_or(rows, |fraction| portion(fraction, rows).ceil() as u64);
        best.min(self.top.unwrap_or(rows))
    }
}

/// Which rows of some tables are kept. Rows are numbered from 0 across all tables.
#[derive(Debug, Clone)]
pub struct Selection {
    kept: Kept,
    /// Number of rows.
    pub rows: u64,
    /// Rows left out by their status.
    pub other_status: u64,
    /// Rows left out by their quality.
    pub below: u64,
    /// Rows left out because their image has no label.
    pub unlabelled: u64,
    /// Rows left out because others of their group are better.
    pub outranked: u64,
    /// Number of groups, if rows are ranked.
    pub groups: u64,
}

/// The hash of a group, the rank in it and the number of the row, in the order of comparison.
type Record = [u8; GROUP + RANK + ROW];
const GROUP: usize = 16;
const RANK: usize = 9;
const ROW: usize = 8;

impl Selection {
    /// Decides which rows of some tables of `attn-fiqa score` are kept.
    ///
    /// Rows of a group rank by quality, then by score, then by their order.
    ///
    /// # Errors
    ///
    /// If a table cannot be read or lacks a column, an image has no label and that is an error, or
    /// the temporary file cannot be written.
    pub fn of(tables: &[PathBuf], options: &SelectionOptions) -> Result<Self, FileError> {
        let own_label: &[String] = match (&options.by, &options.labels) {
            (GroupBy::Column(column), None) if options.ranks() => std::slice::from_ref(column),
            _ => &[],
        };
        let mut selection = Self {
            kept: Kept::default(),
            rows: 0,
            other_status: 0,
            below: 0,
            unlabelled: 0,
            outranked: 0,
            groups: 0,
        };
        let labels = Labels::read(tables, options)?;
        let mut image = Images::default();
        let failed = |error| FileError::io(&options.folder, error);
        let mut sorter = Sorter::new(options.memory, &options.folder);
        for table in tables {
            let file = ScoreFile::open_ranking(table, own_label)?;
            file.each_row(|row| {
                let number = selection.rows;
                selection.rows += 1;
                let image = image.next(row.path);
                if !options.statuses.is_empty()
                    && !options.statuses.iter().any(|status| status == row.status)
                {
                    selection.other_status += 1;
                    return Ok(());
                }
                let quality = row.quality.filter(|&quality| quality >= 0);
                if options.reject_below.is_some_and(|least| quality.is_none_or(|q| q < least)) {
                    selection.below += 1;
                    return Ok(());
                }
                if !options.ranks() {
                    selection.kept.insert(number);
                    return Ok(());
                }
                let group = match &labels {
                    Some(labels) => labels.of(image),
                    None => own_group(row, &options.by),
                };
                match group {
                    None => selection.unlabelled += 1,
                    Some(group) => sorter.push(record(group, row, number)).map_err(failed)?,
                }
                Ok(())
            })?;
        }
        selection.rank(sorter, options).map_err(failed)?;
        Ok(selection)
    }

    /// Keeps the best of each group.
    fn rank(&mut self, sorter: Sorter<'_, 33>, options: &SelectionOptions) -> io::Result<()> {
        let mut sorted = sorter.finish()?;
        // The size of a group is known only at its end, so rows are counted first.
        let mut sizes = Sizes::new(&options.folder)?;
        sorted.each(|record| sizes.count(&record[..GROUP]))?;
        let mut sizes = sizes.finish()?;
        let (mut last, mut left) = (None, 0);
        sorted.each(|record| {
            let (group, row) = (&record[..GROUP], &record[GROUP + RANK..]);
            if last.as_deref() != Some(group) {
                last = Some(group.to_vec());
                left = options.quota(sizes.next()?);
                self.groups += 1;
            }
            if left > 0 {
                left -= 1;
                self.kept
                    .insert(u64::from_be_bytes(row.try_into().expect("8 bytes: this is a bug")));
            } else {
                self.outranked += 1;
            }
            Ok(())
        })
    }

    /// Whether a row is kept.
    pub fn keeps(&self, row: u64) -> bool {
        self.kept.contains(row)
    }

    /// Number of rows that are kept.
    pub fn kept(&self) -> u64 {
        self.kept.count()
    }
}

/// The group of a row according to the row itself; `None` if its cell is empty.
fn own_group<'r>(row: &ScoreRow<'r>, by: &GroupBy) -> Option<&'r str> {
    match by {
        GroupBy::All => Some(""),
        GroupBy::Folder => Some(folder(row.path)),
        GroupBy::Column(_) => {
            row.labels.first().map(|label| label.trim()).filter(|l| !l.is_empty())
        }
    }
}

/// The folder or archive that an image is in.
fn folder(path: &str) -> &str {
    match path.rsplit_once(['/', std::path::MAIN_SEPARATOR]) {
        Some(("", _)) => "/",
        Some((folder, _)) => folder,
        None => ".",
    }
}

/// Smaller records rank higher.
fn record(group: &str, row: &ScoreRow<'_>, number: u64) -> Record {
    let mut record = [0; GROUP + RANK + ROW];
    // Among 10⁹ groups, two have the same 128 bits with a probability of 10⁻²¹.
    record[..GROUP].copy_from_slice(&Sha256::digest(group)[..GROUP]);
    // 101 ranks below the quality 0.
    record[GROUP] = (100 - row.quality.unwrap_or(-1)) as u8;
    let score = row.score.map_or(u64::MAX, |score| !sort_key(score));
    record[GROUP + 1..GROUP + RANK].copy_from_slice(&score.to_be_bytes());
    record[GROUP + RANK..].copy_from_slice(&number.to_be_bytes());
    record
}

/// The number of rows of each group, in the order of the groups, on disk: there may be as many
/// groups as rows.
struct Sizes {
    writer: BufWriter<File>,
    group: Option<Vec<u8>>,
    count: u64,
}

impl Sizes {
    fn new(folder: &Path) -> io::Result<Self> {
        let writer = BufWriter::new(tempfile::tempfile_in(folder)?);
        Ok(Self { writer, group: None, count: 0 })
    }

    fn count(&mut self, group: &[u8]) -> io::Result<()> {
        if self.group.as_deref() != Some(group) {
            self.end_group()?;
            self.group = Some(group.to_vec());
        }
        self.count += 1;
        Ok(())
    }

    fn end_group(&mut self) -> io::Result<()> {
        if self.group.is_some() {
            self.writer.write_all(&self.count.to_be_bytes())?;
        }
        self.count = 0;
        Ok(())
    }

    fn finish(mut self) -> io::Result<ReadSizes> {
        self.end_group()?;
        let mut file = self.writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        Ok(ReadSizes(BufReader::new(file)))
    }
}

struct ReadSizes(BufReader<File>);

impl ReadSizes {
    fn next(&mut self) -> io::Result<u64> {
        let mut count = [0; 8];
        self.0.read_exact(&mut count)?;
        Ok(u64::from_be_bytes(count))
    }
}

/// Numbers images while rows are read: the rows of one image are consecutive.
#[derive(Default)]
struct Images {
    last: Option<String>,
    number: usize,
}

impl Images {
    fn next(&mut self, path: &str) -> usize {
        match &mut self.last {
            Some(last) if last == path => {}
            Some(last) => {
                path.clone_into(last);
                self.number += 1;
            }
            none => *none = Some(path.to_owned()),
        }
        self.number
    }
}

/// The groups of images, from another file.
struct Labels {
    file: GroupFile,
    found: MatchedRows,
}

impl Labels {
    fn read(tables: &[PathBuf], options: &SelectionOptions) -> Result<Option<Self>, FileError> {
        let (Some(path), GroupBy::Column(column), true) =
            (&options.labels, &options.by, options.ranks())
        else {
            return Ok(None);
        };
        let (mut names, mut image) = (Vec::new(), Images::default());
        for table in tables {
            ScoreFile::open_ranking(table, &[])?.each_row(|row| {
                if image.next(row.path) == names.len() {
                    names.push(row.path.to_owned());
                }
                Ok(())
            })?;
        }
        let file = GroupFile::read(path, Some(column))?;
        let found = file.rows_of(&names, options.missing)?;
        Ok(Some(Self { file, found }))
    }

    fn of(&self, image: usize) -> Option<&str> {
        Some(&self.file.groups[self.found.rows[image]?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_quota_rounds_up_without_float_error() {
        let quota = |fraction, top, rows| {
            let options = SelectionOptions { top, top_fraction: fraction, ..Default::default() };
            options.quota(rows)
        };
        assert_eq!(quota(Some(0.8), None, 5), 4);
        assert_eq!(quota(Some(0.8), None, 6), 5);
        assert_eq!(quota(Some(0.07), None, 100), 7);
        assert_eq!(quota(Some(0.01), None, 3), 1);
        assert_eq!(quota(Some(1e-12), None, 3), 1);
        assert_eq!(quota(Some(0.0), None, 3), 0);
        assert_eq!(quota(Some(1.0), Some(2), 3), 2);
        assert_eq!(quota(None, Some(9), 3), 3);
    }

    #[test]
    fn folder_is_parent_of_path() {
        for (path, expected) in [("a/b/c.jpg", "a/b"), ("c.jpg", "."), ("/c.jpg", "/")] {
            assert_eq!(folder(path), expected);
        }
    }
}
