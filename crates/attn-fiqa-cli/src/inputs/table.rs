//! Columns of encoded images in Parquet and Arrow files, as in Hugging Face data sets: a struct of
//! `bytes` and `path`, or the bytes alone.

use std::fs::File;
use std::path::{Path, PathBuf};

use attn_fiqa::source::{External, ExternalImage, ExternalImages, Opened, PendingImage, open_file};
use attn_fiqa::status::{Failure, Status};
use parquet::file::reader::ChunkReader;

use super::arrow_images::ArrowImages;
use super::parquet_images::ParquetImages;

/// The fields of an image struct.
pub(super) const BYTES: &str = "bytes";
pub(super) const PATH: &str = "path";

/// The start of an error that naming another column would resolve.
pub(crate) const NO_COLUMN: &str = "the table has no column of encoded images";

/// Reads columns of encoded images in `.parquet` and `.arrow` files, for
/// [`Sources::open_with`](attn_fiqa::source::Sources::open_with).
#[derive(Debug)]
pub struct Tables {
    column: String,
}

/// The format of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Parquet,
    Arrow,
}

/// The names used for a table and its rows.
#[derive(Debug, Clone)]
pub(super) struct Names {
    /// The name of the table in rows.
    pub(super) path: String,
    /// The prefix of relative names.
    pub(super) relative: PathBuf,
}

/// One row of a table.
pub(super) struct ImageRow<'a> {
    /// The row number, from 0.
    pub(super) number: u64,
    pub(super) bytes: Option<&'a [u8]>,
    pub(super) path: Option<&'a str>,
}

/// Why a table cannot be read.
#[derive(Debug)]
pub(super) enum TableError {
    /// The table is damaged or of an unsupported kind.
    Broken(String),
    /// It has no such column; the message says what it has.
    Column(String),
}

impl TableError {
    pub(super) fn broken(format: Format, error: &dyn std::error::Error) -> Self {
        let format = match format {
            Format::Parquet => "Parquet",
            Format::Arrow => "Arrow",
        };
        Self::Broken(format!(
            "the {format} file cannot be read: {error}; copy or download it again, if it is \
             truncated or damaged"
        ))
    }

    /// The column is not among `columns`.
    pub(super) fn no_column(column: &str, columns: &[String]) -> Self {
        let shown: Vec<String> = columns.iter().map(|name| format!("'{name}'")).collect();
        Self::Column(format!("{NO_COLUMN} '{column}'; its columns are {}", shown.join(", ")))
    }

    /// The column holds something else.
    pub(super) fn other_type(column: &str, found: &str) -> Self {
        Self::Column(format!(
            "{NO_COLUMN} '{column}': it is of type {found}; expected binary data or a struct of \
             '{BYTES}' and '{PATH}'"
        ))
    }

    fn message(self) -> String {
        match self {
            Self::Broken(message) | Self::Column(message) => message,
        }
    }
}

impl From<TableError> for Failure {
    fn from(error: TableError) -> Self {
        Self::new(Status::BrokenArchive, error.message())
    }
}

impl Format {
    /// The format of a table, by the extension of its name, in either case.
    pub(super) fn of(name: &str) -> Option<Self> {
        let (_, ending) = name.rsplit_once('.')?;
        match ending.to_ascii_lowercase().as_str() {
            "parquet" => Some(Self::Parquet),
            "arrow" => Some(Self::Arrow),
            _ => None,
        }
    }

    /// Opens a table and finds its column.
    pub(super) fn open<R: ChunkReader + 'static>(
        self,
        table: R,
        column: &str,
        names: Names,
    ) -> Result<Box<dyn ExternalImages>, TableError> {
        Ok(match self {
            Self::Parquet => Box::new(ParquetImages::open(table, column, names)?),
            Self::Arrow => Box::new(ArrowImages::open(table, column, names)?),
        })
    }
}

impl Names {
    /// The image of one row, named by its own path if it has one, otherwise by its number.
    pub(super) fn image(
        &self,
        row: &ImageRow<'_>,
        max_bytes: u64,
        wanted: &mut dyn FnMut(&str, &Path) -> bool,
    ) -> ExternalImage {
        let number = row.number.to_string();
        let own_name = row.path.filter(|path| !path.is_empty());
        let path = match own_name {
            Some(own) => format!("{}/{own}", self.path),
            None => format!("{}#{number}", self.path),
        };
        // It must not lead out of the folder that it is joined to.
        let inside = own_name.map(|own| {
            let parts = Path::new(own).components();
            parts
                .filter(|part| matches!(part, std::path::Component::Normal(_)))
                .collect::<PathBuf>()
        });
        let inside = inside.filter(|inside| !inside.as_os_str().is_empty());
        let relative = self.relative.join(inside.unwrap_or_else(|| PathBuf::from(&number)));
        let pending: PendingImage = if wanted(&path, &relative) {
            let image = bytes_of(row, max_bytes);
            Box::new(|| image)
        } else {
            Box::new(|| Ok(Vec::new()))
        };
        ExternalImage { path, relative, pending }
    }

    /// A row for the table itself.
    pub(super) fn failure(&self, error: TableError) -> ExternalImage {
        let failure = Failure::from(error);
        ExternalImage {
            path: self.path.clone(),
            relative: self.relative.clone(),
            pending: Box::new(|| Err(failure)),
        }
    }
}

fn bytes_of(row: &ImageRow<'_>, max_bytes: u64) -> Result<Vec<u8>, Failure> {
    match row.bytes {
        Some([]) | None => {
            let named = row.path.filter(|path| !path.is_empty());
            let named = named.map(|path| format!(", only the path '{path}'")).unwrap_or_default();
            Err(Failure::new(Status::Unreadable, format!("the row holds no image{named}")))
        }
        Some(bytes) if bytes.len() as u64 > max_bytes => {
            let length = bytes.len();
            let message = format!("the image holds {length} bytes and the limit is {max_bytes}");
            Err(Failure::new(Status::TooLarge, message))
        }
        Some(bytes) => Ok(bytes.to_vec()),
    }
}

impl Tables {
    /// Reads the named column: binary data, or a struct of the images' `bytes` and their `path`. A
    /// dot separates the name of a struct from that of its field.
    pub fn new(column: &str) -> Self {
        Self { column: column.to_owned() }
    }

    fn open_table(&self, name: &Path, file: File) -> Result<Box<dyn ExternalImages>, TableError> {
        let (path, relative) = self.names(name);
        let format = Format::of(&name.to_string_lossy()).unwrap_or(Format::Parquet);
        format.open(file, &self.column, Names { path, relative })
    }
}

impl External for Tables {
    fn accepts(&self, name: &Path) -> bool {
        let text = name.to_string_lossy();
        // The library expands patterns and passes the matches here.
        let is_pattern = || text.contains(['*', '?', '[']) && name.symlink_metadata().is_err();
        Format::of(&text).is_some() && !name.is_dir() && !is_pattern()
    }

    fn check(&self, name: &Path) -> Result<(), String> {
        match open_file(name) {
            Ok(file) => match self.open_table(name, file) {
                // A damaged file becomes a row, since the others may be intact.
                Ok(_) | Err(TableError::Broken(_)) => Ok(()),
                Err(error @ TableError::Column(_)) => Err(error.message()),
            },
            Err(_) => Ok(()),
        }
    }

    fn open(&self, name: &Path) -> Result<Opened, Failure> {
        Ok(Opened::Images(self.open_table(name, open_file(name)?)?))
    }

    fn start(&self, _name: &Path, _max_bytes: u64) -> Option<PendingImage> {
        None
    }
}
