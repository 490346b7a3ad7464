//! Landmarks from other detectors: a text file with a path and ten numbers per line.
//!
//! Fields are separated by commas, tabs or spaces; whole fields may be in double quotes. A line is
//! `path x1 y1 x2 y2 x3 y3 x4 y4 x5 y5`, with the points in the order of [`Landmarks`], and may end
//! with the detector's confidence, as in IJB-C's `ijbc_name_5pts_score.txt`. A first line without
//! numbers is a header; if it names a `path` and ten columns such as `left_eye_x`, as in this
//! program's own rows, or `lx1, ly1 … ly5`, the columns may be in any order and others are ignored.
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
    /// The number after them, if there is one.
    pub confidence: Option<f32>,
    /// Its line number, from 1.
    pub line: u64,
}

/// Limits on a landmark file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LandmarkFileLimits {
    /// Maximum number of faces.
    pub max_faces: usize,
    /// Maximum bytes of one line.
    pub max_line: usize,
}

impl Default for LandmarkFileLimits {
    /// Twenty million faces, forty times those of IJB-C, and 64 KiB per line.
    fn default() -> Self {
        Self { max_faces: 20_000_000, max_line: 64 << 10 }
    }
}

/// A parsed landmark file: faces by the path of their image.
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
    /// Each normalised path of the file, with its faces in the file's order.
    listed: Vec<(String, Vec<ListedFace>)>,
    /// Indices into `listed`, by file name and by file name without extension.
    by_name: HashMap<String, Vec<u32>>,
    by_stem: HashMap<String, Vec<u32>>,
    tally: Tally,
}

impl LandmarkFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    ///
    /// If it cannot be read, is empty, has a line that is not a path and ten finite numbers, or
    /// exceeds the limits; the error names file and line.
    pub fn open(path: &Path, limits: &LandmarkFileLimits) -> Result<Self, LandmarkFileError> {
        let shown = path.display().to_string();
        let unreadable = |source| LandmarkFileError::Unreadable { file: shown.clone(), source };
        // On some systems, opening a folder succeeds and only reading it fails.
        if path.is_dir() {
            return Err(unreadable(std::io::ErrorKind::IsADirectory.into()));
        }
        let file = File::open(path).map_err(unreadable)?;
        Self::read(BufReader::new(file), &shown, limits)
    }

    /// Number of listed paths.
    pub fn paths(&self) -> usize {
        self.listed.len()
    }

    /// Number of listed faces.
    pub fn faces(&self) -> usize {
        self.listed.iter().map(|(_, faces)| faces.len()).sum()
    }
}
