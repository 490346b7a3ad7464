//! Landmarks from elsewhere: a text file with a path and ten numbers per line.
//!
//! Fields are separated by commas, tabs or spaces; whole fields may stand in
//! double quotes. A line is `path x1 y1 x2 y2 x3 y3 x4 y4 x5 y5`, the points in
//! the order of [`Landmarks`], and may end with the detector's confidence, so
//! that IJB-C's `ijbc_name_5pts_score.txt` is such a file. A first line without
//! numbers is a heading; where it names a `path` and ten columns such as
//! `left_eye_x`, as in this program's own rows, or `lx1, ly1 … ly5`, the columns may be
//! in any order and others are passed over.
//! A path may have several lines, one per face.

mod error;
mod fields;
mod layout;
mod lookup;
mod read;

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use super::Landmarks;

pub use error::LandmarkFileError;
pub use lookup::{Found, MatchReport, MatchedBy};

use lookup::Tally;

/// One face of a landmark file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ListedFace {
    /// Its points, finite.
    pub landmarks: Landmarks,
    /// The number after them, when there is one.
    pub confidence: Option<f32>,
    /// The line it stands on, from 1.
    pub line: u64,
}

/// What a landmark file may hold before it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LandmarkFileLimits {
    /// The most faces.
    pub max_faces: usize,
    /// The most bytes of one line.
    pub max_line: usize,
}

impl Default for LandmarkFileLimits {
    /// Twenty million faces, forty times IJB-C, and 64 KiB a line.
    fn default() -> Self {
        Self { max_faces: 20_000_000, max_line: 64 << 10 }
    }
}

/// A landmark file that was read: faces by the path of their image.
///
/// # Examples
///
/// ```
/// use attn_fiqa::align::landmark_file::{Found, LandmarkFile, LandmarkFileLimits};
///
/// let text = "faces/ada.jpg,38,52,74,52,56,72,42,92,71,92\n";
/// let file = LandmarkFile::read(text.as_bytes(), "points.csv", &LandmarkFileLimits::default())?;
/// assert!(matches!(file.find("photos/ada.jpg"), Found::Faces { faces, .. } if faces.len() == 1));
/// assert_eq!(file.report().to_string(), "1 of 1 images found (1 by file name)");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct LandmarkFile {
    /// Each path of the file, tidied, with its faces in the order of the file.
    listed: Vec<(String, Vec<ListedFace>)>,
    /// Indices into `listed`, by file name and by file name without its ending.
    by_name: HashMap<String, Vec<u32>>,
    by_stem: HashMap<String, Vec<u32>>,
    tally: Tally,
}

impl LandmarkFile {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// When it cannot be read, is empty, has a line that is not a path and ten
    /// finite numbers, or exceeds the limits; the error names file and line.
    pub fn open(path: &Path, limits: &LandmarkFileLimits) -> Result<Self, LandmarkFileError> {
        let shown = path.display().to_string();
        let unreadable = |source| LandmarkFileError::Unreadable { file: shown.clone(), source };
        // A folder opens like a file on some systems and fails only when it is read.
        if path.is_dir() {
            return Err(unreadable(std::io::ErrorKind::IsADirectory.into()));
        }
        let file = File::open(path).map_err(unreadable)?;
        Self::read(BufReader::new(file), &shown, limits)
    }

    /// How many paths the file lists.
    pub fn paths(&self) -> usize {
        self.listed.len()
    }

    /// How many faces the file lists.
    pub fn faces(&self) -> usize {
        self.listed.iter().map(|(_, faces)| faces.len()).sum()
    }
}
