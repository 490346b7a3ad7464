//! Which of an image's faces are used.

use crate::align::landmark_file::ListedFace;
use crate::detect::{DEFAULT_MIN_CONFIDENCE, Face, FaceBox};
use crate::status::{Failure, Status};

/// Which of an image's faces are used; all of them by default.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FaceChoice {
    /// Minimum detection confidence, 0 to 1.
    pub min_confidence: f32,
    /// Minimum inter-eye distance, in pixels of the image.
    pub min_inter_eye_distance: f32,
    /// Maximum number of faces per image, largest first; `None` for no limit. At least one is used:
    /// 0 means 1.
    pub max_faces: Option<usize>,
}

impl Default for FaceChoice {
    fn default() -> Self {
        Self {
            min_confidence: DEFAULT_MIN_CONFIDENCE,
            min_inter_eye_distance: 0.0,
            max_faces: None,
        }
    }
}

impl FaceChoice {
    /// Drops faces that are too small or too many; at least one remains.
    ///
    /// # Errors
    ///
    /// [`Status::NoFace`] with the reason if none remains.
    pub(super) fn choose(&self, faces: Vec<Face>) -> Result<Vec<Face>, Failure> {
        let none = "no face was found in the image";
        self.choose_by(faces, none, |face| face.landmarks.inter_eye_distance())
    }

    /// As [`Self::choose`], for faces without a box: sorted by descending inter-eye distance.
    pub(super) fn choose_listed(
        &self,
        mut faces: Vec<ListedFace>,
    ) -> Result<Vec<ListedFace>, Failure> {
        if faces.is_empty() {
            return Err(Failure::new(Status::NoFace, "no face is listed for this image"));
        }
        let eyes = |face: &ListedFace| face.landmarks.inter_eye_distance();
        faces.retain(|face| face.confidence.is_none_or(|sure| sure >= self.min_confidence));
        faces.sort_by(|a, b| eyes(b).total_cmp(&eyes(a)));
        let none = "no face is listed for this image with enough confidence";
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
        // Landmarks that are not finite are kept: the alignment refuses them with a specific
        // message.
        let wide = |eyes: f32| eyes >= self.min_inter_eye_distance || eyes.is_nan();
        faces.retain(|face| wide(eyes(face)));
        if faces.is_empty() {
            let least = self.min_inter_eye_distance;
            let faces = if found == 1 { "1 face was" } else { &format!("{found} faces were") };
            return Err(Failure::new(
                Status::NoFace,
                format!(
                    "{faces} found, but the eyes are at most {widest:.1} pixels apart and at least \
                     {least} are required"
                ),
            ));
        }
        faces.truncate(self.max_faces.map_or(usize::MAX, |most| most.max(1)));
        Ok(faces)
    }
}

/// The index of an image's main face: the one with the largest box area minus twice the squared
/// distance of its centre from the image's, in pixels. A large face at the edge thus loses to a
/// smaller one in the middle, as in the usual preparation of verification sets, whose images are
/// centred on their subject. `None` without a face.
///
/// `size` is the width and height of the image.
pub fn main_face(faces: &[FaceBox], size: (usize, usize)) -> Option<usize> {
    let middle = [size.0 as f32 / 2.0, size.1 as f32 / 2.0];
    let weight = |face: &FaceBox| {
        let centre = [face.x + face.width / 2.0, face.y + face.height / 2.0];
        let squared: f32 = centre.iter().zip(middle).map(|(c, m)| (c - m) * (c - m)).sum();
        face.area() - 2.0 * squared
    };
    // The first of equal ones: faces are sorted by descending size.
    (0..faces.len()).rev().max_by(|&a, &b| weight(&faces[a]).total_cmp(&weight(&faces[b])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::align::Landmarks;

    #[test]
    fn at_least_one_face_remains() {
        let face = |apart: f32| ListedFace {
            line: 0,
            landmarks: Landmarks([[0.0, 0.0], [apart, 0.0], [2.0, 3.0], [0.0, 5.0], [4.0, 5.0]]),
            confidence: None,
        };
        for (max_faces, expected) in [(Some(0), 1), (Some(1), 1), (Some(2), 2), (None, 3)] {
            let choice = FaceChoice { max_faces, ..FaceChoice::default() };
            let chosen = choice.choose_listed(vec![face(4.0), face(9.0), face(6.0)]).unwrap();
            assert_eq!(chosen.len(), expected);
            assert_eq!(chosen[0].landmarks.inter_eye_distance(), 9.0);
        }
        let none = FaceChoice::default().choose_listed(Vec::new()).unwrap_err();
        assert_eq!(none.message, "no face is listed for this image");
    }

    #[test]
    fn the_main_face_is_large_and_near_the_middle() {
        let face = |x, y, side| FaceBox { x, y, width: side, height: side };
        let size = (250, 250);
        assert_eq!(main_face(&[], size), None);
        let (corner, middle, small) =
            (face(0.0, 0.0, 100.0), face(85.0, 85.0, 80.0), face(115.0, 115.0, 20.0));
        assert_eq!(main_face(&[corner, middle, small], size), Some(1));
        assert_eq!(main_face(&[corner], size), Some(0));
        assert_eq!(main_face(&[middle, middle], size), Some(0));
    }
}
