//! What is kept of a scored face.

use std::path::PathBuf;

use attn_fiqa::align::Landmarks;
use attn_fiqa::best::Thumbnail;
use attn_fiqa::crop::Crop;
use attn_fiqa::pipeline::Row;

pub(super) struct ScoredFace {
    pub(super) path: String,
    pub(super) relative: PathBuf,
    /// Its number within the image.
    pub(super) index: usize,
    pub(super) score: f32,
    pub(super) landmarks: Option<Landmarks>,
    pub(super) confidence: Option<f32>,
    pub(super) thumbnail: Thumbnail,
    /// Empty unless faces are grouped by identity.
    pub(super) embedding: Vec<f32>,
    /// The person, folder or track; empty until it is known.
    pub(super) group: String,
}

impl ScoredFace {
    /// A scored face and its crop.
    pub(super) fn from_row(row: Row) -> Option<(Self, Crop)> {
        let assessment = row.outcome.ok()?;
        let crop = row.crop?;
        let face = Self {
            path: row.path,
            relative: row.relative,
            index: row.face.map_or(0, |face| face.index),
            score: *assessment.scores.first()?,
            landmarks: row.face.and_then(|face| face.landmarks),
            confidence: row.face.and_then(|face| face.confidence),
            thumbnail: Thumbnail::of(&crop),
            embedding: assessment.embedding.unwrap_or_default(),
            group: String::new(),
        };
        Some((face, crop))
    }

    /// The video that contains this frame: `clip.gif` for `clip.gif#12`.
    pub(super) fn video(&self) -> Option<&str> {
        let (video, number) = self.path.rsplit_once('#')?;
        let number: u64 = number.parse().ok()?;
        let relative = self.relative.to_string_lossy();
        relative.ends_with(&format!(".frame-{number:06}")).then_some(video)
    }
}

/// The video, otherwise the folder of the image.
pub(super) fn video_or_folder(face: &ScoredFace) -> &str {
    let folder =
        || face.path.rsplit_once(['/', std::path::MAIN_SEPARATOR]).map(|(folder, _)| folder);
    match face.video().or_else(folder) {
        Some("") => "/",
        Some(group) => group,
        None => ".",
    }
}
