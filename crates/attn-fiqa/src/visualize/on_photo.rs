//! Maps drawn onto the photo that their faces were taken from.

use super::overlay::blend;
use super::{MAX_PIXELS, MapStyle, PatchGrid, Rendered, VisualizeError};
use crate::align::Similarity;
use crate::pixels::Image;

/// The map of a face and the position of the face.
#[derive(Debug, Clone, Copy)]
pub struct MapOnPhoto<'a> {
    /// Maps pixels of the photo to pixels of the crop.
    pub to_crop: Similarity,
    /// The map over the crop.
    pub grid: PatchGrid<'a>,
    /// How the map is rendered; `side` is that of the crop.
    pub style: MapStyle,
}

/// The photo with each map drawn over the square that its crop was taken from, as
/// [`overlay`](super::overlay()) renders it over the crop: each photo pixel gets its colour from
/// its position in the crop. Where squares overlap, the later map is on top.
///
/// # Errors
/// As [`render_map`](super::render_map); [`VisualizeError::Size`] also for a
/// photo of more than [`MAX_PIXELS`].
pub fn overlay_on_photo(
    photo: &Image,
    maps: &[MapOnPhoto<'_>],
) -> Result<Rendered, VisualizeError> {
    let (width, height) = (photo.width(), photo.height());
    if width.saturating_mul(height) > MAX_PIXELS {
        return Err(VisualizeError::Size { width, height });
    }
    let mut rendered = Rendered { rgb: photo.rgb().to_vec(), width, height, clipped: 0 };
    for map in maps {
        map.style.check()?;
        rendered.clipped += map.grid.clipped(map.style.range);
        lay_over(&mut rendered, map);
    }
    Ok(rendered)
}

fn lay_over(photo: &mut Rendered, map: &MapOnPhoto<'_>) {
    let MapOnPhoto { to_crop, grid, style } = map;
    let Some(from_crop) = to_crop.inverse() else { return };
    let side = style.side as f64;
    // The crop's outer edge, half a pixel around its pixels' centres.
    let (least, most) = (-0.5, side - 0.5);
    let corners = [[least, least], [most, least], [least, most], [most, most]];
    let corners = corners.map(|corner| from_crop.apply(corner));
    let columns = pixels_between(corners.map(|corner| corner[0]), photo.width);
    let rows = pixels_between(corners.map(|corner| corner[1]), photo.height);
    let table = style.colormap.table();
    for row in rows {
        for column in columns.clone() {
            let [x, y] = to_crop.apply([column as f64, row as f64]);
            if !(least..=most).contains(&x) || !(least..=most).contains(&y) {
                continue;
            }
            let fraction = grid.fraction_at((x + 0.5) / side, (y + 0.5) / side, style.range);
            let colour = table[usize::from((fraction * 255.0) as u8)];
            let pixel = &mut photo.rgb[(row * photo.width + column) * 3..][..3];
            let mixed = blend(pixel, &colour, style.alpha);
            pixel.copy_from_slice(&mixed);
        }
    }
}

/// The pixels of a line of `length` that lie between the outermost positions.
fn pixels_between(positions: [f64; 4], length: usize) -> std::ops::Range<usize> {
    let least = positions.iter().copied().fold(f64::INFINITY, f64::min);
    let most = positions.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // Casts saturate, so positions far outside stay outside.
    let first = (least.ceil().max(0.0) as usize).min(length);
    let end = ((most.floor() + 1.0).max(0.0) as usize).clamp(first, length);
    first..end
}
