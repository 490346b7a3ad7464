//! Contact sheets: their size and the position of everything on them.

use attn_fiqa::crop::Crop;
use attn_fiqa::visualize::{
    ColorRange, MAX_PIXELS, MapStyle, PatchGrid, Rendered, SheetCell, SheetStyle, VisualizeError,
    overlay, render_map, render_sheet, sheet_size,
};
use proptest::prelude::*;

const WHITE: [u8; 3] = [255; 3];

fn map_style(side: usize) -> MapStyle {
    MapStyle { side, ..MapStyle::new(ColorRange::new(-1.0, 0.0).unwrap()) }
}

fn crop(side: usize) -> Crop {
    let rgb = (0..side * side * 3).map(|i| (i * 7 % 199) as u8).collect();
    Crop::from_rgb(side, rgb).unwrap()
}

fn sheet(faces: usize, name: &str, score: &str, style: &SheetStyle<'_>) -> Rendered {
    let crop = crop(style.map.side);
    let values = [-1.0, -0.7, -0.3, 0.0];
    let grid = PatchGrid::new(&values, 2, 2).unwrap();
    let cells = vec![SheetCell { name, score, crop: &crop, grid, range: None }; faces];
    render_sheet(&cells, style).unwrap()
}

fn pixel(rendered: &Rendered, x: usize, y: usize) -> [u8; 3] {
    let at = (y * rendered.width + x) * 3;
    rendered.rgb[at..at + 3].try_into().unwrap()
}

/// Whether a block of a sheet is exactly this square image.
fn block_matches(sheet: &Rendered, x: usize, y: usize, rgb: &[u8], side: usize) -> bool {
    (0..side).all(|row| {
        let from = ((y + row) * sheet.width + x) * 3;
        sheet.rgb[from..from + side * 3] == rgb[row * side * 3..][..side * 3]
    })
}

#[test]
fn cell_shows_crop_map_and_overlay_in_order() {
    let style = SheetStyle { title: "one", columns: None, map: map_style(112) };
    let rendered = sheet(1, "a.png", "-0.5", &style);
    let crop = crop(112);
    let grid = PatchGrid::new(&[-1.0, -0.7, -0.3, 0.0], 2, 2).unwrap();
    let map = render_map(&grid, &style.map).unwrap().rgb;
    let mixed = overlay(&crop, &grid, &style.map).unwrap().rgb;
    let tops: Vec<usize> = (0..rendered.height - 112)
        .filter(|&y| block_matches(&rendered, 16, y, crop.rgb(), 112))
        .collect();
    assert_eq!(tops.len(), 1);
    assert!(block_matches(&rendered, 16 + 116, tops[0], &map, 112));
    assert!(block_matches(&rendered, 16 + 232, tops[0], &mixed, 112));
    assert_eq!(rendered.width, 16 + 344 + 16);
}

#[test]
fn automatic_columns_give_a_screen_aspect_ratio() {
    let style = SheetStyle { title: "t", columns: None, map: map_style(112) };
    for faces in [6, 7, 12, 60, 500, 1000] {
        let (width, height) = sheet_size(faces, &style).unwrap();
        let shape = width as f64 / height as f64;
        assert!((1.0..1.8).contains(&shape), "{faces} faces: {width}×{height}");
    }
}

#[test]
fn given_columns_are_kept() {
    let size = |faces, columns| {
        let style = SheetStyle { title: "t", columns: Some(columns), map: map_style(112) };
        sheet_size(faces, &style).unwrap()
    };
    let (one, two) = (size(6, 1), size(6, 2));
    assert_eq!(two.0 - one.0, 344 + 20);
    assert_eq!(size(6, 3).0 - two.0, 344 + 20);
    assert_eq!(size(6, 9), size(6, 6));
    // Rows: 6, 3 and 2 of equal height.
    assert_eq!(one.1 - two.1, 3 * (two.1 - size(6, 3).1));
}

#[test]
fn oversized_sheets_are_rejected() {
    let style = |columns| SheetStyle { title: "t", columns, map: map_style(112) };
    for columns in [None, Some(1), Some(usize::MAX)] {
        for faces in [2_000, usize::MAX] {
            let refused = sheet_size(faces, &style(columns)).unwrap_err();
            assert!(matches!(refused, VisualizeError::SheetTooLarge { .. }), "{refused}");
        }
    }
    // The largest allowed sheets are within the limit.
    let most = (1..2_000).rev().find_map(|faces| sheet_size(faces, &style(None)).ok()).unwrap();
    assert!(most.0 * most.1 <= MAX_PIXELS && most.0 * most.1 > MAX_PIXELS / 10 * 9);
}

#[test]
fn sheets_without_faces_columns_or_fitting_crops_are_refused() {
    let style = SheetStyle { title: "t", columns: Some(0), map: map_style(8) };
    assert!(matches!(render_sheet(&[], &style), Err(VisualizeError::EmptySheet)));
    assert!(matches!(sheet_size(3, &style), Err(VisualizeError::NoColumns)));
    let style = SheetStyle { columns: None, ..style };
    let (crop, grid) = (crop(9), PatchGrid::new(&[0.0], 1, 1).unwrap());
    let cell = SheetCell { name: "n", score: "0", crop: &crop, grid, range: None };
    let refused = render_sheet(&[cell], &style);
    assert!(matches!(refused, Err(VisualizeError::Side { map: 8, crop: 9 })));
}

#[test]
fn clipped_cells_are_summed_over_the_sheet() {
    let mut style = SheetStyle { title: "t", columns: None, map: map_style(8) };
    style.map.range = ColorRange::new(-0.8, -0.2).unwrap();
    assert_eq!(sheet(3, "n", "0", &style).clipped, 6);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Nothing is clipped: the sheet has the announced size, keeps its margin white, and leaves
    /// white space between the faces whatever their names.
    #[test]
    fn sheet_margins_and_gaps_stay_white(
        faces in 1usize..9,
        columns in prop::option::of(1usize..5),
        side in prop::sample::select(vec![1usize, 30, 64, 112]),
        name in "\\PC{0,80}",
        score in "[-0-9.]{0,30}",
        title in "(\\PC{0,30} ?){0,8}",
        low in prop::num::f32::NORMAL,
    ) {
        let mut map = map_style(side);
        map.range = ColorRange::new(low, low.max(0.0)).unwrap();
        let style = SheetStyle { title: &title, columns, map };
        let rendered = sheet(faces, &name, &score, &style);
        prop_assert_eq!((rendered.width, rendered.height), sheet_size(faces, &style).unwrap());
        prop_assert_eq!(rendered.rgb.len(), rendered.width * rendered.height * 3);
        let (width, height) = (rendered.width, rendered.height);
        for y in 0..height {
            for x in (0..16).chain(width - 16..width) {
                prop_assert_eq!(pixel(&rendered, x, y), WHITE, "({}, {})", x, y);
            }
        }
        for x in 0..width {
            for y in (0..16).chain(height - 16..height) {
                prop_assert_eq!(pixel(&rendered, x, y), WHITE, "({}, {})", x, y);
            }
        }
        // The gap after the first column of faces, over the last row of faces.
        let cell = (3 * side + 8).max(224);
        for y in height - 16 - 19 - side..height {
            for x in 16 + cell..(16 + cell + 20).min(width) {
                prop_assert_eq!(pixel(&rendered, x, y), WHITE, "({}, {})", x, y);
            }
        }
    }
}
