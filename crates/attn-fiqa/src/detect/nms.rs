//! Greedy non-maximum suppression: one detection per face.

use super::Face;

/// Maximum number of faces per image, most confident first: more than any photo has. Each candidate
/// is compared with all of them, and a detector that finds faces everywhere must not take hours.
pub(super) const MAX_FACES: usize = 4096;

/// Keeps the most confident candidate of each group of boxes that overlap by more than `threshold`
/// (intersection over union), most confident first.
///
/// Of equally confident ones the earlier is kept, so that the result does not depend on how a sort
/// breaks ties.
pub(super) fn nms<T>(mut candidates: Vec<T>, threshold: f32, face: impl Fn(&T) -> &Face) -> Vec<T> {
    candidates.sort_by(|a, b| face(b).confidence.total_cmp(&face(a).confidence));
    let mut kept: Vec<T> = Vec::new();
    for candidate in candidates {
        if kept.len() == MAX_FACES {
            break;
        }
        let bounds = &face(&candidate).bounds;
        if kept.iter().all(|other| face(other).bounds.iou(bounds) <= threshold) {
            kept.push(candidate);
        }
    }
    kept
}

/// Mean distance of the five landmarks of two detections, as a fraction of the larger inter-eye
/// distance, below which they are the same face.
const SHARED_LANDMARKS: f32 = 0.35;

/// Keeps the most confident of the faces that share their landmarks, most confident first. The box
/// of a part of a face can overlap the whole face's box by too little to be suppressed, and
/// refinement then finds the same landmarks from both.
pub(super) fn without_shared_landmarks(mut faces: Vec<Face>) -> Vec<Face> {
    faces.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let mut kept: Vec<Face> = Vec::with_capacity(faces.len());
    for face in faces {
        if !kept.iter().any(|other| share_landmarks(other, &face)) {
            kept.push(face);
        }
    }
    kept
}

fn share_landmarks(a: &Face, b: &Face) -> bool {
    let pairs = a.landmarks.0.iter().zip(&b.landmarks.0);
    let sum: f32 = pairs.map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1])).sum();
    let eyes = a.landmarks.inter_eye_distance().max(b.landmarks.inter_eye_distance());
    sum / 5.0 < SHARED_LANDMARKS * eyes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::align::Landmarks;
    use crate::detect::FaceBox;

    fn face(x: f32, y: f32, width: f32, height: f32, confidence: f32) -> Face {
        let bounds = FaceBox { x, y, width, height };
        Face { bounds, landmarks: Landmarks([[x, y]; 5]), confidence, refined: false }
    }

    fn faces() -> impl Strategy<Value = Vec<Face>> {
        let one = (0.0f32..60.0, 0.0f32..60.0, 1.0f32..40.0, 1.0f32..40.0, 0u8..20)
            .prop_map(|(x, y, w, h, score)| face(x, y, w, h, f32::from(score) / 20.0));
        proptest::collection::vec(one, 0..40)
    }

    #[test]
    fn most_confident_face_with_shared_landmarks_is_kept() {
        let with_eyes = |at: f32, apart: f32, confidence: f32| {
            let points = [[0.0, 0.0], [1.0, 0.0], [0.5, 0.6], [0.1, 1.1], [0.9, 1.1]];
            let landmarks = Landmarks(points.map(|[x, y]| [at + apart * x, apart * y]));
            Face { landmarks, ..face(at, 0.0, 1.0, 1.0, confidence) }
        };
        let faces = [
            with_eyes(0.0, 100.0, 0.8),
            with_eyes(5.0, 101.0, 0.9),
            // A neighbouring face that begins where this one ends, and a small one inside it.
            with_eyes(160.0, 100.0, 0.7),
            with_eyes(20.0, 20.0, 0.75),
        ];
        let kept = without_shared_landmarks(faces.to_vec());
        assert_eq!(kept, [faces[1], faces[3], faces[2]]);
    }

    /// The many candidates of the most confident faces must not crowd out the others.
    #[test]
    fn nms_keeps_every_face_up_to_max_faces() {
        let row_of = |faces: usize, each: usize| {
            let one = |i: usize| face((i / each * 20) as f32, 0.0, 10.0, 10.0, 1.0);
            (0..faces * each).map(one).collect::<Vec<_>>()
        };
        assert_eq!(nms(row_of(60, 100), 0.3, |face| face).len(), 60);
        assert_eq!(nms(row_of(MAX_FACES + 5, 1), 0.3, |face| face).len(), MAX_FACES);
    }

    /// Counts the cells of a fine grid instead of using a formula.
    #[test]
    fn iou_matches_naive_counting() {
        let (a, b) = (face(1.0, 2.0, 6.0, 4.0, 1.0), face(3.5, 0.5, 5.0, 3.5, 1.0));
        let inside = |f: &Face, x: f32, y: f32| {
            let FaceBox { x: left, y: top, width, height } = f.bounds;
            x > left && x < left + width && y > top && y < top + height
        };
        let (mut both, mut either) = (0u32, 0u32);
        for row in 0..400 {
            for column in 0..400 {
                let (x, y) = ((column as f32 + 0.5) / 40.0, (row as f32 + 0.5) / 40.0);
                let (in_a, in_b) = (inside(&a, x, y), inside(&b, x, y));
                both += u32::from(in_a && in_b);
                either += u32::from(in_a || in_b);
            }
        }
        let counted = both as f32 / either as f32;
        assert!((a.bounds.iou(&b.bounds) - counted).abs() < 1e-3);
        assert_eq!(a.bounds.iou(&a.bounds), 1.0);
        assert_eq!(a.bounds.iou(&face(50.0, 50.0, 1.0, 1.0, 1.0).bounds), 0.0);
    }

    proptest! {
        #[test]
        fn nms_keeps_separated_faces_and_drops_overlaps(candidates in faces()) {
            let threshold = 0.3;
            let kept = nms(candidates.clone(), threshold, |face| face);
            for (index, face) in kept.iter().enumerate() {
                prop_assert!(candidates.contains(face));
                for other in &kept[..index] {
                    prop_assert!(other.confidence >= face.confidence);
                    prop_assert!(other.bounds.iou(&face.bounds) <= threshold);
                }
            }
            for gone in candidates.iter().filter(|face| !kept.contains(face)) {
                prop_assert!(kept.iter().any(|face| face.confidence >= gone.confidence
                    && face.bounds.iou(&gone.bounds) > threshold));
            }
        }

        #[test]
        fn nms_is_idempotent(candidates in faces()) {
            let once = nms(candidates, 0.4, |face| face);
            prop_assert_eq!(nms(once.clone(), 0.4, |face| face), once);
        }
    }
}
