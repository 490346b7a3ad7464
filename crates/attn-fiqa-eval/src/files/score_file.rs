//! A table of `attn-fiqa score`, row by row: the parts that an overview of a set needs.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use attn_fiqa::components::Component;
use attn_fiqa::score::FAILURE_TO_COMPUTE;
use attn_fiqa::status::Status;

use super::error::quoted;
use super::table::{self, Kind};
use super::{FileError, FileProblem, text_rows};

/// A table written by `attn-fiqa score`, of any size: rows are read one by one.
#[derive(Debug)]
pub struct ScoreFile {
    path: PathBuf,
    kind: Kind,
    places: Places,
    /// The columns that are read.
    columns: Vec<String>,
}

/// One face, or an image without one.
#[derive(Debug, Clone)]
pub struct ScoreRow<'r> {
    /// The number of the line or, in a format without lines, of the row, from 1.
    pub number: u64,
    /// The image, as named in the file.
    pub path: &'r str,
    /// The number of the face in its image.
    pub face: Option<u32>,
    /// The status; `ok` if there is no such column.
    pub status: &'r str,
    /// 0 to 100, or −1 if it could not be computed; `None` if the cell is empty.
    pub quality: Option<i8>,
    /// The score that the quality was mapped from.
    pub score: Option<f64>,
    /// The face's bounding box in pixels of the upright image: x, y, width, height.
    pub bounds: Option<[f32; 4]>,
    /// The main cause of a low quality, empty for a face without one; `None` if there is no such
    /// column.
    pub main_cause: Option<&'r str>,
    /// Causes and their strengths from 0 to 1; `None` if there is no such column.
    pub causes: Option<&'r [(String, f32)]>,
    /// Why there is no score, or what was changed or ignored.
    pub message: &'r str,
    /// The component measures of the file: native value, and value on 0 to 100.
    pub components: &'r [(Component, Option<f32>, Option<i8>)],
    /// The cells of the requested additional columns.
    pub labels: &'r [Cow<'r, str>],
}

/// Positions of the columns among those that are read.
#[derive(Debug, Default)]
struct Places {
    face: Option<usize>,
    status: Option<usize>,
    score: Option<usize>,
    bounds: Option<[usize; 4]>,
    main_cause: Option<usize>,
    causes: Option<usize>,
    message: Option<usize>,
    components: Vec<(Component, Option<usize>, Option<usize>)>,
    /// The first of the requested columns; the others follow.
    labels: usize,
}

/// The columns that every file must have, in the order in which they are read.
const REQUIRED: [&str; 2] = ["path", "quality"];
const PATH: usize = 0;
const QUALITY: usize = 1;

impl ScoreFile {
    /// Opens a table by its extension: `.csv`, `.jsonl` or `.parquet`. `labels` are additional
    /// columns to read.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, has another format, or lacks the column `path`, `quality` or one
    /// of `labels`.
    pub fn open(path: &Path, labels: &[String]) -> Result<Self, FileError> {
        Self::open_columns(path, labels, true)
    }

