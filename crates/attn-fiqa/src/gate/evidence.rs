//! What a policy is applied to.

use crate::causes::Causes;
use crate::components::Components;
use crate::engine::Assessment;
use crate::face::FaceInfo;
use crate::score::QualityMap;

/// What is known about a face and its image.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// Its quality, 0 to 100; `None` where it could not be computed or the model has no
    /// calibration.
    pub quality: Option<i8>,
    /// The number of faces that were found in its image.
    pub faces: usize,
    /// Its place and pose.
    pub face: Option<FaceInfo>,
    /// The causes of its quality, which explain a refusal for the quality.
    pub causes: Option<Causes>,
    /// Its component measures.
    pub components: Option<Components>,
}

impl Evidence {
    /// Of a face that was scored first by the method of the quality map, in an image with
    /// `faces` faces.
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
