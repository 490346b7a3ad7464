//! What a policy is applied to.

use crate::causes::Causes;
use crate::components::Components;
use crate::face::FaceInfo;

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
