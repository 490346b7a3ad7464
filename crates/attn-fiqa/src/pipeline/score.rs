//! Runs prepared images through the network and the measures.

use rayon::prelude::*;

use super::prepare::{Prepared, PreparedFace};
use super::{FacePipeline, ScoredFace, ScoredImage};
use crate::crop::Crop;
use crate::decode::Note;
use crate::engine::Assessment;
use crate::face::FaceInfo;
use crate::measure::Measure;
use crate::status::Failure;

/// Where a score comes from.
pub(super) enum ScoreSource {
    /// The network's score at this index.
    Network(usize),
    Measure(Measure),
}

impl FacePipeline {
    /// Scores all faces of a batch of images together. Runs on the engine's threads.
    pub(super) fn score_prepared(&self, prepared: Vec<Prepared>) -> Vec<ScoredImage> {
        let faces = prepared.iter().filter_map(|image| image.faces.as_ref().ok()).flatten();
        let (infos, crops): (Vec<FaceInfo>, Vec<Crop>) =
            faces.filter_map(|face| Some((face.info, face.crop.clone().ok()?))).unzip();
        let mut outcomes = self.assess(&infos, &crops).into_iter();
        let mut scored = |face: PreparedFace| {
            let PreparedFace { info, crop, jitter_std, components } = face;
            let (crop, outcome) = match crop {
                Ok(crop) => {
                    let outcome = outcomes.next().expect("one outcome per crop: this is a bug");
                    (Some(crop), outcome)
                }
                Err(failure) => (None, Err(failure)),
            };
            ScoredFace { info, crop, outcome, jitter_std, components }
        };
        let images =
            prepared.into_iter().map(|Prepared { size, mut notes, photo, faces_found, faces }| {
                let mut crops = faces.iter().flatten().filter_map(|face| face.crop.as_ref().ok());
                if crops.any(|crop| self.assumes_landmarks(crop)) {
                    notes.push(Note::LandmarksAssumed);
                }
                let faces = faces.map(|faces| {
                    let faces: Vec<ScoredFace> = faces.into_iter().map(&mut scored).collect();
                    if self.options.best_only { Vec::from_iter(best_of(faces)) } else { faces }
                });
                ScoredImage { size, notes, photo, faces_found, faces }
            });
        images.collect()
    }

    /// Whether a score of this crop is computed with landmarks that are not its own.
    fn assumes_landmarks(&self, crop: &Crop) -> bool {
        !self.options.request.methods.is_empty() && self.engine.assumes_landmarks(crop)
    }

    /// Scores from the network and the measures, in the requested order.
    pub(super) fn assess(
        &self,
        infos: &[FaceInfo],
        crops: &[Crop],
    ) -> Vec<Result<Assessment, Failure>> {
        let request = &self.options.request;
        let outcomes = if request.methods.is_empty() {
            crops.iter().map(|_| Ok(Assessment::default())).collect()
        } else {
            self.engine.assess_batch(crops, request)
        };
        if self.sources.is_empty() {
            return outcomes;
        }
        let faces = outcomes.into_par_iter().zip(infos).zip(crops);
        faces
            .map(|((outcome, info), crop)| {
                let mut assessment = outcome?;
                let score = |source: &ScoreSource| match source {
                    ScoreSource::Network(place) => Ok(assessment.scores[*place]),
                    ScoreSource::Measure(measure) => measure.compute(info, crop),
                };
                assessment.scores = self.sources.iter().map(score).collect::<Result<_, _>>()?;
                Ok(assessment)
            })
            .collect()
    }
}

/// The face with the highest first score, the earlier of equal ones; a failed one only if none was
/// scored.
fn best_of(faces: Vec<ScoredFace>) -> Option<ScoredFace> {
    let score = |face: &ScoredFace| {
        let assessment = face.outcome.as_ref().ok()?;
        assessment.scores.first().copied().filter(|score| !score.is_nan())
    };
    faces.into_iter().reduce(|best, face| match (score(&best), score(&face)) {
        (Some(a), Some(b)) if b > a => face,
        (None, Some(_)) => face,
        _ => best,
    })
}
