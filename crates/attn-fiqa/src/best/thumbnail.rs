//! Near-duplicate detection on crops.

use crate::crop::Crop;

/// Cells along one side.
const CELLS: usize = 16;

/// Default correlation at or above which two thumbnails show nearly the same image.
pub const DEFAULT_SAME_IMAGE: f32 = 0.95;

/// A face in 16×16 grey levels, with mean brightness and contrast removed.
///
/// It captures lighting, pose, expression and background, so two images of one person taken on
/// different days differ while neighbouring frames of a video do not. No network is used: a face
/// recogniser is trained to make all images of a person alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Thumbnail {
    /// `[row, column]`; mean 0 and norm 1, or all 0 for a crop of a single grey level.
    cells: Vec<f32>,
}

impl Thumbnail {
    /// Averages the luma (Rec. 601) of a crop's pixels cell by cell.
    pub fn of(crop: &Crop) -> Self {
        let side = crop.side();
        let mut sums = vec![0.0_f64; CELLS * CELLS];
        let mut counts = vec![0_u32; CELLS * CELLS];
        for (index, pixel) in crop.rgb().chunks_exact(3).enumerate() {
            let (row, column) = (index / side * CELLS / side, index % side * CELLS / side);
            let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(f64::from);
            sums[row * CELLS + column] += 0.299 * red + 0.587 * green + 0.114 * blue;
            counts[row * CELLS + column] += 1;
        }
        // If the crop is smaller than the grid, some cells are empty.
        let means = sums.iter().zip(&counts).map(|(sum, &count)| sum / f64::from(count.max(1)));
        let means: Vec<f64> = means.collect();
        let mean = means.iter().sum::<f64>() / means.len() as f64;
        let norm = means.iter().map(|level| (level - mean).powi(2)).sum::<f64>().sqrt();
        // Anything below a thousandth of a level is rounding error.
        let scale = if norm > 1e-3 { 1.0 / norm } else { 0.0 };
        Self { cells: means.iter().map(|level| ((level - mean) * scale) as f32).collect() }
    }

    /// Correlation with another thumbnail, −1 to 1; 1 is the same image up to brightness and
    /// contrast. A crop of a single grey level is similar only to another such crop.
    pub fn similarity(&self, other: &Self) -> f32 {
        let flat = |thumbnail: &Self| thumbnail.cells.iter().all(|&cell| cell == 0.0);
        match (flat(self), flat(other)) {
            (true, true) => 1.0,
            _ => self.cells.iter().zip(&other.cells).map(|(a, b)| a * b).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crop(side: usize, level: impl Fn(usize, usize) -> u8) -> Crop {
        let rgb = (0..side * side).flat_map(|i| [level(i % side, i / side); 3]).collect();
        Crop::from_rgb(side, rgb).expect("a crop")
    }

    #[test]
    fn similarity_ignores_brightness_and_contrast() {
        let ramp = Thumbnail::of(&crop(112, |x, y| (x / 2 + y / 4) as u8));
        let brighter = Thumbnail::of(&crop(112, |x, y| (50 + x + y / 2) as u8));
        let negative = Thumbnail::of(&crop(112, |x, y| (200 - x / 2 - y / 4) as u8));
        let other = Thumbnail::of(&crop(112, |x, _| if x % 56 < 28 { 0 } else { 200 }));
        assert!((ramp.similarity(&ramp) - 1.0).abs() < 1e-5);
        assert!(ramp.similarity(&brighter) > 0.999);
        assert!(ramp.similarity(&negative) < -0.999);
        assert!(ramp.similarity(&other).abs() < 0.5);
    }

    #[test]
    fn flat_thumbnails_match_only_each_other() {
        let [black, white] = [0, 255].map(|level| Thumbnail::of(&crop(50, |_, _| level)));
        let ramp = Thumbnail::of(&crop(50, |x, _| x as u8));
        assert_eq!(black.similarity(&white), 1.0);
        assert_eq!(black.similarity(&ramp), 0.0);
        // Smaller than the thumbnail, but still comparable.
        let tiny = Thumbnail::of(&crop(3, |x, y| (x * 80 + y) as u8));
        assert!((tiny.similarity(&tiny) - 1.0).abs() < 1e-5);
    }
}
