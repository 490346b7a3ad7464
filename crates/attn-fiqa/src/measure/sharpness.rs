//! The variance of the Laplacian: the oldest blur measure.

use crate::crop::Crop;

/// Variance of the four-neighbour Laplacian of the crop's luma (0.299 R + 0.587 G + 0.114 B, levels
/// 0 to 255), mirrored at the border without repeating it: the result of OpenCV's
/// `Laplacian(grey, CV_64F).var()`, except that luma is not rounded. Noise counts as sharpness.
pub fn sharpness(crop: &Crop) -> f32 {
    let side = crop.side();
    let luma = |pixel: &[u8]| {
        let [r, g, b] = [0, 1, 2].map(|channel| f64::from(pixel[channel]));
        0.299 * r + 0.587 * g + 0.114 * b
    };
    let grey: Vec<f64> = crop.rgb().chunks_exact(3).map(luma).collect();
    // Positions of the neighbours; in an image of one pixel, the pixel itself.
    let before = |at: usize| if at == 0 { 1.min(side - 1) } else { at - 1 };
    let after = |at: usize| if at + 1 == side { side.saturating_sub(2) } else { at + 1 };
    let (mut sum, mut squares) = (0.0, 0.0);
    for y in 0..side {
        for x in 0..side {
            let at = |y: usize, x: usize| grey[y * side + x];
            let around = at(before(y), x) + at(after(y), x) + at(y, before(x)) + at(y, after(x));
            let value = around - 4.0 * at(y, x);
            sum += value;
            squares += value * value;
        }
    }
    let count = (side * side) as f64;
    ((squares - sum * sum / count) / count) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sharpness_is_laplacian_variance() {
        let grey = Crop::from_rgb(8, vec![90; 8 * 8 * 3]).expect("a crop");
        assert_eq!(sharpness(&grey), 0.0);
        let mut rgb = vec![0; 8 * 8 * 3];
        rgb[(3 * 8 + 3) * 3..][..3].fill(100);
        let dot = Crop::from_rgb(8, rgb).expect("a crop");
        // −400 once and 100 four times; the mean is 0.
        let expected = (160_000.0 + 4.0 * 10_000.0) / 64.0;
        assert!((sharpness(&dot) - expected).abs() < 1e-3);
    }

    #[test]
    fn border_pixels_are_mirrored() {
        // A dot in the corner is never its own neighbour: its neighbours across the border are the
        // ones inside.
        let mut rgb = vec![0; 4 * 4 * 3];
        rgb[..3].fill(100);
        let corner = Crop::from_rgb(4, rgb).expect("a crop");
        let sum = -400.0 + 2.0 * 100.0;
        let squares: f32 = 160_000.0 + 2.0 * 10_000.0;
        let expected = (squares - sum * sum / 16.0) / 16.0;
        assert!((sharpness(&corner) - expected).abs() < 1e-2);
    }
}
