//! The faces with the lowest and with the highest quality.

use std::cmp::Ordering;

use attn_fiqa::components::Component;

use super::components::ComponentCounter;
use crate::files::ScoreRow;

/// A face and what the table says about it.
#[derive(Debug, Clone, PartialEq)]
pub struct RankedFace {
    /// The image, as named in the table.
    pub path: String,
    /// The number of the face in its image.
    pub face: Option<u32>,
    /// Its quality, 0 to 100.
    pub quality: i8,
    /// The score that the quality was mapped from.
    pub score: Option<f64>,
    /// Its bounding box: x, y, width, height, in pixels of the upright image.
    pub bounds: Option<[f32; 4]>,
    /// The main cause of its quality; `None` if there is none or no such column.
    pub main_cause: Option<String>,
    /// Its causes and their strengths, 0 to 1.
    pub causes: Vec<(String, f32)>,
    /// Component measures on 0 to 100 in which it is among the lowest tenth of the set, at most
    /// three, the rarest first.
    pub lowest: Vec<(Component, i8)>,
}

impl RankedFace {
    fn new(row: &ScoreRow<'_>, quality: i8) -> Self {
        let scalars = row.components.iter();
        Self {
            path: row.path.to_owned(),
            face: row.face,
            quality,
            score: row.score,
            bounds: row.bounds,
            main_cause: row.main_cause.filter(|cause| !cause.is_empty()).map(str::to_owned),
            causes: row.causes.unwrap_or_default().to_vec(),
            // All of them, until the whole set is known.
            lowest: scalars
                .filter_map(|&(component, _, scalar)| Some((component, scalar?)))
                .collect(),
        }
    }
}

/// The quality and, among equal ones, the score.
#[derive(Clone, Copy)]
struct Key(i8, f64);

impl Key {
    fn cmp(self, other: Self) -> Ordering {
        self.0.cmp(&other.0).then_with(|| self.1.total_cmp(&other.1))
    }
}

/// Keeps the faces at both ends while rows are read.
pub(super) struct Extremes {
    top: usize,
    worst: Vec<(Key, RankedFace)>,
    best: Vec<(Key, RankedFace)>,
}

impl Extremes {
    pub(super) fn new(top: usize) -> Self {
        Self { top, worst: Vec::new(), best: Vec::new() }
    }

    pub(super) fn add(&mut self, row: &ScoreRow<'_>, quality: i8) {
        let key = Key(quality, row.score.unwrap_or_default());
        let top = self.top;
        // Of equal faces, the first in the file are kept.
        let keep = |kept: &mut Vec<(Key, RankedFace)>, order: fn(Key, Key) -> Ordering| {
            let place = kept.partition_point(|(other, _)| order(*other, key).is_le());
            if place < top {
                kept.truncate(top - 1);
                kept.insert(place, (key, RankedFace::new(row, quality)));
            }
        };
        keep(&mut self.worst, Key::cmp);
        keep(&mut self.best, |a, b| b.cmp(a));
    }

    /// The worst and the best of `count` faces. If there are fewer than twice the number kept, each
    /// list gets half of them, so that no face is in both.
    pub(super) fn finish(
        self,
        count: u64,
        components: &ComponentCounter,
    ) -> (Vec<RankedFace>, Vec<RankedFace>) {
        let faces = |kept: Vec<(Key, RankedFace)>, limit: u64| {
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            let finished = |(_, face): (Key, RankedFace)| RankedFace {
                lowest: components.lowest(&face.lowest),
                ..face
            };
            kept.into_iter().take(limit).map(finished).collect()
        };
        (faces(self.worst, count.div_ceil(2)), faces(self.best, count / 2))
    }
}
