//! A cover over one region of the face.

use attn_fiqa::causes::FaceRegion;
use attn_fiqa::crop::Crop;
use attn_fiqa::random::Random;

use super::raster::CHANNELS;
use super::{NOMINAL_SIDE, with_landmarks_of};

/// Maximum distance, in pixels, of each edge of a cover from the region's edge.
const SCATTER: f64 = 3.0;

/// The largest standard deviation of a cover's texture, in grey levels.
const TEXTURE: f64 = 40.0;

/// Covers one region of the face with a rectangle of one colour and a grainy texture. The seed
/// determines the colour, the grain and the exact position of the edges. The same crop, region and
/// seed give the same pixels.
pub fn cover_region(crop: &Crop, region: FaceRegion, seed: u64) -> Crop {
    let mut random = Random::new(seed, "cover");
    let unit = crop.side() as f64 / NOMINAL_SIDE;
    let bounds = region.bounds();
    let bounds = bounds.map(|edge| unit * (edge + SCATTER * (2.0 * random.uniform() - 1.0)));
    let colour: [f64; CHANNELS] = std::array::from_fn(|_| 255.0 * random.uniform());
    let deviation = TEXTURE * random.uniform();
    let mut rgb = crop.rgb().to_vec();
    for (index, pixel) in rgb.chunks_exact_mut(CHANNELS).enumerate() {
        let (x, y) = ((index % crop.side()) as f64, (index / crop.side()) as f64);
        if x >= bounds[0] && x < bounds[2] && y >= bounds[1] && y < bounds[3] {
            let grain = deviation * random.normal();
            let level = |colour: f64| (colour + grain).round().clamp(0.0, 255.0) as u8;
            pixel.copy_from_slice(&colour.map(level));
        }
    }
    let covered = Crop::from_rgb(crop.side(), rgb);
    with_landmarks_of(crop, covered.expect("as many pixels as the crop had: this is a bug"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cover_stays_on_its_region() {
        for side in [112, 224] {
            let grey = Crop::from_rgb(side, vec![128; side * side * 3]).expect("a crop");
            let unit = side as f64 / NOMINAL_SIDE;
            for region in FaceRegion::ALL {
                let covered = cover_region(&grey, region, 9);
                assert_eq!(covered, cover_region(&grey, region, 9));
                assert_ne!(covered, cover_region(&grey, region, 10));
                let [left, top, right, bottom] = region.bounds().map(|edge| edge * unit);
                let (within, mut changed) = (SCATTER * unit, 0.0);
                for (index, pixel) in covered.rgb().chunks_exact(3).enumerate() {
                    let (x, y) = ((index % side) as f64, (index / side) as f64);
                    if pixel != [128; 3] {
                        changed += 1.0;
                        assert!(x >= left - within && x < right + within, "{region}: {x}");
                        assert!(y >= top - within && y < bottom + within, "{region}: {y}");
                    }
                }
                let area = (right - left) * (bottom - top);
                assert!(changed > 0.4 * area && changed < 1.8 * area, "{region}: {changed}");
            }
        }
    }
}
