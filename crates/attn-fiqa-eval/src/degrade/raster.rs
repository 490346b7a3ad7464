//! Shared by the degradations: pixels as numbers, and interpolation.

use attn_fiqa::crop::Crop;

pub(super) const CHANNELS: usize = 3;

/// A crop from levels, each rounded to the nearest of 0 … 255.
pub(super) fn crop_of(side: usize, levels: impl Iterator<Item = f32>) -> Crop {
    let rgb = levels.map(|level| level.round().clamp(0.0, 255.0) as u8).collect();
    Crop::from_rgb(side, rgb).expect("as many levels as the crop had: this is a bug")
}

/// The crop whose pixel `(column, row)` is sampled bilinearly at `place(column, row)` of `crop`;
/// integers are pixel centres. Black outside, as in alignment.
pub(super) fn warp(crop: &Crop, place: impl Fn(f64, f64) -> (f64, f64)) -> Crop {
    let side = crop.side();
    let places = (0..side).flat_map(|row| (0..side).map(move |column| (column, row)));
    crop_of(
        side,
        places.flat_map(|(column, row)| {
            let (x, y) = place(column as f64, row as f64);
            bilinear(crop, x, y)
        }),
    )
}

/// The three channels at `(x, y)`.
fn bilinear(crop: &Crop, x: f64, y: f64) -> [f32; CHANNELS] {
    let (left, top) = (x.floor(), y.floor());
    let (right_share, lower_share) = ((x - left) as f32, (y - top) as f32);
    let mix = |a: [f32; 3], b: [f32; 3], weight: f32| {
        std::array::from_fn(|channel| a[channel] + (b[channel] - a[channel]) * weight)
    };
    let row = |y| mix(pixel(crop, left, y), pixel(crop, left + 1.0, y), right_share);
    mix(row(top), row(top + 1.0), lower_share)
}

fn pixel(crop: &Crop, column: f64, row: f64) -> [f32; CHANNELS] {
    let last = (crop.side() - 1) as f64;
    if !(0.0..=last).contains(&column) || !(0.0..=last).contains(&row) {
        return [0.0; CHANNELS];
    }
    let start = (row as usize * crop.side() + column as usize) * CHANNELS;
    std::array::from_fn(|channel| f32::from(crop.rgb()[start + channel]))
}
