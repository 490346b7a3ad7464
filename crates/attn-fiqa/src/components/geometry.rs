//! Components derived from the positions of landmarks and boxes.

use crate::align::Landmarks;
use crate::detect::FaceBox;

/// The ratio of the distance from the eyes to the chin to that from the eyes to the mouth corners,
/// since the chin is not among the five landmarks. It is the median over 555 frontal faces of LFW,
/// taking the lower edge of the detector's box as the chin; nine in ten lie between 1.69 and 1.89.
const EYES_TO_CHIN: f64 = 1.785;

/// The midpoint between the eyes.
fn eyes(landmarks: &Landmarks) -> [f64; 2] {
    middle(landmarks, 0, 1)
}

fn middle(landmarks: &Landmarks, first: usize, second: usize) -> [f64; 2] {
    let [first, second] = [first, second].map(|index| landmarks.0[index].map(f64::from));
    [(first[0] + second[0]) / 2.0, (first[1] + second[1]) / 2.0]
}

/// The distance from the eyes to the mouth corners, in pixels.
pub(super) fn eyes_to_mouth(landmarks: &Landmarks) -> f64 {
    let (eyes, mouth) = (eyes(landmarks), middle(landmarks, 3, 4));
    (mouth[0] - eyes[0]).hypot(mouth[1] - eyes[1])
}

/// The distance from the eyes to the chin, in pixels; `None` if it is not positive.
fn eyes_to_chin(landmarks: &Landmarks) -> Option<f64> {
    let length = EYES_TO_CHIN * eyes_to_mouth(landmarks);
    (length > 0.0).then_some(length)
}

/// In pixels, corrected for yaw; `None` in full profile.
pub(super) fn inter_eye_distance(landmarks: &Landmarks) -> Option<f64> {
    let cosine = f64::from(landmarks.pose().yaw).to_radians().cos();
    (cosine > f64::EPSILON).then(|| f64::from(landmarks.inter_eye_distance()) / cosine)
}

/// The second largest area divided by the largest; `None` without a box.
pub(super) fn second_face(faces: &[FaceBox]) -> Option<f64> {
    let mut areas: Vec<f64> = faces.iter().map(|face| f64::from(face.area())).collect();
    areas.sort_by(|a, b| b.total_cmp(a));
    match areas[..] {
        [] => None,
        [_] => Some(0.0),
        [largest, second, ..] => (largest > 0.0).then_some(second / largest),
    }
}

/// The distance of the left eye from the left edge and of the right eye from the right edge,
/// divided by the distance between the eyes.
pub(super) fn crops(landmarks: &Landmarks, (width, _): (usize, usize)) -> Option<[f64; 2]> {
    let distance = f64::from(landmarks.inter_eye_distance());
    let [left, right] = [landmarks.0[0][0], landmarks.0[1][0]].map(f64::from);
    (distance > 0.0).then(|| [left / distance, (width as f64 - right) / distance])
}

/// The distance from the eyes to the chin divided by the image height.
pub(super) fn head_size(landmarks: &Landmarks, (_, height): (usize, usize)) -> Option<f64> {
    Some(eyes_to_chin(landmarks)? / height as f64)
}

/// The distances of the eyes from the top and bottom edges, divided by the distance from the eyes
/// to the chin.
pub(super) fn margins(landmarks: &Landmarks, (_, height): (usize, usize)) -> Option<[f64; 2]> {
    let chin = eyes_to_chin(landmarks)?;
    let above = eyes(landmarks)[1];
    Some([above / chin, (height as f64 - above) / chin])
}