    /// The same, but reads only what is needed to rank rows: the path, status, quality and score,
    /// and `labels`. All other columns are treated as absent.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn open_ranking(path: &Path, labels: &[String]) -> Result<Self, FileError> {
        Self::open_columns(path, labels, false)
    }

    fn open_columns(path: &Path, labels: &[String], all: bool) -> Result<Self, FileError> {
        let file = path.to_string_lossy();
        let Some(kind) = table::kind(path) else {
            let expected = "a .csv, .jsonl or .parquet file as `attn-fiqa score` writes them";
            return Err(FileError::new(&file, FileProblem::WrongKind { expected }));
        };
        let heading = text_rows::heading(path, kind)?;
        let exists = |name: &str| heading.iter().any(|column| column == name);
        let wanted = REQUIRED.iter().copied().chain(labels.iter().map(String::as_str));
        if let Some(missing) = wanted.into_iter().find(|name| !exists(name)) {
            return Err(table::no_column(&file, missing, heading.iter().map(String::as_str)));
        }
        let mut columns: Vec<String> = REQUIRED.map(str::to_owned).into();
        let mut place = |name: &str| {
            exists(name).then(|| {
                columns.push(name.to_owned());
                columns.len() - 1
            })
        };
        let (status, score) = (place("status"), place("score"));
        if !all {
            let places = Places { status, score, labels: columns.len(), ..Places::default() };
            columns.extend(labels.iter().cloned());
            return Ok(Self { path: path.to_owned(), kind, places, columns });
        }
        let mut places = Places {
            face: place("face"),
            status,
            score,
            main_cause: place("main_cause"),
            causes: place("causes"),
            message: place("message"),
            ..Places::default()
        };
        let bounds = ["box_x", "box_y", "box_width", "box_height"];
        if bounds.iter().all(|name| exists(name)) {
            let first = columns.len();
            columns.extend(bounds.map(str::to_owned));
            places.bounds = Some([0, 1, 2, 3].map(|index| first + index));
        }
        for component in Component::ALL {
            let mut place = |name: String| {
                exists(&name).then(|| {
                    columns.push(name);
                    columns.len() - 1
                })
            };
            let native = place(component.name().to_owned());
            let scalar = place(format!("{}.scalar", component.name()));
            if native.is_some() || scalar.is_some() {
                places.components.push((component, native, scalar));
            }
        }
        places.labels = columns.len();
        columns.extend(labels.iter().cloned());
        Ok(Self { path: path.to_owned(), kind, places, columns })
    }

    /// Whether it has a column of causes or of the main cause.
    pub fn has_causes(&self) -> bool {
        self.places.main_cause.is_some() || self.places.causes.is_some()
    }

    /// Whether the faces of an image have numbers; if not, every row is an image.
    pub fn has_faces(&self) -> bool {
        self.places.face.is_some()
    }

    /// Calls `take` with every row, in the order of the file.
    ///
    /// # Errors
    ///
    /// If the file cannot be read to its end or a cell is not valid for its column, and every error
    /// of `take`.
    pub fn each_row(
        &self,
        mut take: impl FnMut(&ScoreRow<'_>) -> Result<(), FileError>,
    ) -> Result<(), FileError> {
        let columns: Vec<&str> = self.columns.iter().map(String::as_str).collect();
        let (mut components, mut causes) = (Vec::new(), Vec::new());
        text_rows::each(&self.path, self.kind, &columns, |number, cells| {
            let cell = Cells { file: self, number, cells };
            components.clear();
            for &(component, native, scalar) in &self.places.components {
                let native = cell.number(native)?.map(|value| value as f32);
                components.push((component, native, cell.scale(scalar, 0)?));
            }
            causes.clear();
            for cause in cell.text(self.places.causes).split_whitespace() {
                causes.push(cell.cause(cause)?);
            }
            take(&ScoreRow {
                number,
                path: &cells[PATH],
                face: cell.face()?,
                status: match self.places.status {
                    None => Status::Ok.name(),
                    place => cell.text(place),
                },
                quality: cell.scale(Some(QUALITY), FAILURE_TO_COMPUTE)?,
                score: cell.number(self.places.score)?,
                bounds: cell.bounds()?,
                main_cause: self.places.main_cause.map(|place| cell.text(Some(place))),
                causes: self.places.causes.map(|_| causes.as_slice()),
                message: cell.text(self.places.message),
                components: &components,
                labels: &cells[self.places.labels..],
            })
        })
    }

    /// An error in one of its rows.
    pub(crate) fn unexpected(&self, number: u64, expected: &str, found: &str) -> FileError {
        let file = self.path.to_string_lossy();
        match self.kind {
            Kind::Parquet => table::unexpected(&file, number, expected.to_owned(), found),
            _ => FileError::unexpected(&file, number, expected, found),
        }
    }

    /// An error that is not in a row.
    pub(crate) fn problem(&self, expected: &str, found: &str) -> FileError {
        let (expected, found) = (expected.to_owned(), found.to_owned());
        FileError::new(&self.path.to_string_lossy(), FileProblem::Unexpected { expected, found })
    }

    /// The error for an empty file.
    pub(crate) fn empty(&self) -> FileError {
        FileError::new(&self.path.to_string_lossy(), FileProblem::Empty { what: "row" })
    }

    /// The file, as given.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The cells of one row.
struct Cells<'c> {
    file: &'c ScoreFile,
    number: u64,
    cells: &'c [Cow<'c, str>],
}

impl<'c> Cells<'c> {
    /// Without surrounding spaces; empty if there is no such column.
    fn text(&self, place: Option<usize>) -> &'c str {
        place.map_or("", |place| self.cells[place].trim())
    }

    fn unexpected(&self, place: usize, expected: &str) -> FileError {
        let column = quoted(&self.file.columns[place]);
        let expected = format!("{expected} in the column {column}");
        self.file.unexpected(self.number, &expected, self.text(Some(place)))
    }

    /// A finite number; `None` if the cell is empty.
    fn number(&self, place: Option<usize>) -> Result<Option<f64>, FileError> {
        let Some(place) = place else { return Ok(None) };
        match self.text(Some(place)) {
            "" => Ok(None),
            text => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Some(number)),
                _ => Err(self.unexpected(place, "a finite number")),
            },
        }
    }

    /// A whole number from `lowest` to 100.
    fn scale(&self, place: Option<usize>, lowest: i8) -> Result<Option<i8>, FileError> {
        let Some(number) = self.number(place)? else { return Ok(None) };
        let (lowest, highest) = (f64::from(lowest), 100.0);
        if number.fract() == 0.0 && (lowest..=highest).contains(&number) {
            return Ok(Some(number as i8));
        }
        let expected = format!("a whole number from {lowest} to {highest}");
        Err(self.unexpected(place.unwrap_or_default(), &expected))
    }

    fn face(&self) -> Result<Option<u32>, FileError> {
        let Some(number) = self.number(self.file.places.face)? else { return Ok(None) };
        if number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number) {
            return Ok(Some(number as u32));
        }
        let place = self.file.places.face.unwrap_or_default();
        Err(self.unexpected(place, "the number of a face"))
    }

    fn bounds(&self) -> Result<Option<[f32; 4]>, FileError> {
        let Some(places) = self.file.places.bounds else { return Ok(None) };
        let mut bounds = [0.0; 4];
        for (bound, place) in bounds.iter_mut().zip(places) {
            let Some(number) = self.number(Some(place))? else { return Ok(None) };
            *bound = number as f32;
        }
        Ok(Some(bounds))
    }

    /// `cause:strength`.
    fn cause(&self, text: &str) -> Result<(String, f32), FileError> {
        let strength = |text: &str| {
            let strength = text.parse::<f32>().ok()?;
            (0.0..=1.0).contains(&strength).then_some(strength)
        };
        let found = text.rsplit_once(':').and_then(|(cause, number)| {
            Some((cause.to_owned(), strength(number)?)).filter(|(cause, _)| !cause.is_empty())
        });
        let place = self.file.places.causes.unwrap_or_default();
        found.ok_or_else(|| self.unexpected(place, "`cause:strength` with strengths from 0 to 1"))
    }
}
