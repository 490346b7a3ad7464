//! Which of a picture's faces are taken.

use crate::align::landmark_file::ListedFace;
use crate::detect::{DEFAULT_MIN_CONFIDENCE, Face};
use crate::status::{Failure, Status};

/// Which of a picture's faces are taken; all of them by default.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FaceChoice {
    /// How sure the detector must be, 0 to 1.
    pub min_confidence: f32,
    /// The least distance between the eyes, in pixels of the picture.
    pub min_eye_distance: f32,
    /// The most faces of one picture, the largest ones; `None` is all.
    pub max_faces: Option<usize>,
}

impl Default for FaceChoice {
    fn default() -> Self {
        Self { min_confidence: DEFAULT_MIN_CONFIDENCE, min_eye_distance: 0.0, max_faces: None }
    }
}

impl FaceChoice {
    /// Leaves out what is too small and what is too many; at least one stays.
    ///
    /// # Errors
    ///
    /// [`Status::NoFace`] with the reason when none stays.
    pub(super) fn choose(&self, faces: Vec<Face>) -> Result<Vec<Face>, Failure> {
        let none = "no face was found in the picture";
        self.choose_by(faces, none, |face| face.landmarks.eye_distance())
    }

    /// The same of faces that come without a box: first the one whose eyes are
    /// farthest apart.
    pub(super) fn choose_listed(
        &self,
        mut faces: Vec<ListedFace>,
    ) -> Result<Vec<ListedFace>, Failure> {
        let eyes = |face: &ListedFace| face.landmarks.eye_distance();
        faces.retain(|face| face.confidence.is_none_or(|sure| sure >= self.min_confidence));
        faces.sort_by(|a, b| eyes(b).total_cmp(&eyes(a)));
        let none = "the landmark file lists no face of this picture that is sure enough";
        self.choose_by(faces, none, eyes)
    }

    fn choose_by<F>(
        &self,
        mut faces: Vec<F>,
        none: &str,
        eyes: impl Fn(&F) -> f32,
    ) -> Result<Vec<F>, Failure> {
        let found = faces.len();
        if found == 0 {
            return Err(Failure::new(Status::NoFace, none));
        }
        let widest = faces.iter().map(&eyes).fold(0.0, f32::max);
        // Landmarks that are no numbers are for the alignment to refuse by name.
        let wide = |eyes: f32| eyes >= self.min_eye_distance || eyes.is_nan();
        faces.retain(|face| wide(eyes(face)));
        if faces.is_empty() {
            let least = self.min_eye_distance;
            let faces = if found == 1 { "1 face was" } else { &format!("{found} faces were") };
            return Err(Failure::new(
                Status::NoFace,
                format!(
                    "{faces} found, but the eyes are at most {widest:.1} pixels apart and at \
                     least {least} are asked for"
                ),
            ));
        }
        faces.truncate(self.max_faces.unwrap_or(usize::MAX));
        Ok(faces)
    }
}
