//! A detector's result for one face.

use crate::align::Landmarks;

/// An upright rectangle in pixels of the upright image, in the coordinates of [`Landmarks`]: the
/// centre of the top-left pixel is (0, 0). It may extend beyond the image where a face does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FaceBox {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width, positive.
    pub width: f32,
    /// Height, positive.
    pub height: f32,
}

impl FaceBox {
    /// Area in square pixels.
    pub fn area(&self) -> f32 {
        self.width * self.height
    }

    /// Intersection over union with another box, 0 (disjoint) to 1 (equal).
    pub fn iou(&self, other: &Self) -> f32 {
        let overlap = |a: f32, a_length: f32, b: f32, b_length: f32| {
            ((a + a_length).min(b + b_length) - a.max(b)).max(0.0)
        };
        let shared = overlap(self.x, self.width, other.x, other.width)
            * overlap(self.y, self.height, other.y, other.height);
        let all = self.area() + other.area() - shared;
        if all > 0.0 { shared / all } else { 0.0 }
    }
}

/// A detected face.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Face {
    /// Its bounding box.
    pub bounds: FaceBox,
    /// Its eyes, nose tip and mouth corners.
    pub landmarks: Landmarks,
    /// Confidence that this is a face, 0 to 1. The built-in detector takes the size into account
    /// (`models/detector.md`); for other networks, it is their score. Detectors are calibrated
    /// differently.
    pub confidence: f32,
    /// Whether the landmarks were refined
    /// ([`Detector::with_refined_landmarks`](super::Detector::with_refined_landmarks)).
    pub refined: bool,
}

impl Face {
    /// Converts from the coordinates of an image `factor` times smaller to those of the larger one:
    /// they share their outer edges, not the centres of their first pixels.
    pub(super) fn enlarged(&self, (horizontal, vertical): (f32, f32)) -> Self {
        let x = |x: f32| (x + 0.5) * horizontal - 0.5;
        let y = |y: f32| (y + 0.5) * vertical - 0.5;
        Self {
            bounds: FaceBox {
                x: x(self.bounds.x),
                y: y(self.bounds.y),
                width: self.bounds.width * horizontal,
                height: self.bounds.height * vertical,
            },
            landmarks: Landmarks(self.landmarks.0.map(|[px, py]| [x(px), y(py)])),
            confidence: self.confidence,
            refined: self.refined,
        }
    }

    pub(super) fn is_finite(&self) -> bool {
        let FaceBox { x, y, width, height } = self.bounds;
        [x, y, width, height, self.confidence].iter().all(|value| value.is_finite())
            && self.landmarks.0.iter().flatten().all(|value| value.is_finite())
    }
}
