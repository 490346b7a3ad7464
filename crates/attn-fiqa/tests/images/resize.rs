//! Bilinear resizing, compared with OpenCV's images and with the formula.

use std::path::Path;

use attn_fiqa::decode::{DecodeLimits, decode};
use attn_fiqa::pixels::Image;
use attn_fiqa::resize::resize_bilinear;
use proptest::prelude::*;

fn read(path: &Path) -> Image {
    let bytes = std::fs::read(path).unwrap();
    decode(&bytes, &DecodeLimits::default()).unwrap().image
}

#[test]
fn images_are_within_one_level_of_opencv() {
    let folder = attn_fiqa_testing::golden("image");
    let index = std::fs::read(folder.join("index.json")).unwrap();
    let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
    let pairs = index["resize"].as_array().unwrap();
    assert!(pairs.len() >= 5);
    for pair in pairs {
        let name = pair["input"].as_str().unwrap();
        let input = read(&folder.join(name));
        let expected = read(&folder.join(pair["expected"].as_str().unwrap()));
        let found = resize_bilinear(&input, expected.width(), expected.height()).unwrap();
        for (at, (found, expected)) in found.rgb().iter().zip(expected.rgb()).enumerate() {
            assert!(found.abs_diff(*expected) <= 1, "{name} at {at}: {found} ≠ {expected}");
        }
    }
}

/// Bilinear interpolation written out for one level, in f64.
fn naive(image: &Image, x: usize, y: usize, channel: usize, size: (usize, usize)) -> f64 {
    let (width, height) = (image.width() as f64, image.height() as f64);
    let u = (x as f64 + 0.5) * width / size.0 as f64 - 0.5;
    let v = (y as f64 + 0.5) * height / size.1 as f64 - 0.5;
    let level = |column: f64, row: f64| {
        let column = column.max(0.0).min(width - 1.0) as usize;
        let row = row.max(0.0).min(height - 1.0) as usize;
        f64::from(image.rgb()[(row * image.width() + column) * 3 + channel])
    };
    let (left, top) = (u.floor(), v.floor());
    let (right_fraction, lower_fraction) = (u - left, v - top);
    (1.0 - lower_fraction) * (1.0 - right_fraction) * level(left, top)
        + (1.0 - lower_fraction) * right_fraction * level(left + 1.0, top)
        + lower_fraction * (1.0 - right_fraction) * level(left, top + 1.0)
        + lower_fraction * right_fraction * level(left + 1.0, top + 1.0)
}

fn images() -> impl Strategy<Value = Image> {
    (1..20_usize, 1..20_usize).prop_flat_map(|(width, height)| {
        prop::collection::vec(any::<u8>(), width * height * 3)
            .prop_map(move |rgb| Image::from_rgb(width, height, rgb).unwrap())
    })
}

proptest! {
    #[test]
    fn resize_matches_naive_bilinear(image in images(), width in 1..24_usize, height in 1..24_usize) {
        let resized = resize_bilinear(&image, width, height).unwrap();
        prop_assert_eq!((resized.width(), resized.height()), (width, height));
        for (at, &found) in resized.rgb().iter().enumerate() {
            let (pixel, channel) = (at / 3, at % 3);
            let expected = naive(&image, pixel % width, pixel / width, channel, (width, height));
            prop_assert!((f64::from(found) - expected).abs() <= 0.501, "{found} ≠ {expected}");
        }
    }

    #[test]
    fn output_stays_within_the_input_range(image in images(), width in 1..24_usize, height in 1..24_usize) {
        let (least, greatest) = (image.rgb().iter().min(), image.rgb().iter().max());
        let resized = resize_bilinear(&image, width, height).unwrap();
        prop_assert!(resized.rgb().iter().min() >= least);
        prop_assert!(resized.rgb().iter().max() <= greatest);
    }

    #[test]
    fn one_colour_stays_one_colour(rgb in any::<[u8; 3]>(), from in (1..20_usize, 1..20_usize), to in (1..24_usize, 1..24_usize)) {
        let image = Image::from_rgb(from.0, from.1, rgb.repeat(from.0 * from.1)).unwrap();
        let resized = resize_bilinear(&image, to.0, to.1).unwrap();
        prop_assert_eq!(resized.rgb(), rgb.repeat(to.0 * to.1));
    }

    #[test]
    fn resizing_to_the_same_size_is_the_identity(image in images()) {
        let resized = resize_bilinear(&image, image.width(), image.height());
        prop_assert_eq!(resized, Some(image));
    }
}

#[test]
fn invalid_sizes_return_none() {
    let image = Image::from_rgb(1, 1, vec![1, 2, 3]).unwrap();
    assert_eq!(resize_bilinear(&image, 0, 3), None);
    assert_eq!(resize_bilinear(&image, usize::MAX, 2), None);
    assert_eq!(Image::from_rgb(0, 0, vec![]), None);
    assert_eq!(Image::from_rgb(2, 1, vec![0; 3]), None);
}
