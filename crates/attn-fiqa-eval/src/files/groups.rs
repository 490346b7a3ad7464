//! Which group each image belongs to, for a table by group.

use std::collections::HashMap;
use std::path::Path;

use super::lines::Lines;
use super::names::{Missing, matched};
use super::{FileError, FileProblem, MatchedRows, error::sanitized, table};

/// One group per image, as read from a file.
#[derive(Debug, Clone)]
pub struct GroupFile {
    /// The file.
    pub file: String,
    /// Paths or stems of the images.
    pub names: Vec<String>,
    /// The groups, one per name; empty if it has none.
    pub groups: Vec<String>,
}

impl GroupFile {
    /// Reads groups: a `.csv` file with columns `path` (or `name`) and `group` (or the given
    /// column), or, without a given column, text, `path group` per line, split at the last space,
    /// tab or comma.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, has another format, or one name has two groups.
    pub fn read(path: &Path, column: Option<&str>) -> Result<Self, FileError> {
        let file = path.to_string_lossy().into_owned();
        let (mut names, mut groups, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
        let kind = table::kind(path);
        if kind == Some(table::Kind::Csv) {
            let heading = table::csv_heading(path)?;
            let is_there = |name: &str| heading.iter().any(|column| column == name);
            let path_column = if is_there("path") || !is_there("name") { "path" } else { "name" };
            table::each_csv_row(path, &[path_column, column.unwrap_or("group")], |line, cells| {
                names.push(cells[0].to_owned());
                groups.push(cells[1].trim().to_owned());
                numbers.push(line);
                Ok(())
            })?;
        } else if kind.is_some() || column.is_some() {
            let expected = match column {
                Some(_) => "a .csv file, the only kind of group file with named columns",
                None => "a .csv file or text, `path group` per line",
            };
            return Err(FileError::new(&file, FileProblem::WrongKind { expected }));
        } else {
            let mut lines = Lines::open(path)?;
            while let Some((number, line)) = lines.next()? {
                let (name, group) = line.rsplit_once([' ', '\t', ',']).ok_or_else(|| {
                    FileError::unexpected(&file, number, "`path group`, the group last", line)
                })?;
                names.push(name.trim_end_matches([' ', '\t', ',']).to_owned());
                groups.push(group.trim().to_owned());
                numbers.push(number);
            }
        }
        if names.is_empty() {
            return Err(FileError::new(&file, FileProblem::Empty { what: "group" }));
        }
        let mut first = HashMap::new();
        for (index, name) in names.iter().enumerate() {
            let earlier = *first.entry(name.as_str()).or_insert(index);
            if groups[earlier] != groups[index] {
                let (what, first) = ("group", numbers[earlier]);
                let problem = FileProblem::Contradiction { name: sanitized(name), what, first };
                return Err(FileError::at(&file, numbers[index], problem));
            }
        }
        Ok(Self { file, names, groups })
    }

    /// The entry of each image; an entry with an empty group is none.
    ///
    /// # Errors
    ///
    /// If an image has none and `missing` requires all, or a name matches several different
    /// entries.
    pub fn rows_of(&self, images: &[String], missing: Missing) -> Result<MatchedRows, FileError> {
        let same = |a: usize, b: usize| self.groups[a] == self.groups[b];
        let is_empty = |row: usize| self.groups[row].is_empty();
        matched((&self.file, "group"), &self.names, images, missing, is_empty, same)
    }

    /// The group of each image: the distinct groups, sorted, and an index into them for each image.
    ///
    /// # Errors
    ///
    /// If an image has no group, or a name matches several different entries.
    pub fn for_images(&self, images: &[String]) -> Result<(Vec<String>, Vec<u32>), FileError> {
        let mut distinct = self.groups.clone();
        distinct.retain(|group| !group.is_empty());
        distinct.sort();
        distinct.dedup();
        let rows = self.rows_of(images, Missing::Fail)?.rows;
        let number = |row: usize| {
            let group = distinct.binary_search(&self.groups[row]);
            group.expect("every group is among them: this is a bug") as u32
        };
        let found = rows.into_iter().flatten().map(number).collect();
        Ok((distinct, found))
    }
}
