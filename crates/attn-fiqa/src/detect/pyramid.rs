//! One picture at several sizes, so that a network that knows faces of some
//! sizes finds those of any.
//!
//! The network is trained on faces of about 12 to 400 pixels. Large pictures are
//! first brought down to a working size; every further level is three times
//! smaller than the one before, which costs a ninth of it and moves faces that
//! are too large into reach.

use std::borrow::Cow;

use crate::picture::Picture;
use crate::resize::{resize_bilinear, shrink_area};

/// The longer side of the finest level, in pixels: a face of 12 pixels there is
/// one of 50 in a photo of 50 megapixels.
pub(super) const WORKING_SIDE: usize = 1920;
/// From one level to the next.
const STEP: usize = 3;
/// A level this small shows even a face that fills the picture at a size that
/// the network knows.
const SMALL_ENOUGH: usize = 320;
/// The least side of a face, the root of its box's area, that a level after the
/// finest is asked for: smaller ones are seen better, and with fewer mistakes, one
/// level finer, where they have up to three times as many pixels.
pub(super) const LEAST_IN_COARSER: f32 = 100.0;
/// Smaller pictures are doubled: a face of 8 pixels is then one of 16.
const TINY: usize = 128;

/// Width and height of each level of a picture, finest first.
pub(super) fn levels(width: usize, height: usize, finest: usize) -> Vec<(usize, usize)> {
    let longer = width.max(height);
    let mut side = if longer <= TINY { longer * 2 } else { longer.min(finest) };
    let mut levels = Vec::new();
    loop {
        let scaled = |length: usize| {
            let exact = length as f64 * side as f64 / longer as f64;
            (exact.round() as usize).max(1)
        };
        levels.push((scaled(width), scaled(height)));
        if side <= SMALL_ENOUGH {
            return levels;
        }
        side = side.div_ceil(STEP);
    }
}

/// A picture at another size, by averaging where it shrinks.
pub(super) fn at_size(picture: &Picture, (width, height): (usize, usize)) -> Cow<'_, Picture> {
    if (width, height) == (picture.width(), picture.height()) {
        return Cow::Borrowed(picture);
    }
    let resized = shrink_area(picture, width, height)
        .or_else(|| resize_bilinear(picture, width, height))
        .expect("a level without pixels: this is a bug");
    Cow::Owned(resized)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn common_sizes() {
        assert_eq!(levels(250, 250, WORKING_SIDE), [(250, 250)]);
        assert_eq!(levels(640, 480, WORKING_SIDE), [(640, 480), (214, 161)]);
        assert_eq!(levels(8160, 6144, WORKING_SIDE), [(1920, 1446), (640, 482), (214, 161)]);
        assert_eq!(levels(40, 30, WORKING_SIDE), [(80, 60)]);
    }

    proptest! {
        #[test]
        fn levels_keep_the_shape_and_end_small(width in 1usize..9000, height in 1usize..9000) {
            let levels = levels(width, height, WORKING_SIDE);
            let longer = width.max(height);
            for &(w, h) in &levels {
                prop_assert!(w >= 1 && h >= 1 && w.max(h) <= WORKING_SIDE);
                let scale = w.max(h) as f64 / longer as f64;
                prop_assert!((w as f64 - width as f64 * scale).abs() <= 1.0);
                prop_assert!((h as f64 - height as f64 * scale).abs() <= 1.0);
            }
            prop_assert!(levels.last().is_some_and(|&(w, h)| w.max(h) <= SMALL_ENOUGH));
        }
    }
}
