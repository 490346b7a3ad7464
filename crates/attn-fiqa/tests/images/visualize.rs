//! Maps and overlays, compared with OpenCV's results and a naive implementation.

use std::path::Path;

use attn_fiqa::crop::Crop;
use attn_fiqa::visualize::{
    ColorRange, Colormap, MapStyle, PatchGrid, RangeOverSet, VisualizeError, overlay, render_map,
};
use proptest::prelude::*;

fn load_rgb(path: &Path) -> (usize, Vec<u8>) {
    let image = image::open(path).unwrap().to_rgb8();
    (image.width() as usize, image.into_raw())
}

fn style(low: f32, high: f32, colormap: Colormap, alpha: f32, side: usize) -> MapStyle {
    let range = ColorRange::new(low, high).unwrap();
    MapStyle { range, colormap, alpha, side }
}

#[test]
fn jet_overlays_match_opencv_exactly() {
    let folder = attn_fiqa_testing::golden("image");
    let index = std::fs::read_to_string(folder.join("index.json")).unwrap();
    let index: serde_json::Value = serde_json::from_str(&index).unwrap();
    let entries = index["overlay"].as_array().unwrap();
    assert!(!entries.is_empty());
    for entry in entries {
        let grid: Vec<Vec<f32>> = serde_json::from_value(entry["grid_14x14"].clone()).unwrap();
        let values = grid.concat();
        let ends: [f32; 2] = serde_json::from_value(entry["range"].clone()).unwrap();
        let alpha = entry["alpha"].as_f64().unwrap() as f32;
        let (side, pixels) = load_rgb(&folder.join(entry["input"].as_str().unwrap()));
        let name = entry["expected"].as_str().unwrap();
        let (_, expected) = load_rgb(&folder.join(name));

        let crop = Crop::from_rgb(side, pixels).unwrap();
        let grid = PatchGrid::new(&values, grid.len(), grid[0].len()).unwrap();
        let style = style(ends[0], ends[1], Colormap::Jet, alpha, side);
        let rendered = overlay(&crop, &grid, &style).unwrap();

        let differing = rendered.rgb.iter().zip(&expected).filter(|(a, b)| a != b).count();
        assert_eq!((rendered.rgb.len(), differing), (expected.len(), 0), "{name}");
        let outside = values.iter().filter(|&&v| v < ends[0] || v > ends[1]).count();
        assert_eq!(rendered.clipped, outside, "{name}");
    }
}

/// One pixel of the enlarged grid by definition: the weighted mean of the four cells around it,
/// each clamped to the grid.
fn naive_value(grid: (usize, usize, &[f32]), side: usize, y: usize, x: usize) -> f64 {
    let (rows, cols, values) = grid;
    let along = |at: usize, cells: usize| {
        let position = (at as f64 + 0.5) * cells as f64 / side as f64 - 0.5;
        let cell = |i: f64| i.clamp(0.0, cells as f64 - 1.0) as usize;
        let floor = position.floor();
        [(cell(floor), 1.0 - (position - floor)), (cell(floor + 1.0), position - floor)]
    };
    let mut sum = 0.0;
    for (row, by_row) in along(y, rows) {
        for (col, by_col) in along(x, cols) {
            sum += by_row * by_col * f64::from(values[row * cols + col]);
        }
    }
    sum
}

fn grids() -> impl Strategy<Value = (usize, usize, Vec<f32>)> {
    (1usize..16, 1usize..16).prop_flat_map(|(rows, cols)| {
        (Just(rows), Just(cols), prop::collection::vec(-2.0f32..0.0, rows * cols))
    })
}

