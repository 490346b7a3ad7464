//! The image stored in the decoder fixtures.

use std::path::Path;

use image::{Rgb, RgbImage};

/// The width of all fixtures; their formulas are in `fixtures/make_fixtures.py`.
pub(crate) const WIDTH: u32 = 32;
/// Their height.
pub(crate) const HEIGHT: u32 = 24;

/// The levels of red, green and blue of the upright image.
pub(crate) fn gradient(x: u32, y: u32) -> [i32; 3] {
    let (x, y) = (x as i32, y as i32);
    [20 + 6 * x, 30 + 8 * y, 220 - 3 * x - 2 * y]
}

/// The same as an image.
pub(crate) fn gradient_image() -> RgbImage {
    RgbImage::from_fn(WIDTH, HEIGHT, |x, y| Rgb(gradient(x, y).map(|level| level as u8)))
}

/// The bytes of a file in `tests/fixtures`.
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    std::fs::read(folder.join(name)).expect("a fixture")
}
