//! A map drawn on a photo equals the map drawn on the crop, transformed to the face's position.

use attn_fiqa::align::{Similarity, warp};
use attn_fiqa::crop::Crop;
use attn_fiqa::pixels::Image;
use attn_fiqa::visualize::{
    ColorRange, MapOnPhoto, MapStyle, PatchGrid, overlay, overlay_on_photo,
};

const SIDE: usize = 56;

fn photo(width: usize, height: usize) -> Image {
    let level = |i: usize| {
        let (x, y) = (i % width, i / width);
        [(x / 2) as u8, (y / 2) as u8, ((x + y) / 4) as u8]
    };
    Image::from_rgb(width, height, (0..width * height).flat_map(level).collect()).unwrap()
}

fn values() -> Vec<f32> {
    (0..16).map(|i| ((i * 7) % 16) as f32).collect()
}

fn style() -> MapStyle {
    MapStyle { side: SIDE, ..MapStyle::new(ColorRange::new(0.0, 15.0).unwrap()) }
}

#[test]
fn pure_translation_matches_crop_overlay() {
    let photo = photo(120, 100);
    let to_crop = Similarity { a: 1.0, b: 0.0, shift: [-20.0, -30.0] };
    let values = values();
    let grid = PatchGrid::new(&values, 4, 4).unwrap();
    let map = MapOnPhoto { to_crop, grid, style: style() };
    let rendered = overlay_on_photo(&photo, &[map]).unwrap();
    let crop = warp(&photo, &to_crop, SIDE);
    let expected = overlay(&crop, &grid, &style()).unwrap();
    for row in 0..photo.height() {
        for column in 0..photo.width() {
            let at = (row * photo.width() + column) * 3;
            let found = &rendered.rgb[at..at + 3];
            let inside = (20..20 + SIDE).contains(&column) && (30..30 + SIDE).contains(&row);
            let expected = if inside {
                &expected.rgb[((row - 30) * SIDE + column - 20) * 3..][..3]
            } else {
                &photo.rgb()[at..at + 3]
            };
            assert_eq!(found, expected, "at {column}, {row}");
        }
    }
}

#[test]
fn recropped_rotated_overlay_matches_crop_overlay() {
    let photo = photo(400, 360);
    let (a, b) = (0.3, -0.2);
    let to_crop =
        Similarity { a, b, shift: [28.0 - 200.0 * a + 180.0 * b, 28.0 - 200.0 * b - 180.0 * a] };
    let values = values();
    let grid = PatchGrid::new(&values, 4, 4).unwrap();
    let rendered =
        overlay_on_photo(&photo, &[MapOnPhoto { to_crop, grid, style: style() }]).unwrap();
    let rendered = Image::from_rgb(rendered.width, rendered.height, rendered.rgb).unwrap();
    let again: Crop = warp(&rendered, &to_crop, SIDE);
    let expected = overlay(&warp(&photo, &to_crop, SIDE), &grid, &style()).unwrap();
    let inner = |at: usize| {
        let (x, y) = (at / 3 % SIDE, at / 3 / SIDE);
        (2..SIDE - 2).contains(&x) && (2..SIDE - 2).contains(&y)
    };
    let far = (0..expected.rgb.len())
        .filter(|&at| inner(at) && again.rgb()[at].abs_diff(expected.rgb[at]) > 6)
        .count();
    // Colours are resampled once more, so steep changes may differ slightly.
    assert!(far * 100 < expected.rgb.len(), "{far} of {} levels differ", expected.rgb.len());
    // Outside the square nothing changes.
    assert_eq!(rendered.rgb()[..30], photo.rgb()[..30]);
}

#[test]
fn faces_beyond_the_edge_are_clipped_or_skipped() {
    let photo = photo(60, 50);
    let values = values();
    let grid = PatchGrid::new(&values, 4, 4).unwrap();
    for shift in [[30.0, 20.0], [-40.0, -30.0], [1e12, 0.0], [f64::NAN, 0.0]] {
        let to_crop = Similarity { a: 1.0, b: 0.0, shift };
        let map = MapOnPhoto { to_crop, grid, style: style() };
        let rendered = overlay_on_photo(&photo, &[map]).unwrap();
        let changed = rendered.rgb != photo.rgb();
        assert_eq!(changed, shift[0].abs() < 100.0, "{shift:?}");
    }
    let nowhere = Similarity { a: 0.0, b: 0.0, shift: [0.0; 2] };
    let map = MapOnPhoto { to_crop: nowhere, grid, style: style() };
    assert_eq!(overlay_on_photo(&photo, &[map]).unwrap().rgb, photo.rgb());
}
