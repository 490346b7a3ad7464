//! Colour components.

use super::face_area::FaceArea;
use super::light::linear;

/// The a* range of skin.
const SKIN_A: [f64; 2] = [5.0, 25.0];

/// The b* range of skin.
const SKIN_B: [f64; 2] = [5.0, 35.0];

/// The distance assigned to a colour that cannot be skin.
const NOT_SKIN: f64 = 100.0;

/// The distance from the skin range to the mean colour of the squares below the eyes.
pub(super) fn distance_from_skin(area: &FaceArea<'_>) -> Option<f64> {
    let [left, right] = area.cheeks()?;
    let count = (left.len() + right.len()) as f64;
    let mean = [0, 1, 2].map(|channel| {
        let levels = left.iter().chain(&right).map(|pixel| f64::from(pixel[channel]));
        levels.sum::<f64>() / count / 255.0
    });
    let [a, b] = a_and_b(mean);
    if a < 0.0 || b < 0.0 {
        return Some(NOT_SKIN);
    }
    let outside = |value: f64, [low, high]: [f64; 2]| (low - value).max(value - high).max(0.0);
    Some(outside(a, SKIN_A).hypot(outside(b, SKIN_B)))
}

/// The CIELAB a* and b* (white point D50) of an sRGB colour, each channel 0 to 1.
fn a_and_b(rgb: [f64; 3]) -> [f64; 2] {
    /// sRGB to CIE XYZ adapted to D50.
    const TO_XYZ: [[f64; 3]; 3] =
        [[0.43605, 0.38508, 0.14309], [0.22249, 0.71689, 0.06062], [0.01393, 0.09710, 0.71419]];
    const WHITE: [f64; 3] = [0.964221, 1.0, 0.825211];
    const EPSILON: f64 = 216.0 / 24389.0;
    const KAPPA: f64 = 24389.0 / 27.0;
    let rgb = rgb.map(linear);
    let [x, y, z] = [0, 1, 2].map(|row| {
        let value: f64 = TO_XYZ[row].iter().zip(rgb).map(|(factor, level)| factor * level).sum();
        let value = value / WHITE[row];
        if value > EPSILON { value.cbrt() } else { (KAPPA * value + 16.0) / 116.0 }
    });
    [500.0 * (x - y), 200.0 * (y - z)]
}

/// The 95th percentile of the difference between the largest and the smallest channel.
pub(super) fn range(area: &FaceArea<'_>) -> Option<f64> {
    let spread = |[r, g, b]: [u8; 3]| r.max(g).max(b) - r.min(g).min(b);
    let mut spreads: Vec<u8> = area.outline().iter().copied().map(spread).collect();
    spreads.sort_unstable();
    let place = spreads.len().checked_sub(1)? * 95 / 100;
    Some(f64::from(spreads[place]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lab_chromaticities_match_known_values() {
        // By hand, from the definitions: white and greys have no colour, red is (80.8, 69.9) under
        // D50.
        for grey in [0.0, 0.01, 0.5, 1.0] {
            let [a, b] = a_and_b([grey; 3]);
            assert!(a.abs() < 0.1 && b.abs() < 0.1, "{grey}: {a} {b}");
        }
        let [a, b] = a_and_b([1.0, 0.0, 0.0]);
        assert!((a - 80.8).abs() < 0.2 && (b - 69.9).abs() < 0.2, "{a} {b}");
        let [a, b] = a_and_b([0.0, 1.0, 0.0]);
        assert!(a < -70.0 && b > 70.0, "{a} {b}");
    }
}
