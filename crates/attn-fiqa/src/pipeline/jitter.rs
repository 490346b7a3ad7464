//! How sensitive a score is to the exact position of the landmarks.
//!
//! Misalignment is the most frequent silent error in face recognition. Each face is aligned
//! repeatedly with noise added to its landmarks, as if another detector had found them; the result
//! is the spread of the scores.

use super::prepare::{PreparedFace, crop_by};
use crate::align::Landmarks;
use crate::crop::Crop;
use crate::engine::{Engine, Request};
use crate::pixels::Image;
use crate::random::Random;
use crate::score::Method;

/// Standard deviation of the noise on each coordinate, as a fraction of the inter-eye distance: the
/// typical disagreement of good detectors.
const NOISE: f64 = 0.02;

/// Number of crops in memory at once.
const AT_ONCE: usize = 32;

/// Fills in the standard deviation of the first method's score over `times` alignments of each face
/// that was aligned here. Runs on the engine's threads.
///
/// The noise is the same in every run and for every face, so that the result depends on the face
/// alone.
pub(super) fn measure(
    photo: &Image,
    faces: &mut [PreparedFace],
    engine: &Engine,
    method: Method,
    times: usize,
) {
    let side = engine.config().image_size;
    let request = Request::new(method);
    for face in faces {
        // The noise is relative to the inter-eye distance: without one it would be none.
        let landmarks = face.info.landmarks.filter(|points| points.inter_eye_distance() > 0.0);
        let Some(landmarks) = landmarks else { continue };
        let mut noise = Noise::new();
        let mut scores = Vec::with_capacity(times);
        let mut left = times;
        while left > 0 {
            let now = left.min(AT_ONCE);
            let crops = (0..now).map(|_| crop_by(photo, &noise.applied_to(&landmarks), side));
            let crops: Vec<Crop> = crops.filter_map(Result::ok).collect();
            let outcomes = engine.assess_batch(&crops, &request).into_iter().flatten();
            scores.extend(outcomes.map(|assessment| f64::from(assessment.scores[0])));
            left -= now;
        }
        face.jitter_std = sample_std(&scores).map(|std| std as f32);
    }
}

/// `None` for fewer than two values.
fn sample_std(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

/// Normally distributed numbers by the Box–Muller transform.
struct Noise(Random);

impl Noise {
    fn new() -> Self {
        Self(Random::from_state(0x6a77_1773))
    }

    /// Uniform between 0 and 1, never 0.
    fn uniform(&mut self) -> f64 {
        ((self.0.bits() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    fn applied_to(&mut self, landmarks: &Landmarks) -> Landmarks {
        let size = NOISE * f64::from(landmarks.inter_eye_distance());
        Landmarks(landmarks.0.map(|point| {
            point.map(|coordinate| (f64::from(coordinate) + size * self.normal()) as f32)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_normal_with_expected_std() {
        let landmarks =
            Landmarks([[0.0, 0.0], [100.0, 0.0], [50.0, 60.0], [20.0, 90.0], [80.0, 90.0]]);
        let mut noise = Noise::new();
        let moved: Vec<Landmarks> = (0..4000).map(|_| noise.applied_to(&landmarks)).collect();
        let moves: Vec<f64> = moved
            .iter()
            .flat_map(|moved| moved.0.iter().flatten().zip(landmarks.0.iter().flatten()))
            .map(|(moved, was)| f64::from(moved - was))
            .collect();
        let mean = moves.iter().sum::<f64>() / moves.len() as f64;
        let std = sample_std(&moves).unwrap();
        assert!(mean.abs() < 0.05, "{mean}");
        assert!((std - 2.0).abs() < 0.05, "{std}");
        let within = moves.iter().filter(|m| m.abs() < 2.0).count() as f64 / moves.len() as f64;
        assert!((within - 0.6827).abs() < 0.01, "{within}");
    }

    #[test]
    fn sample_std_needs_two_values() {
        assert_eq!(sample_std(&[1.0]), None);
        assert_eq!(sample_std(&[1.0, 3.0]), Some(2f64.sqrt()));
    }
}
