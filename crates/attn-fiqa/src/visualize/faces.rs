//! Draws boxes and landmarks on a photo.

use crate::align::Landmarks;
use crate::detect::{Face, FaceBox};
use crate::pixels::Image;

/// Colour of the box.
const BOX: [u8; 3] = [0, 230, 60];
/// Colours of the landmarks from left to right and top to bottom: eyes, nose tip, mouth corners.
/// All differ, so that swapped landmarks are visible.
const POINTS: [[u8; 3]; 5] =
    [[255, 60, 60], [60, 160, 255], [255, 220, 0], [255, 80, 255], [0, 235, 235]];

/// A copy of the photo with each face's box and five landmarks.
///
/// The line width is two thousandths of the photo's longer side, at least one pixel. The left eye
/// is red, the right eye blue, the nose tip yellow, the left mouth corner pink and the right one
/// turquoise.
pub fn draw_faces(photo: &Image, faces: &[Face]) -> Image {
    let (width, height) = (photo.width(), photo.height());
    let mut drawing = Drawing { width, height, rgb: photo.rgb().to_vec() };
    let line = (width.max(height) as f32 / 500.0).max(1.0);
    for Face { bounds, landmarks, .. } in faces {
        drawing.frame(bounds, line);
        drawing.points(landmarks, line);
    }
    Image::from_rgb(width, height, drawing.rgb).expect("a photo of its own size: this is a bug")
}

struct Drawing {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Drawing {
    /// Fills the part of a rectangle that lies inside the photo; edges are in pixels.
    fn fill(&mut self, (left, right): (f32, f32), (top, bottom): (f32, f32), color: [u8; 3]) {
        // A cast saturates, and there are no pixels outside.
        let span = |from: f32, to: f32, end: usize| {
            let from = (from.round().max(0.0) as usize).min(end);
            from..(to.round().max(0.0) as usize).clamp(from, end)
        };
        for row in span(top, bottom, self.height) {
            for column in span(left, right, self.width) {
                self.rgb[(row * self.width + column) * 3..][..3].copy_from_slice(&color);
            }
        }
    }

    fn frame(&mut self, bounds: &FaceBox, line: f32) {
        let FaceBox { x, y, width, height } = *bounds;
        let (right, bottom) = (x + width, y + height);
        self.fill((x, right), (y, y + line), BOX);
        self.fill((x, right), (bottom - line, bottom), BOX);
        self.fill((x, x + line), (y, bottom), BOX);
        self.fill((right - line, right), (y, bottom), BOX);
    }

    /// Squares around the points, sized to the face.
    fn points(&mut self, landmarks: &Landmarks, line: f32) {
        let half = (line * 1.5).min(landmarks.inter_eye_distance() / 16.0).max(0.5);
        for (&[x, y], color) in landmarks.0.iter().zip(POINTS) {
            // The centre of pixel 0 is 0, its edges −0.5 and 0.5.
            let (x, y) = (x + 0.5, y + 0.5);
            self.fill((x - half, x + half), (y - half, y + half), color);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(x: f32, y: f32, size: f32) -> Face {
        let at = |u: f32, v: f32| [x + u * size, y + v * size];
        Face {
            bounds: FaceBox { x, y, width: size, height: size },
            landmarks: Landmarks([
                at(0.3, 0.4),
                at(0.7, 0.4),
                at(0.5, 0.6),
                at(0.35, 0.8),
                at(0.65, 0.8),
            ]),
            confidence: 0.9,
            refined: false,
        }
    }

    #[test]
    fn landmarks_and_box_are_drawn_in_their_colours() {
        let photo = Image::from_rgb(200, 150, vec![7; 200 * 150 * 3]).unwrap();
        let face = face(20.0, 10.0, 100.0);
        let drawn = draw_faces(&photo, &[face]);
        let pixel = |x: f32, y: f32| {
            let at = (y.round() as usize * 200 + x.round() as usize) * 3;
            &drawn.rgb()[at..at + 3]
        };
        for ([x, y], color) in face.landmarks.0.into_iter().zip(POINTS) {
            assert_eq!(pixel(x, y), color);
        }
        assert_eq!(pixel(20.0, 60.0), BOX);
        assert_eq!(pixel(119.0, 60.0), BOX);
        assert_eq!(pixel(60.0, 30.0), [7; 3]);
        assert_eq!(pixel(150.0, 60.0), [7; 3]);
    }

    #[test]
    fn drawing_faces_beyond_the_edges_keeps_image_size() {
        let photo = Image::from_rgb(30, 20, vec![7; 30 * 20 * 3]).unwrap();
        for face in [face(-50.0, -50.0, 400.0), face(-300.0, 0.0, 10.0), face(1e30, 0.0, 1e30)] {
            let drawn = draw_faces(&photo, &[face]);
            assert_eq!((drawn.width(), drawn.height()), (30, 20));
        }
        assert_eq!(draw_faces(&photo, &[]), photo);
    }
}
