//! The face as laid out by ISO/IEC 29794-5, and the parts of it that components measure.

use super::geometry::eyes_to_mouth;
use crate::align::{LandmarkError, Landmarks, Similarity, similarity_to};
use crate::pixels::Image;

/// The positions of the five landmarks in the standard's 616×616 pixel template, each `[x, y]`, in
/// the order of [`Landmarks`].
const TEMPLATE_616: [[f64; 2]; 5] =
    [[251.0, 272.0], [364.0, 272.0], [308.0, 336.0], [262.0, 402.0], [355.0, 402.0]];

/// The outline of the face, which five landmarks do not give, as an ellipse in the template: from
/// the brows to the chin and from cheekbone to cheekbone of an average head.
const OUTLINE_CENTRE: [f64; 2] = [308.0, 363.0];
const OUTLINE_HALF_AXES: [f64; 2] = [115.0, 141.0];

/// A face in the template's coordinates.
pub(super) struct FaceArea<'a> {
    photo: &'a Image,
    from_template: Similarity,
    /// The landmarks in the template's coordinates.
    landmarks: Landmarks,
    /// The colours inside the part of the outline that lies in the image.
    outline: Vec<[u8; 3]>,
}

impl<'a> FaceArea<'a> {
    pub(super) fn new(photo: &'a Image, landmarks: &Landmarks) -> Result<Self, LandmarkError> {
        let to_template = similarity_to(&TEMPLATE_616, landmarks)?;
        let from_template = to_template.inverse().ok_or(LandmarkError::Coincident {
            spread: to_template.scale(),
            minimum: f64::MIN_POSITIVE,
        })?;
        let place = |point: [f32; 2]| to_template.apply(point.map(f64::from)).map(|v| v as f32);
        let landmarks = Landmarks(landmarks.0.map(place));
        let mut area = Self { photo, from_template, landmarks, outline: Vec::new() };
        area.outline = area.inside_outline();
        Ok(area)
    }

    /// The colours inside the part of the outline that lies in the image.
    pub(super) fn outline(&self) -> &[[u8; 3]] {
        &self.outline
    }

    fn inside_outline(&self) -> Vec<[u8; 3]> {
        let [x, y] = OUTLINE_CENTRE;
        let [across, down] = OUTLINE_HALF_AXES;
        let inside = |column: i64, row: i64| {
            ((column as f64 - x) / across).powi(2) + ((row as f64 - y) / down).powi(2) <= 1.0
        };
        let rows = (y - down) as i64..=(y + down) as i64;
        let columns = (x - across) as i64..=(x + across) as i64;
        let pixels = rows.flat_map(|row| columns.clone().map(move |column| (column, row)));
        let pixels = pixels.filter(|&(column, row)| inside(column, row));
        pixels.filter_map(|(column, row)| self.colour([column as f64, row as f64])).collect()
    }

    /// The colours of the two squares below the eyes, left and right as seen in the image: each
    /// three tenths of the inter-eye distance on a side, outward of the eye, half way down to the
    /// mouth. `None` unless both lie entirely in the image.
    pub(super) fn cheeks(&self) -> Option<[Vec<[u8; 3]>; 2]> {
        let side = (0.3 * self.landmarks.inter_eye_distance()) as i64;
        if side < 1 {
            return None;
        }
        let down = (eyes_to_mouth(&self.landmarks) / 2.0) as i64;
        let [left, right] = [0, 1].map(|eye| self.landmarks.0[eye].map(|v| v.round() as i64));
        let square = |x: i64, y: i64| -> Option<Vec<[u8; 3]>> {
            let rows = y..y + side;
            let pixels = rows.flat_map(|row| (x..x + side).map(move |column| (column, row)));
            pixels.map(|(column, row)| self.colour([column as f64, row as f64])).collect()
        };
        Some([square(left[0] - side, left[1] + down)?, square(right[0], right[1] + down)?])
    }

    /// The image colour at a point of the template, bilinearly interpolated; `None` outside the
    /// image.
    fn colour(&self, place: [f64; 2]) -> Option<[u8; 3]> {
        let [x, y] = self.from_template.apply(place);
        let (width, height) = (self.photo.width(), self.photo.height());
        let within = |value: f64, length: usize| value >= 0.0 && value <= (length - 1) as f64;
        if !within(x, width) || !within(y, height) {
            return None;
        }
        let (column, row) = (x as usize, y as usize);
        let (across, down) = (x - column as f64, y - row as f64);
        let level = |column: usize, row: usize, channel: usize| {
            let at = (row.min(height - 1) * width + column.min(width - 1)) * 3;
            f64::from(self.photo.rgb()[at + channel])
        };
        Some(std::array::from_fn(|channel| {
            let along = |row| {
                let (a, b) = (level(column, row, channel), level(column + 1, row, channel));
                a + (b - a) * across
            };
            let (upper, lower) = (along(row), along(row + 1));
            (upper + (lower - upper) * down).round() as u8
        }))
    }
}
