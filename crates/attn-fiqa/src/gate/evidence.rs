//! The input of a policy.

use crate::causes::Causes;
use crate::components::Components;
use crate::engine::Assessment;
use crate::face::FaceInfo;
use crate::score::QualityMap;

/// What is known about a face and its image.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// Its quality, 0 to 100; `None` if it could not be computed or the model has no calibration.
    pub quality: Option<i8>,
    /// The number of faces found in its image.
    pub faces: usize,
    /// Its position and pose.
    pub face: Option<FaceInfo>,
    /// The causes of its quality, which explain a refusal based on quality.
    pub causes: Option<Causes>,
    /// Its component measures.
    pub components: Option<Components>,
}

impl Evidence {
    /// The evidence for a face whose first score is by the method of the quality map, in an image
    /// with `faces` faces.
    pub fn new(
        assessment: &Assessment,
        map: Option<&QualityMap>,
        face: Option<FaceInfo>,
        components: Option<Components>,
        faces: usize,
    ) -> Self {
        let quality = map.zip(assessment.scores.first()).map(|(map, &score)| map.quality(score));
        Self { quality, faces, face, causes: assessment.causes.clone(), components }
    }
}
