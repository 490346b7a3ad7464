//! A head rotated about its vertical axis.
//!
//! The aligned crop is interpreted as an image of an ellipsoid with a nose in front of a plane,
//! which is rotated, projected from far away, and aligned again by the rotated landmarks.

use attn_fiqa::align::{Landmarks, TEMPLATE_112, similarity_to_template};
use attn_fiqa::crop::Crop;

use super::NOMINAL_SIDE;
use super::raster::warp;
use attn_fiqa::random::Random;

/// Centre of the head, in pixels of a 112×112 crop, like all following lengths.
const CENTRE: [f64; 2] = [56.0, 66.0];

/// Half axes of the head: across, down, towards the camera.
const HALF_AXES: [f64; 3] = [50.0, 66.0, 52.0];

/// Tip of the nose, its height above the ellipsoid, and its horizontal and vertical variances.
const NOSE: [f64; 2] = [56.0, 69.0];
const NOSE_HEIGHT: f64 = 14.0;
const NOSE_VARIANCES: [f64; 2] = [30.0, 60.0];

/// Spacing, in columns of the crop, at which the surface is approximated by straight lines.
const STEP: f64 = 0.5;

/// Rotates by `degrees` to a side that depends on the seed; black outside the original.
pub(super) fn turn(crop: &Crop, degrees: f64, seed: u64) -> Crop {
    let to_right = Random::new(seed, "yaw").uniform() < 0.5;
    let angle = degrees.to_radians() * if to_right { 1.0 } else { -1.0 };
    let turn = Turn { sine: libm::sin(angle), cosine: libm::cos(angle) };
    let turned = TEMPLATE_112.map(|[x, y]| [turn.place(x, height(x, y)).0 as f32, y as f32]);
    let to_crop = similarity_to_template(&Landmarks(turned), NOMINAL_SIDE as usize)
        .expect("a turned template is a face: this is a bug");
    let back = to_crop.inverse().expect("a template has a size: this is a bug");
    let surface = Surface::new();
    // Pixel centres are integers in crops of every side.
    let unit = crop.side() as f64 / NOMINAL_SIDE;
    let to_nominal = |place: f64| (place + 0.5) / unit - 0.5;
    let from_nominal = |place: f64| (place + 0.5) * unit - 0.5;
    warp(crop, |column, row| {
        let [x, y] = back.apply([to_nominal(column), to_nominal(row)]);
        match surface.visible_column(x, y, &turn) {
            Some(x) => (from_nominal(x), from_nominal(y)),
            None => (-1.0, -1.0),
        }
    })
}

struct Turn {
    sine: f64,
    cosine: f64,
}

impl Turn {
    /// Column and height of a point after the rotation.
    fn place(&self, x: f64, height: f64) -> (f64, f64) {
        let across = x - CENTRE[0];
        let column = CENTRE[0] + across * self.cosine + height * self.sine;
        (column, height * self.cosine - across * self.sine)
    }
}

/// Height of the surface over the plane behind the head.
fn height(x: f64, y: f64) -> f64 {
    let nose = |place: f64, axis: usize| {
        libm::exp(-(place - NOSE[axis]) * (place - NOSE[axis]) / (2.0 * NOSE_VARIANCES[axis]))
    };
    ellipsoid(across(x), down(y)) + NOSE_HEIGHT * nose(x, 0) * nose(y, 1)
}

/// Squares of the distances from the middle, in half axes.
fn across(x: f64) -> f64 {
    let offset = (x - CENTRE[0]) / HALF_AXES[0];
    offset * offset
}

fn down(y: f64) -> f64 {
    let offset = (y - CENTRE[1]) / HALF_AXES[1];
    offset * offset
}

fn ellipsoid(across: f64, down: f64) -> f64 {
    HALF_AXES[2] * (1.0 - across - down).max(0.0).sqrt()
}

/// The parts of the surface that do not change from row to row.
struct Surface {
    /// For each column: its position, its part of the ellipsoid, its part of the nose.
    columns: Vec<[f64; 3]>,
}

