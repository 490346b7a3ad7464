//! Qualities of images, as written by this and other programs.

use std::collections::HashMap;
use std::io::BufRead;
use std::path::Path;

use attn_fiqa::align::Landmarks;

use super::lines::Lines;
use super::names::{Missing, matched};
use super::{FileError, FileProblem, MatchedRows, error::sanitized, table};

/// The default column of a table.
pub const SCORE: &str = "score";

/// Numeric columns of `attn-fiqa score` that are no qualities, besides the landmarks: they say
/// where a face is, or how much its score varies.
const NON_QUALITY_COLUMNS: [&str; 14] = [
    "face",
    "box_x",
    "box_y",
    "box_width",
    "box_height",
    "detection_score",
    "confidence",
    "inter_eye_distance",
    "eye_distance",
    "roll",
    "yaw",
    "jitter_std",
    "width",
    "height",
];

/// Whether a column is a coordinate of a landmark, such as `left_eye_x`.
fn is_landmark(column: &str) -> bool {
    let name = column.strip_suffix("_x").or_else(|| column.strip_suffix("_y"));
    name.is_some_and(|name| Landmarks::NAMES.contains(&name))
}

/// The quality columns of a table: all numeric columns except those in which `attn-fiqa score`
/// describes a face's position or the spread of its scores.
///
/// # Errors
///
/// If the file cannot be read or is not a table.
pub fn quality_columns(path: &Path) -> Result<Vec<String>, FileError> {
    let Some(kind) = table::kind(path) else {
        let expected = "a .csv, .jsonl or .parquet file, the only kinds with named columns";
        return Err(FileError::new(&path.to_string_lossy(), FileProblem::WrongKind { expected }));
    };
    let mut columns = table::numeric_columns(path, kind)?;
    columns.retain(|name| !NON_QUALITY_COLUMNS.contains(&name.as_str()) && !is_landmark(name));
    Ok(columns)
}

/// How an image without a quality (its row says `nan`, or is empty) is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Failed {
    /// As an error, which names the first.
    #[default]
    Refuse,
    /// As the lowest quality of all: its comparisons are discarded first.
    Lowest,
}

/// One quality per image, as read from a file.
#[derive(Debug, Clone)]
pub struct QualityFile {
    /// The file.
    pub file: String,
    /// Paths or stems of the images.
    pub names: Vec<String>,
    /// The qualities, one per name; NaN if the image has none.
    pub values: Vec<f64>,
    /// Their line numbers, from 1; 0 if the format has no lines.
    lines: Vec<u64>,
}

/// Qualities in the order of the requested images.
#[derive(Debug, Clone, PartialEq)]
pub struct MatchedQualities {
    /// One quality per image; minus infinity for one that failed, NaN for one that is missing.
    pub values: Vec<f64>,
    /// Positions of the images without an entry.
    pub missing: Vec<usize>,
    /// Number of images matched by whole path.
    pub by_path: usize,
    /// Number of images matched by stem.
    pub by_stem: usize,
    /// Number of images with an entry but without a quality.
    pub failed: usize,
    /// Number of entries that no requested image matches.
    pub unused: usize,
}

impl QualityFile {
    /// Reads a quality file, by its extension: `.csv`, `.jsonl` or `.parquet` as written by
    /// `attn-fiqa score`, column `score` unless another is given; anything else is text,
    /// `path score` per line, split at the last space, tab or comma, since a path may contain
    /// spaces.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, lacks the column, a value is not a number, or one name has two
    /// qualities.
    pub fn read(path: &Path, column: Option<&str>) -> Result<Self, FileError> {
        let file = path.to_string_lossy();
        let qualities = match table::kind(path) {
            Some(kind) => {
                let (names, values, lines) =
                    table::read_numbers(path, kind, column.unwrap_or(SCORE))?;
                Self { file: file.into_owned(), names, values, lines }
            }
            None if column.is_some() => {
                let expected = "a .csv, .jsonl or .parquet file, the only kinds with named columns";
                return Err(FileError::new(&file, FileProblem::WrongKind { expected }));
            }
            None => Self::parse_lines(Lines::open(path)?)?,
        };
        qualities.checked()
    }

