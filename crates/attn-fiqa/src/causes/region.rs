//! Regions of an aligned face, and how much attention good faces give them.

use std::fmt;

use crate::map::PatchMap;

/// Side, in pixels, of the crop that region coordinates refer to.
const NOMINAL_SIDE: f64 = 112.0;

/// A region is weak if it is this many standard deviations below the mean of good faces. About one
/// good face in a hundred has a given region below it.
const WEAK: f64 = -2.5;

/// A part of the face according to the ArcFace template; left and right as seen in the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FaceRegion {
    /// The eye on the left of the image.
    LeftEye,
    /// The eye on the right of the image.
    RightEye,
    /// The nose.
    Nose,
    /// The mouth.
    Mouth,
    /// The chin; an aligned crop shows only its upper part.
    Chin,
    /// The forehead.
    Forehead,
}

impl FaceRegion {
    /// Every region.
    pub const ALL: [Self; 6] =
        [Self::LeftEye, Self::RightEye, Self::Nose, Self::Mouth, Self::Chin, Self::Forehead];

    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::LeftEye => "left_eye",
            Self::RightEye => "right_eye",
            Self::Nose => "nose",
            Self::Mouth => "mouth",
            Self::Chin => "chin",
            Self::Forehead => "forehead",
        }
    }

    /// Left, top, right and bottom edge in an aligned crop of 112×112 pixels, around the
    /// template's landmarks ([`TEMPLATE_112`](crate::align::TEMPLATE_112)).
    pub fn bounds(self) -> [f64; 4] {
        match self {
            Self::LeftEye => [20.0, 40.0, 54.0, 62.0],
            Self::RightEye => [58.0, 40.0, 92.0, 62.0],
            Self::Nose => [42.0, 56.0, 70.0, 82.0],
            Self::Mouth => [36.0, 84.0, 76.0, 101.0],
            Self::Chin => [28.0, 101.0, 84.0, 112.0],
            Self::Forehead => [16.0, 4.0, 96.0, 36.0],
        }
    }

    /// The mean of a map over the region, each patch weighted by its area inside, minus the mean of
    /// the whole map. A key bias shifts all patches equally and does not change it.
    ///
    /// `side` is the side of the network input and `patch` that of a patch, both in pixels; patches
    /// need not reach the right and bottom edges.
    pub fn relative_attention(self, map: &PatchMap, side: usize, patch: usize) -> f64 {
        let scale = side as f64 / NOMINAL_SIDE;
        let [left, top, right, bottom] = self.bounds().map(|edge| edge * scale);
        let overlap = |from: f64, to: f64, index: usize| {
            let (start, end) = ((index * patch) as f64, ((index + 1) * patch) as f64);
            (to.min(end) - from.max(start)).max(0.0)
        };
        let (mut inside, mut area, mut all) = (0.0, 0.0, 0.0);
        for (place, &value) in map.values().iter().enumerate() {
            let (row, column) = (place / map.grid(), place % map.grid());
            let weight = overlap(left, right, column) * overlap(top, bottom, row);
            inside += weight * f64::from(value);
            area += weight;
            all += f64::from(value);
        }
        // If the grid is so coarse or cropped that no patch meets the region, nothing is known
        // about it.
        if area > 0.0 { inside / area - all / map.values().len() as f64 } else { 0.0 }
    }
}

impl fmt::Display for FaceRegion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Reference values of [`FaceRegion::relative_attention`] for good faces.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RegionReference {
    /// Mean for each region, in the order of [`FaceRegion::ALL`].
    pub mean: [f32; 6],
    /// Standard deviation for each region, above 0.
    pub deviation: [f32; 6],
}

impl RegionReference {
    /// How many standard deviations the attention of each region is above (or, if negative, below)
    /// that of good faces, in the order of [`FaceRegion::ALL`]. For `side` and `patch`, see
    /// [`FaceRegion::relative_attention`].
    pub fn deviations(&self, map: &PatchMap, side: usize, patch: usize) -> [f64; 6] {
        std::array::from_fn(|index| {
            let found = FaceRegion::ALL[index].relative_attention(map, side, patch);
            (found - f64::from(self.mean[index])) / f64::from(self.deviation[index])
        })
    }

    /// The regions whose attention is far below that of good faces, weakest first.
    pub fn weak_regions(&self, map: &PatchMap, side: usize, patch: usize) -> Vec<FaceRegion> {
        let deviations = self.deviations(map, side, patch);
        let mut weak: Vec<(f64, FaceRegion)> = deviations
            .into_iter()
            .zip(FaceRegion::ALL)
            .filter(|(deviation, _)| *deviation < WEAK)
            .collect();
        weak.sort_by(|a, b| a.0.total_cmp(&b.0));
        weak.into_iter().map(|(_, region)| region).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A map of 14×14 whose value is `low` where the centre of the patch lies in the region.
    fn map_with(region: FaceRegion, low: f32) -> PatchMap {
        let [left, top, right, bottom] = region.bounds();
        let value = |place: usize| {
            let (x, y) = ((place % 14) as f64 * 8.0 + 4.0, (place / 14) as f64 * 8.0 + 4.0);
            if x >= left && x < right && y >= top && y < bottom { low } else { 1.0 }
        };
        PatchMap::new(14, (0..196).map(value).collect())
    }

    #[test]
    fn relative_attention_matches_naive_mean() {
        // Pixel by pixel, on crops of two sizes; one has patches that leave a margin.
        for (side, patch) in [(112usize, 8usize), (112, 9), (224, 16)] {
            let grid = side / patch;
            let values: Vec<f32> = (0..grid * grid).map(|i| (i * 7 % 31) as f32).collect();
            let map = PatchMap::new(grid, values.clone());
            let all = values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64;
            for region in FaceRegion::ALL {
                let bounds = region.bounds().map(|edge| (edge * side as f64 / 112.0) as usize);
                let (mut sum, mut count) = (0.0, 0.0);
                for y in bounds[1]..bounds[3].min(grid * patch) {
                    for x in bounds[0]..bounds[2].min(grid * patch) {
                        sum += f64::from(values[y / patch * grid + x / patch]);
                        count += 1.0;
                    }
                }
                let found = region.relative_attention(&map, side, patch);
                assert!((found - (sum / count - all)).abs() < 1e-9, "{region} of {side}/{patch}");
            }
        }
    }

    #[test]
    fn the_region_of_low_attention_is_weak() {
        let reference = RegionReference { mean: [0.0; 6], deviation: [0.1; 6] };
        for region in FaceRegion::ALL {
            let weak = reference.weak_regions(&map_with(region, -1.0), 112, 8);
            assert_eq!(weak.first(), Some(&region));
        }
        assert_eq!(reference.weak_regions(&map_with(FaceRegion::Nose, 1.0), 112, 8), []);
    }
}