impl Surface {
    fn new() -> Self {
        let count = (NOMINAL_SIDE / STEP) as usize;
        let column = |index: usize| {
            let x = index as f64 * STEP - 0.5;
            let from_nose = x - NOSE[0];
            let nose = libm::exp(-from_nose * from_nose / (2.0 * NOSE_VARIANCES[0]));
            [x, across(x), NOSE_HEIGHT * nose]
        };
        Self { columns: (0..=count).map(column).collect() }
    }

    /// The column of the point that is visible at `(x, y)` after the rotation: the nearest to the
    /// camera.
    fn visible_column(&self, x: f64, y: f64, turn: &Turn) -> Option<f64> {
        let from_nose = y - NOSE[1];
        let nose = libm::exp(-from_nose * from_nose / (2.0 * NOSE_VARIANCES[1]));
        let down = down(y);
        let (mut nearest, mut found) = (f64::NEG_INFINITY, None);
        let mut before: Option<(f64, f64, f64)> = None;
        for &[column, across, of_nose] in &self.columns {
            let (place, height) = turn.place(column, ellipsoid(across, down) + of_nose * nose);
            if let Some((last_column, last_place, last_height)) = before
                && (last_place.min(place)..=last_place.max(place)).contains(&x)
                && place != last_place
            {
                let fraction = (x - last_place) / (place - last_place);
                let height = last_height + (height - last_height) * fraction;
                if height > nearest {
                    nearest = height;
                    found = Some(last_column + (column - last_column) * fraction);
                }
            }
            before = Some((column, place, height));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_surface_point_is_visible_at_its_projection() {
        let surface = Surface::new();
        for degrees in [-75.0_f64, -40.0, -10.0, 5.0, 30.0, 60.0] {
            let angle = degrees.to_radians();
            let turn = Turn { sine: libm::sin(angle), cosine: libm::cos(angle) };
            // Nose tip, and the cheek on the side that turns towards the camera.
            let cheek = if degrees > 0.0 { 40.0 } else { 72.0 };
            for (x, y) in [(56.0, 69.0), (cheek, 80.0)] {
                let (place, _) = turn.place(x, height(x, y));
                let found = surface.visible_column(place, y, &turn).expect("something is there");
                assert!((found - x).abs() < 0.2, "{degrees}°: {found} ≠ {x}");
            }
        }
        // Far to the side of the head there is nothing.
        assert_eq!(surface.visible_column(-300.0, 60.0, &Turn { sine: 0.5, cosine: 0.75 }), None);
    }

    #[test]
    fn rotation_keeps_distances_from_the_axis() {
        for degrees in [-75.0_f64, -20.0, 10.0, 60.0] {
            let angle = degrees.to_radians();
            let turn = Turn { sine: libm::sin(angle), cosine: libm::cos(angle) };
            for (x, height) in [(56.0, 0.0), (30.0, 20.0), (80.0, 45.0), (56.0, 50.0)] {
                let (column, turned) = turn.place(x, height);
                let (before, after) = ((x - 56.0).hypot(height), (column - 56.0).hypot(turned));
                assert!((before - after).abs() < 1e-9, "{degrees}°: {before} {after}");
                let rotated = (height.atan2(x - 56.0) - turned.atan2(column - 56.0)).to_degrees();
                let off = (rotated - degrees).rem_euclid(360.0);
                let is_centre = (x, height) == (56.0, 0.0);
                assert!(is_centre || off.min(360.0 - off) < 1e-9, "{degrees}°: {rotated}");
            }
        }
    }

    #[test]
    fn far_eye_is_occluded_at_large_yaw() {
        let surface = Surface::new();
        let hidden = |degrees: f64| {
            let angle = degrees.to_radians();
            let turn = Turn { sine: libm::sin(angle), cosine: libm::cos(angle) };
            let [x, y] = TEMPLATE_112[1];
            let (place, _) = turn.place(x, height(x, y));
            surface.visible_column(place, y, &turn).is_none_or(|found| (found - x).abs() > 2.0)
        };
        assert!(!hidden(20.0) && hidden(75.0));
    }
}