    /// Reads the text format from any reader; `file` is its name in errors.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub fn parse(file: &str, reader: impl BufRead) -> Result<Self, FileError> {
        Self::parse_lines(Lines::new(file, reader))?.checked()
    }

    fn parse_lines(mut lines: Lines<impl BufRead>) -> Result<Self, FileError> {
        let file = lines.file().to_owned();
        let (mut names, mut values, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
        while let Some((number, line)) = lines.next()? {
            let unexpected =
                || FileError::unexpected(&file, number, "`path score`, the score last", line);
            let (name, value) = line.rsplit_once([' ', '\t', ',']).ok_or_else(unexpected)?;
            let name = name.trim_end_matches([' ', '\t', ',']);
            let value: f64 = value.parse().map_err(|_| unexpected())?;
            if name.is_empty() || value.is_infinite() {
                return Err(unexpected());
            }
            names.push(name.to_owned());
            values.push(value);
            numbers.push(number);
        }
        Ok(Self { file, names, values, lines: numbers })
    }

    fn checked(self) -> Result<Self, FileError> {
        if self.names.is_empty() {
            return Err(FileError::new(&self.file, FileProblem::Empty { what: "quality" }));
        }
        let mut first = HashMap::with_capacity(self.names.len());
        for (index, name) in self.names.iter().enumerate() {
            let earlier = *first.entry(name.as_str()).or_insert(index);
            if !self.same(earlier, index) {
                let first = self.lines[earlier];
                let problem =
                    FileProblem::Contradiction { name: sanitized(name), what: "quality", first };
                return Err(FileError::at(&self.file, self.lines[index], problem));
            }
        }
        Ok(self)
    }

    fn same(&self, a: usize, b: usize) -> bool {
        let (a, b) = (self.values[a], self.values[b]);
        a == b || a.is_nan() && b.is_nan()
    }

    /// The entry of each image.
    ///
    /// # Errors
    ///
    /// If an image has none and `missing` requires all, or a name matches several different
    /// entries.
    pub fn rows_of(&self, images: &[String], missing: Missing) -> Result<MatchedRows, FileError> {
        let same = |a, b| self.same(a, b);
        matched((&self.file, "quality"), &self.names, images, missing, |_| false, same)
    }

    /// The qualities of these images, matched by whole path or else by its end.
    ///
    /// # Errors
    ///
    /// As [`Self::rows_of`], or if an image has no quality and that is refused.
    pub fn for_images(
        &self,
        images: &[String],
        failed: Failed,
        missing: Missing,
    ) -> Result<MatchedQualities, FileError> {
        let MatchedRows { rows, by_path, by_stem, missing } = self.rows_of(images, missing)?;
        let values = Vec::with_capacity(images.len());
        let mut matched =
            MatchedQualities { values, missing, by_path, by_stem, failed: 0, unused: 0 };
        let mut used = vec![false; self.names.len()];
        for (image, row) in images.iter().zip(rows) {
            let Some(row) = row else {
                matched.values.push(f64::NAN);
                continue;
            };
            used[row] = true;
            let mut value = self.values[row];
            if value.is_nan() {
                if failed == Failed::Refuse {
                    let expected = "a quality (an image without one can count as the lowest)";
                    let expected = expected.to_owned();
                    let none = format!("none for '{}'", sanitized(image));
                    let problem = FileProblem::Unexpected { expected, found: none };
                    return Err(match self.lines[row] {
                        0 => FileError::new(&self.file, problem),
                        line => FileError::at(&self.file, line, problem),
                    });
                }
                matched.failed += 1;
                value = f64::NEG_INFINITY;
            }
            matched.values.push(value);
        }
        matched.unused = used.iter().filter(|&&used| !used).count();
        Ok(matched)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::sync::Arc;

    use parquet::column::writer::ColumnWriter;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;

    /// Writes one row: the path `a`, and 7 in every other column.
    fn write_row(path: &Path, schema: &str) {
        let schema = Arc::new(parse_message_type(schema).expect("a schema"));
        let file = File::create(path).expect("a file");
        let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).expect("a writer");
        let mut group = writer.next_row_group().expect("a row group");
        while let Some(mut column) = group.next_column().expect("a column") {
            let written = match column.untyped() {
                ColumnWriter::ByteArrayColumnWriter(to) => {
                    to.write_batch(&["a".into()], None, None)
                }
                ColumnWriter::Int32ColumnWriter(to) => to.write_batch(&[7], None, None),
                ColumnWriter::Int64ColumnWriter(to) => to.write_batch(&[7], None, None),
                _ => panic!("another type"),
            };
            assert_eq!(written.expect("a cell"), 1);
            column.close().expect("a column");
        }
        group.close().expect("a row group");
        writer.close().expect("a file");
    }

    #[test]
    fn parquet_integers_of_every_width_are_qualities() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s.parquet");
        write_row(
            &path,
            "message m {
                required binary path (UTF8);
                required int32 i8 (INTEGER(8,true));
                required int32 i16 (INTEGER(16,true));
                required int32 i32;
                required int64 i64;
                required int32 u8 (INTEGER(8,false));
                required int32 u16 (INTEGER(16,false));
                required int32 u32 (INTEGER(32,false));
                required int64 u64 (INTEGER(64,false));
                required int32 day (DATE);
                required int64 instant (TIMESTAMP_MILLIS);
            }",
        );
        let columns = ["i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64"];
        assert_eq!(quality_columns(&path).expect("columns"), columns);
        for column in columns {
            let read = QualityFile::read(&path, Some(column)).expect(column);
            assert_eq!(read.values, [7.0], "{column}");
        }
        let error = QualityFile::read(&path, Some("day")).expect_err("a date").to_string();
        assert!(error.contains("expected numbers in the column 'day'"), "{error}");
    }
}
