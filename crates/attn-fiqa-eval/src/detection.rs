//! Accuracy of face detection: recall, precision and landmark error against a reference.

use attn_fiqa::detect::Face;

use crate::statistics::ratio;

/// Boxes with at least this overlap (intersection over union) are the same face.
pub const MATCH_IOU: f32 = 0.5;

/// Edges of the face width classes, in pixels, for which recall is reported.
pub const WIDTH_EDGES: [f32; 7] = [12.0, 16.0, 24.0, 40.0, 64.0, 100.0, 200.0];

/// Reference faces in one width class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WidthBin {
    /// Number of reference faces.
    pub expected: usize,
    /// Number of these that were found.
    pub matched: usize,
}

/// Detected faces compared with a reference, over a set of images.
#[derive(Debug, Clone, Default)]
pub struct DetectionAccuracy {
    /// Images compared.
    pub images: usize,
    /// Images with at least one reference face.
    pub images_with_faces: usize,
    /// Images in which at least one reference face was not found.
    pub images_missed: usize,
    /// Number of reference faces.
    pub expected: usize,
    /// Number of detected faces, in the reference or not.
    pub found: usize,
    /// Detected faces that match no reference face, not even a doubtful one.
    pub extra: usize,
    /// By width: below the first of [`WIDTH_EDGES`], between each and the next, above the last.
    pub by_width: [WidthBin; WIDTH_EDGES.len() + 1],
    /// For each matched face the mean distance of its five landmarks from the reference's, as a
    /// fraction of the reference's inter-eye distance.
    errors: Vec<f32>,
}

impl DetectionAccuracy {
    /// Compares one image's faces and returns how many reference faces were missed.
    ///
    /// Detected faces are processed by descending confidence, each taking the remaining reference
    /// face that it overlaps most; each is matched at most once. `doubtful` faces are neither
    /// required nor, if detected, counted as [`extra`](Self::extra).
    pub fn add(&mut self, expected: &[Face], doubtful: &[Face], found: &[Face]) -> usize {
        let mut surest: Vec<&Face> = found.iter().collect();
        surest.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
        let mut left: Vec<&Face> = expected.iter().collect();
        for face in expected {
            self.by_width[width_class(face)].expected += 1;
        }
        for face in &surest {
            let known = expected.iter().chain(doubtful);
            let seen = known.into_iter().any(|other| other.bounds.iou(&face.bounds) >= MATCH_IOU);
            self.extra += usize::from(!seen);
        }
        for face in surest {
            let overlaps = left.iter().map(|other| other.bounds.iou(&face.bounds)).enumerate();
            let Some((index, overlap)) = overlaps.max_by(|a, b| a.1.total_cmp(&b.1)) else { break };
            if overlap >= MATCH_IOU {
                let matched = left.swap_remove(index);
                self.by_width[width_class(matched)].matched += 1;
                self.errors.push(landmark_error(matched, face));
            }
        }
        self.images += 1;
        self.images_with_faces += usize::from(!expected.is_empty());
        self.images_missed += usize::from(!left.is_empty());
        self.expected += expected.len();
        self.found += found.len();
        left.len()
    }

    /// Number of reference faces that were found.
    pub fn matched(&self) -> usize {
        self.errors.len()
    }

    /// Fraction of the reference faces that were found, 0 to 1; `None` without any.
    pub fn recall(&self) -> Option<f64> {
        ratio(self.matched(), self.expected)
    }

    /// Fraction of the detected faces that are in the reference, 0 to 1; `None` without any.
    pub fn precision(&self) -> Option<f64> {
        ratio(self.matched(), self.found)
    }

    /// Fraction of the images with faces in which at least one was missed.
    pub fn missed_image_fraction(&self) -> Option<f64> {
        ratio(self.images_missed, self.images_with_faces)
    }

    /// The landmark error that a fraction `quantile` (0 to 1) of the matched faces does not exceed,
    /// as a fraction of the inter-eye distance.
    pub fn landmark_error(&self, quantile: f64) -> Option<f64> {
        let mut errors = self.errors.clone();
        errors.sort_by(f32::total_cmp);
        let rank = (quantile * errors.len() as f64).ceil() as usize;
        errors.get(rank.max(1) - 1).map(|&error| f64::from(error))
    }

    /// Fraction of the matched faces whose landmark error is at most `limit`.
    pub fn landmarks_within(&self, limit: f32) -> Option<f64> {
        let within = self.errors.iter().filter(|&&error| error <= limit).count();
        ratio(within, self.errors.len())
    }
}

fn width_class(face: &Face) -> usize {
    WIDTH_EDGES.iter().take_while(|&&edge| face.bounds.width >= edge).count()
}

fn landmark_error(expected: &Face, found: &Face) -> f32 {
    let points = expected.landmarks.0.iter().zip(&found.landmarks.0);
    let distances = points.map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1]));
    distances.sum::<f32>() / 5.0 / expected.landmarks.inter_eye_distance()
}

#[cfg(test)]
mod tests {
    use super::*;
    use attn_fiqa::align::Landmarks;
    use attn_fiqa::detect::FaceBox;

