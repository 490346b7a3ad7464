//! Five landmarks of a face, and the size and pose derived from them.

use super::LandmarkError;

/// Five landmarks of a face: the eye on the image's left (the person's right), the other eye, the
/// nose tip, the mouth corner on the image's left, the other mouth corner; each `[x, y]`.
///
/// In pixels of the upright image: the centre of the top-left pixel is (0, 0), x grows to the right
/// and y downwards. A point may lie outside the image if the edge cuts off the face.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Landmarks(pub [[f32; 2]; 5]);

/// Head pose in degrees, estimated from five landmarks in the image plane.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeadPose {
    /// In-plane rotation, −180 to 180: 0 is upright, positive is clockwise as seen in the image
    /// (the eye on the right is lower).
    pub roll: f32,
    /// Rotation about the vertical axis, −90 to 90: 0 faces the camera, positive has the nose
    /// towards the image's right. A coarse estimate from an average head.
    pub yaw: f32,
}

impl Landmarks {
    /// Names of the five landmarks in messages and columns, in order.
    pub const NAMES: [&'static str; 5] =
        ["left_eye", "right_eye", "nose", "left_mouth", "right_mouth"];

    /// Distance between the two eyes, in pixels: the usual measure of a face's size.
    pub fn inter_eye_distance(&self) -> f32 {
        let [left, right, ..] = self.0;
        (right[0] - left[0]).hypot(right[1] - left[1])
    }

    /// Roll and yaw.
    ///
    /// `roll` is the angle of the line between the eyes. For `yaw`, the nose is assumed to protrude
    /// from between the eyes by half of the inter-eye distance `d`: for a head rotated by θ, a
    /// distant camera sees the eyes at ±w·cos θ and the nose at w·sin θ along the line of the eyes,
    /// so that `yaw = atan(n / (d / 2))`, where `n` is the offset of the nose from the eyes'
    /// midpoint along that line. Heads differ; sign and ranking are reliable, single degrees are
    /// not. If both eyes have the same position, the face is taken as an upright profile: roll is 0,
    /// and yaw is ±90, or 0 if the nose is straight below.
    pub fn pose(&self) -> HeadPose {
        let [left, right, nose, ..] = self.0.map(|point| point.map(f64::from));
        let (dx, dy) = (right[0] - left[0], right[1] - left[1]);
        let distance = dx.hypot(dy);
        let roll = dy.atan2(dx).to_degrees();
        let middle = [(left[0] + right[0]) / 2.0, (left[1] + right[1]) / 2.0];
        // The direction from eye to eye.
        let [ux, uy] = if distance > 0.0 { [dx / distance, dy / distance] } else { [1.0, 0.0] };
        let along = (nose[0] - middle[0]) * ux + (nose[1] - middle[1]) * uy;
        let yaw = along.atan2(distance / 2.0).to_degrees();
        HeadPose { roll: roll as f32, yaw: yaw as f32 }
    }

    /// Checks that these can be a face's landmarks in an image of this size: at least one point
    /// lies in the image, and none is farther from it than its longer side.
    ///
    /// # Errors
    ///
    /// [`LandmarkError::NotFinite`] or [`LandmarkError::Outside`].
    pub fn check_within(&self, width: usize, height: usize) -> Result<(), LandmarkError> {
        self.check_finite()?;
        let margin = width.max(height) as f32;
        let within = |[x, y]: [f32; 2], margin: f32| {
            (-0.5 - margin..=width as f32 - 0.5 + margin).contains(&x)
                && (-0.5 - margin..=height as f32 - 0.5 + margin).contains(&y)
        };
        let far = self.0.iter().position(|&point| !within(point, margin));
        let first_if_none = (!self.0.iter().any(|&point| within(point, 0.0))).then_some(0);
        match far.or(first_if_none) {
            None => Ok(()),
            Some(index) => {
                let [x, y] = self.0[index];
                Err(LandmarkError::Outside { name: Self::NAMES[index], x, y, width, height })
            }
        }
    }

    pub(super) fn check_finite(&self) -> Result<(), LandmarkError> {
        let bad = self.0.iter().zip(Self::NAMES);
        match bad.into_iter().find(|([x, y], _)| !x.is_finite() || !y.is_finite()) {
            None => Ok(()),
            Some((&[x, y], name)) => Err(LandmarkError::NotFinite { name, x, y }),
        }
    }
}
