//! Images on their side or upside down: rotates them by quarter turns, and maps the faces found
//! back to the original image.

use super::{Face, FaceBox};
use crate::align::Landmarks;
use crate::pixels::Image;

/// A clockwise rotation of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum QuarterTurn {
    By90,
    By180,
    By270,
}

impl QuarterTurn {
    pub(super) const ALL: [Self; 3] = [Self::By90, Self::By270, Self::By180];

    /// The rotated image.
    pub(super) fn apply(self, image: &Image) -> Image {
        let (width, height) = (image.width(), image.height());
        let (turned_width, turned_height) = match self {
            Self::By180 => (width, height),
            Self::By90 | Self::By270 => (height, width),
        };
        let mut rgb = Vec::with_capacity(image.rgb().len());
        for y in 0..turned_height {
            for x in 0..turned_width {
                let (x, y) = self.source(x, y, width, height);
                let at = 3 * (y * width + x);
                rgb.extend_from_slice(&image.rgb()[at..at + 3]);
            }
        }
        Image::from_rgb(turned_width, turned_height, rgb)
            .expect("as many pixels as before: this is a bug")
    }

    fn source(self, x: usize, y: usize, width: usize, height: usize) -> (usize, usize) {
        match self {
            Self::By90 => (y, height - 1 - x),
            Self::By180 => (width - 1 - x, height - 1 - y),
            Self::By270 => (width - 1 - y, x),
        }
    }

    /// Maps a face of the rotated image to the original image of this width and height.
    pub(super) fn undo(self, face: &Face, width: usize, height: usize) -> Face {
        let (right, bottom) = (width as f32 - 1.0, height as f32 - 1.0);
        let back = |[x, y]: [f32; 2]| match self {
            Self::By90 => [y, bottom - x],
            Self::By180 => [right - x, bottom - y],
            Self::By270 => [right - y, x],
        };
        let FaceBox { x, y, width, height } = face.bounds;
        let (a, b) = (back([x, y]), back([x + width, y + height]));
        Face {
            bounds: FaceBox {
                x: a[0].min(b[0]),
                y: a[1].min(b[1]),
                width: (a[0] - b[0]).abs(),
                height: (a[1] - b[1]).abs(),
            },
            landmarks: Landmarks(face.landmarks.0.map(back)),
            ..*face
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A landmark on a bright pixel of the rotated image must map to that pixel's place in the
    /// original.
    #[test]
    fn undo_maps_faces_back_to_original_pixels() {
        let (width, height) = (5, 3);
        for (turn, (x, y)) in QuarterTurn::ALL.iter().flat_map(|t| [(t, (4, 0)), (t, (1, 2))]) {
            let mut rgb = vec![0; 3 * width * height];
            rgb[3 * (y * width + x)] = 255;
            let image = Image::from_rgb(width, height, rgb).expect("an image");
            let turned = turn.apply(&image);
            let bright = turned.rgb().iter().position(|&level| level == 255).expect("a pixel") / 3;
            let place = [bright % turned.width(), bright / turned.width()].map(|v| v as f32);
            let bounds = FaceBox { x: place[0] - 1.0, y: place[1] - 2.0, width: 2.0, height: 4.0 };
            let landmarks = Landmarks([place; 5]);
            let face = Face { bounds, landmarks, confidence: 0.9, refined: false };
            let back = turn.undo(&face, width, height);
            assert_eq!(back.landmarks.0[0], [x as f32, y as f32], "{turn:?}");
            let middle =
                [back.bounds.x + back.bounds.width / 2.0, back.bounds.y + back.bounds.height / 2.0];
            assert_eq!(middle, [x as f32, y as f32], "{turn:?}");
            let upright = *turn == QuarterTurn::By180;
            assert_eq!(back.bounds.height == 4.0, upright, "{turn:?}");
        }
    }
}