    /// A face of 100 pixels with an inter-eye distance of 40 pixels.
    fn face(x: f32, confidence: f32, shift: f32) -> Face {
        let points = [[30.0, 40.0], [70.0, 40.0], [50.0, 60.0], [35.0, 80.0], [65.0, 80.0]];
        Face {
            bounds: FaceBox { x, y: 0.0, width: 100.0, height: 100.0 },
            landmarks: Landmarks(points.map(|[px, py]| [px + x + shift, py])),
            confidence,
            refined: false,
        }
    }

    #[test]
    fn each_face_is_matched_at_most_once() {
        let mut agreement = DetectionAccuracy::default();
        // Two detections for the first face, one for none, none for the second.
        let expected = [face(0.0, 1.0, 0.0), face(300.0, 1.0, 0.0)];
        let found = [face(10.0, 0.6, 0.0), face(2.0, 0.9, -0.4), face(700.0, 0.8, 0.0)];
        assert_eq!(agreement.add(&expected, &[], &found), 1);
        assert_eq!(agreement.add(&[], &[face(0.0, 0.4, 0.0)], &[face(1.0, 0.9, 0.0)]), 0);
        assert_eq!(agreement.recall(), Some(0.5));
        assert_eq!(agreement.precision(), Some(1.0 / 4.0));
        // The second detection of the first face overlaps a reference face: it is not extra.
        assert_eq!(agreement.extra, 1);
        let hundred = WIDTH_EDGES.iter().position(|&width| width == 100.0).expect("an edge") + 1;
        assert_eq!(agreement.by_width[hundred], WidthBin { expected: 2, matched: 1 });
        assert_eq!(agreement.by_width.iter().map(|class| class.expected).sum::<usize>(), 2);
        assert_eq!((agreement.images, agreement.images_with_faces), (2, 1));
        assert_eq!(agreement.missed_image_fraction(), Some(1.0));
        let error = agreement.landmark_error(0.5).expect("a match");
        assert!((error - 1.6 / 40.0).abs() < 1e-6, "the surer answer counts: {error}");
    }

    #[test]
    fn quantiles_of_the_landmark_error() {
        let mut agreement = DetectionAccuracy::default();
        for shift in 1..=20 {
            agreement.add(&[face(0.0, 1.0, 0.0)], &[], &[face(0.0, 1.0, shift as f32)]);
        }
        let near = |found: Option<f64>, expected: f64| {
            assert!((found.expect("matches") - expected).abs() < 1e-6, "{found:?} {expected}");
        };
        near(agreement.landmark_error(0.5), 10.0 / 40.0);
        near(agreement.landmark_error(0.95), 19.0 / 40.0);
        near(agreement.landmark_error(1.0), 20.0 / 40.0);
        near(agreement.landmarks_within(0.101), 0.2);
    }

    #[test]
    fn faces_that_overlap_by_half_are_the_same() {
        let half = |width: f32| {
            let bounds = FaceBox { width, ..face(0.0, 1.0, 0.0).bounds };
            Face { bounds, ..face(0.0, 1.0, 0.0) }
        };
        for (width, is_same) in [(50.0, true), (49.0, false)] {
            let mut agreement = DetectionAccuracy::default();
            agreement.add(&[face(0.0, 1.0, 0.0)], &[], &[half(width)]);
            let found = (agreement.matched(), agreement.extra, agreement.images_missed);
            assert_eq!(found, if is_same { (1, 0, 0) } else { (0, 1, 1) });
            // A doubtful face may be detected.
            let mut agreement = DetectionAccuracy::default();
            agreement.add(&[], &[face(0.0, 1.0, 0.0)], &[half(width)]);
            assert_eq!((agreement.matched(), agreement.extra), (0, usize::from(!is_same)));
        }
    }

    #[test]
    fn images_are_counted_by_faces_and_misses() {
        let mut agreement = DetectionAccuracy::default();
        let here = face(0.0, 1.0, 0.0);
        agreement.add(&[here], &[], &[here]);
        agreement.add(&[here], &[], &[here]);
        agreement.add(&[here], &[], &[]);
        agreement.add(&[], &[], &[]);
        let counts = (agreement.images, agreement.images_with_faces, agreement.images_missed);
        assert_eq!(counts, (4, 3, 1));
        assert_eq!(agreement.missed_image_fraction(), Some(1.0 / 3.0));
    }

    #[test]
    fn landmark_errors_may_come_in_any_order() {
        let mut agreement = DetectionAccuracy::default();
        for shift in [30.0, 10.0, 20.0] {
            agreement.add(&[face(0.0, 1.0, 0.0)], &[], &[face(0.0, 1.0, shift)]);
        }
        // Of three errors, a half is not exceeded by the second.
        let quantiles =
            [0.0, 0.3, 0.5, 0.7, 1.0].map(|quantile| agreement.landmark_error(quantile));
        assert_eq!(quantiles, [0.25, 0.25, 0.5, 0.75, 0.75].map(Some));
        let within = [0.2, 0.25, 0.5].map(|limit| agreement.landmarks_within(limit));
        assert_eq!(within, [0.0, 1.0 / 3.0, 2.0 / 3.0].map(Some));
    }

    #[test]
    fn empty_evaluation_has_no_metrics() {
        let empty = DetectionAccuracy::default();
        assert_eq!(empty.recall(), None);
        assert_eq!(empty.precision(), None);
        assert_eq!(empty.landmark_error(0.5), None);
        assert_eq!(empty.landmarks_within(0.04), None);
    }
}
