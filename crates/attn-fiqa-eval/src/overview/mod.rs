//! The overview of a set: what the rows of `attn-fiqa score` say about its qualities, without
//! comparisons.
//!
//! [`Overview::read`] reads a table once and keeps counts, the faces with the lowest and highest
//! quality, and samples, so that a table of ten million rows takes no more memory than one of a
//! thousand. Only labels from another file need the names of all images, which are matched as
//! [`GroupFile`](crate::files::GroupFile) does.

mod causes;
mod components;
mod extremes;
mod failures;
mod grouping;
mod reservoir;
mod thumbnails;

use std::path::{Path, PathBuf};

use crate::files::{FileError, Missing, ScoreFile, ScoreRow};
use crate::scale_counts::ScaleCounts;

use causes::CauseCounter;
use components::ComponentCounter;
use extremes::Extremes;
use failures::FailureCounter;
use grouping::Groupings;

pub use causes::{CauseSummary, Causes};
pub use components::{ComponentSummary, Quantiles};
pub use extremes::RankedFace;
pub use failures::FailureSummary;
pub use grouping::Grouping;
pub use thumbnails::{Thumbnails, thumbnails};

/// The options of an overview.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverviewOptions {
    /// Number of worst and of best faces.
    pub top: usize,
    /// Faces of a lower quality, and images without one, count as rejected.
    pub reject_below: i8,
    /// Columns to group by: of `labels` or, without it, of the table itself.
    pub by: Vec<String>,
    /// A table of labels by image, read as [`GroupFile`](crate::files::GroupFile) does.
    pub labels: Option<PathBuf>,
    /// Images without a label.
    pub missing: Missing,
}

impl Default for OverviewOptions {
    fn default() -> Self {
        Self {
            top: 12,
            reject_below: 40,
            by: Vec::new(),
            labels: None,
            missing: Missing::default(),
        }
    }
}

/// The qualities of a set.
#[derive(Debug, Clone)]
pub struct Overview {
    /// The table.
    pub file: String,
    /// Number of images.
    pub images: u64,
    /// Number of faces, with and without a quality.
    pub faces: u64,
    /// Number of images with more than one face.
    pub with_several_faces: u64,
    /// The qualities of all rows; an image without a face counts as one that could not be computed.
    pub qualities: ScaleCounts,
    /// The quality below which a row counts as rejected.
    pub reject_below: i8,
    /// Rows without a quality, by status, the most frequent first.
    pub failures: Vec<FailureSummary>,
    /// The component measures of the table, in their usual order; empty if it has no such columns.
    pub components: Vec<ComponentSummary>,
    /// Causes of low qualities; `None` if the table has no such columns.
    pub causes: Option<Causes>,
    /// The faces with the lowest quality, the lowest first, then by score.
    pub worst: Vec<RankedFace>,
    /// The faces with the highest quality, the highest first.
    pub best: Vec<RankedFace>,
    /// One per requested column.
    pub groupings: Vec<Grouping>,
}

impl Overview {
    /// Reads a table of `attn-fiqa score` (`.csv`, `.jsonl` or `.parquet`) once.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, lacks a column or has an invalid value in one, no row has a
    /// quality, an image has no label and that is an error, or a column has too many groups.
    pub fn read(path: &Path, options: &OverviewOptions) -> Result<Self, FileError> {
        let own_labels: &[String] = if options.labels.is_some() { &[] } else { &options.by };
        let file = ScoreFile::open(path, own_labels)?;
        let mut qualities = ScaleCounts::default();
        let mut images = ImageCounter::default();
        let mut failures = FailureCounter::default();
        let mut components = ComponentCounter::default();
        let mut causes = file.has_causes().then(CauseCounter::default);
        let mut extremes = Extremes::new(options.top);
        let mut groupings = Groupings::new(options);
        file.each_row(|row| {
            let is_new_image = images.add(row, file.has_faces());
            let quality = row.quality.unwrap_or(-1);
            qualities.add(quality);
            groupings.add(&file, row, quality, is_new_image)?;
            if quality < 0 {
                return failures.add(&file, row);
            }
            components.add(row.components);
            extremes.add(row, quality);
            match &mut causes {
                Some(causes) => causes.add(&file, row, quality),
                None => Ok(()),
            }
        })?;
        if qualities.total() == 0 {
            return Err(file.empty());
        }
        if qualities.computed() == 0 && failures.unscaled() > 0 {
            let expected = "qualities from 0 to 100, which a calibrated model gives with its \
                            default method";
            let found = format!("none in {} scored rows", failures.unscaled());
            return Err(file.problem(expected, &found));
        }
        let (worst, best) = extremes.finish(qualities.computed(), &components);
        Ok(Self {
            file: path.to_string_lossy().into_owned(),
            images: images.images,
            faces: images.faces,
            with_several_faces: images.with_several_faces,
            qualities,
            reject_below: options.reject_below,
            failures: failures.finish(),
            components: components.finish(),
            causes: causes.map(CauseCounter::finish),
            worst,
            best,
            groupings: groupings.finish()?,
        })
    }
}

/// Counts images and faces: the rows of an image are consecutive, ordered by face number.
#[derive(Default)]
struct ImageCounter {
    images: u64,
    faces: u64,
    with_several_faces: u64,
    last: String,
    last_face: Option<u32>,
    faces_of_last: u64,
}

impl ImageCounter {
    /// Whether the row is the first of its image.
    fn add(&mut self, row: &ScoreRow<'_>, has_faces: bool) -> bool {
        let continues =
            matches!((self.last_face, row.face), (Some(last), Some(face)) if face > last);
        let is_new = self.images == 0 || !continues || row.path != self.last;
        if is_new {
            self.images += 1;
            self.faces_of_last = 0;
            self.last.clear();
            self.last.push_str(row.path);
        }
        self.last_face = row.face;
        let is_face = if has_faces { row.face.is_some() } else { row.quality.unwrap_or(-1) >= 0 };
        if is_face {
            self.faces += 1;
            self.faces_of_last += 1;
            self.with_several_faces += u64::from(self.faces_of_last == 2);
        }
        is_new
    }
}