fn crops(side: usize) -> impl Strategy<Value = Crop> {
    prop::collection::vec(any::<u8>(), side * side * 3)
        .prop_map(move |rgb| Crop::from_rgb(side, rgb).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Without clipping, enlarging commutes with the range, so the naive implementation can apply
    /// the two in the other order.
    #[test]
    fn rendered_map_matches_naive_interpolation((rows, cols, values) in grids(), side in 1usize..40) {
        let mut range = RangeOverSet::default();
        range.include(&values);
        let (low, high) = (range.range().unwrap().low(), range.range().unwrap().high());
        let grid = PatchGrid::new(&values, rows, cols).unwrap();
        let rendered = render_map(&grid, &style(low, high, Colormap::Viridis, 0.4, side)).unwrap();
        prop_assert_eq!(rendered.clipped, 0);
        for y in 0..side {
            for x in 0..side {
                let value = naive_value((rows, cols, &values), side, y, x);
                let fraction = if low == high {
                    0.5
                } else {
                    (value - f64::from(low)) / (f64::from(high) - f64::from(low))
                };
                // The value is truncated, not rounded: both neighbours within f32 precision are
                // accepted.
                let near = [fraction - 1e-5, fraction + 1e-5]
                    .map(|f| Colormap::Viridis.color((f * 255.0).clamp(0.0, 255.0) as u8));
                let at = (y * side + x) * 3;
                let found: [u8; 3] = rendered.rgb[at..at + 3].try_into().unwrap();
                prop_assert!(near.contains(&found), "({y}, {x}): {found:?}, expected {near:?}");
            }
        }
    }

    #[test]
    fn opacity_0_is_the_crop_and_opacity_1_the_map(
        (rows, cols, values) in grids(), crop in crops(12)
    ) {
        let grid = PatchGrid::new(&values, rows, cols).unwrap();
        let at = |alpha| style(-1.5, -0.5, Colormap::Jet, alpha, 12);
        let map = render_map(&grid, &at(0.3)).unwrap();
        prop_assert_eq!(&overlay(&crop, &grid, &at(0.0)).unwrap().rgb, crop.rgb());
        prop_assert_eq!(overlay(&crop, &grid, &at(1.0)).unwrap(), map);
    }

    #[test]
    fn out_of_range_values_are_clipped_and_counted(
        (rows, cols, values) in grids(), shift in prop::sample::select(vec![-9.0f32, 9.0])
    ) {
        let far: Vec<f32> = values.iter().map(|v| v + shift).collect();
        let grid = PatchGrid::new(&far, rows, cols).unwrap();
        let rendered = render_map(&grid, &style(-2.0, 0.0, Colormap::Jet, 0.4, 5)).unwrap();
        prop_assert_eq!(rendered.clipped, rows * cols);
        let end = Colormap::Jet.color(if shift < 0.0 { 0 } else { 255 });
        prop_assert!(rendered.rgb.chunks(3).all(|pixel| pixel == end));
    }
}

#[test]
fn a_flat_map_has_the_middle_colour_everywhere() {
    let values = [-0.9f32; 144];
    let mut range = RangeOverSet::default();
    range.include(&values);
    let style = MapStyle::new(range.range().unwrap());
    let rendered = render_map(&PatchGrid::new(&values, 12, 12).unwrap(), &style).unwrap();
    assert_eq!((rendered.width, rendered.height), (112, 112));
    let middle = Colormap::Viridis.color(127);
    assert!(rendered.rgb.chunks(3).all(|pixel| pixel == middle));
}

#[test]
fn rows_of_the_grid_are_rows_of_the_image() {
    let values = [0.0, 1.0, 0.0, 0.0, 0.0, 0.0];
    let grid = PatchGrid::new(&values, 2, 3).unwrap();
    let rendered = render_map(&grid, &style(0.0, 1.0, Colormap::Viridis, 0.4, 6)).unwrap();
    let green = |y: usize, x: usize| rendered.rgb[(y * 6 + x) * 3 + 1];
    for elsewhere in [green(5, 2), green(5, 3), green(0, 0), green(0, 5)] {
        assert!(green(0, 2) > elsewhere && green(0, 3) > elsewhere);
    }
}

#[test]
fn invalid_maps_and_styles_are_rejected() {
    let values = [0.0, f32::NAN, 0.0, 0.0];
    let refused = PatchGrid::new(&values, 2, 2).unwrap_err();
    assert!(matches!(refused, VisualizeError::NonFinitePatch { row: 0, col: 1, .. }));
    for (rows, cols) in [(2, 3), (0, 0), (usize::MAX, 2)] {
        let refused = PatchGrid::new(&[0.0; 4], rows, cols).unwrap_err();
        assert!(matches!(refused, VisualizeError::GridShape { found: 4, .. }), "{rows}×{cols}");
    }
    assert!(PatchGrid::new(&[], 0, 0).is_err());

    let grid = PatchGrid::new(&[0.0; 4], 2, 2).unwrap();
    let render = |alpha, side| render_map(&grid, &style(0.0, 1.0, Colormap::Jet, alpha, side));
    assert!(matches!(render(f32::NAN, 8), Err(VisualizeError::Alpha { .. })));
    assert!(matches!(render(1.1, 8), Err(VisualizeError::Alpha { .. })));
    for side in [0, 10_001, usize::MAX] {
        assert!(matches!(render(0.4, side), Err(VisualizeError::Size { .. })), "{side}");
    }
    let crop = Crop::from_rgb(4, vec![0; 48]).unwrap();
    let refused = overlay(&crop, &grid, &style(0.0, 1.0, Colormap::Jet, 0.4, 8)).unwrap_err();
    assert!(matches!(refused, VisualizeError::Side { map: 8, crop: 4 }), "{refused}");
}
