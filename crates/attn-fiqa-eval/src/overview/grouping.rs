//! Qualities by group.

use std::collections::HashMap;

use super::OverviewOptions;
use crate::files::{FileError, FileProblem, GroupFile, ScoreFile, ScoreRow};
use crate::groups::{GroupQualities, sort_groups};
use crate::scale_counts::ScaleCounts;

/// A column with more groups is not one to group by.
const MAX_GROUPS: usize = 200;

/// The qualities of each group of one column.
#[derive(Debug, Clone)]
pub struct Grouping {
    /// The column.
    pub by: String,
    /// One row for all with a label, then one per group.
    pub rows: Vec<GroupQualities>,
    /// The qualities of all with a label, then of each group; as long as `rows`.
    pub counts: Vec<ScaleCounts>,
    /// Number of images without a label, which are left out.
    pub unlabelled: u64,
}

/// The qualities of the groups of one column, while rows are read.
#[derive(Default)]
struct Column {
    places: HashMap<String, usize>,
    counts: Vec<ScaleCounts>,
    unlabelled: u64,
}

impl Column {
    fn add(&mut self, group: &str, quality: i8, is_new_image: bool) -> Result<(), TooMany> {
        if group.is_empty() {
            self.unlabelled += u64::from(is_new_image);
            return Ok(());
        }
        let place = match self.places.get(group) {
            Some(&place) => place,
            None if self.counts.len() == MAX_GROUPS => return Err(TooMany),
            None => {
                self.places.insert(group.to_owned(), self.counts.len());
                self.counts.push(ScaleCounts::default());
                self.counts.len() - 1
            }
        };
        self.counts[place].add(quality);
        Ok(())
    }

    fn finish(self, by: &str, reject_below: i8) -> Grouping {
        let mut all = ScaleCounts::default();
        self.counts.iter().for_each(|counts| all.merge(counts));
        let mut names: Vec<String> = self.places.keys().cloned().collect();
        sort_groups(&mut names);
        let mut rows = vec![GroupQualities::of(None, &all, reject_below)];
        let mut counts = vec![all];
        for name in names {
            let own = self.counts[self.places[&name]].clone();
            rows.push(GroupQualities::of(Some(name), &own, reject_below));
            counts.push(own);
        }
        Grouping { by: by.to_owned(), rows, counts, unlabelled: self.unlabelled }
    }
}

/// More than [`MAX_GROUPS`] groups.
struct TooMany;

impl TooMany {
    fn problem(by: &str) -> FileProblem {
        FileProblem::Unexpected {
            expected: format!("a column of at most {MAX_GROUPS} groups"),
            found: format!("more in '{}'", crate::files::sanitized(by)),
        }
    }
}

/// Every grouping of an overview, while rows are read.
pub(super) struct Groupings<'o> {
    options: &'o OverviewOptions,
    /// By the table's own columns.
    columns: Vec<Column>,
    /// If labels are in another file: the images, and each row's image and quality.
    images: Vec<String>,
    rows: Vec<(usize, i8)>,
}

impl<'o> Groupings<'o> {
    pub(super) fn new(options: &'o OverviewOptions) -> Self {
        let columns = options.by.iter().map(|_| Column::default()).collect();
        Self { options, columns, images: Vec::new(), rows: Vec::new() }
    }

    pub(super) fn add(
        &mut self,
        file: &ScoreFile,
        row: &ScoreRow<'_>,
        quality: i8,
        is_new_image: bool,
    ) -> Result<(), FileError> {
        if self.options.labels.is_some() {
            if is_new_image {
                self.images.push(row.path.to_owned());
            }
            self.rows.push((self.images.len() - 1, quality));
            return Ok(());
        }
        for ((column, by), group) in self.columns.iter_mut().zip(&self.options.by).zip(row.labels) {
            let added = column.add(group.trim(), quality, is_new_image);
            added.map_err(|TooMany| {
                FileError::new(&file.path().to_string_lossy(), TooMany::problem(by))
            })?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Vec<Grouping>, FileError> {
        if let Some(labels) = &self.options.labels {
            for (column, by) in self.columns.iter_mut().zip(&self.options.by) {
                let file = GroupFile::read(labels, Some(by))?;
                let found = file.rows_of(&self.images, self.options.missing)?;
                let mut last = None;
                for &(image, quality) in &self.rows {
                    let is_new_image = last.replace(image) != Some(image);
                    let group = found.rows[image].map_or("", |row| &file.groups[row]);
                    column
                        .add(group, quality, is_new_image)
                        .map_err(|TooMany| FileError::new(&file.file, TooMany::problem(by)))?;
                }
            }
        }
        let columns = self.columns.into_iter().zip(&self.options.by);
        Ok(columns.map(|(column, by)| column.finish(by, self.options.reject_below)).collect())
    }
}
