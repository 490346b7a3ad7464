//! Runs one image at several sizes, so that a network trained on a range of face sizes finds faces
//! of any size.
//!
//! The network is trained on faces of about 12 to 400 pixels. Large images are first reduced to a
//! working size; every further level is three times smaller than the previous one, costs a ninth as
//! much, and brings faces that are too large into range.

use std::borrow::Cow;

use super::Face;
use crate::pixels::Image;
use attn_fiqa_kernels::Isa;

use crate::resize::{resize_bilinear, shrink_area};

/// Longer side of the finest level, in pixels: a face of 12 pixels there has 50 pixels in a photo
/// of 50 megapixels.
pub(super) const WORKING_SIDE: usize = 1920;
/// Reduction from one level to the next.
const STEP: usize = 3;
/// In a level this small, even a face that fills the image has a size in the network's range.
const SMALL_ENOUGH: usize = 320;
/// Minimum size of a face, the square root of its box's area, in levels after the finest: smaller
/// ones are detected better, and with fewer errors, one level finer, where they have up to three
/// times as many pixels.
const MIN_FACE_SIDE_COARSE: f32 = 100.0;
/// From this size on, a candidate must also be found in the next coarser level, where a third of
/// its size is still large enough. The network mistakes blurred folds and badges that cover
/// hundreds of pixels for faces, but not when it sees their surroundings.
const CONFIRM_FROM_SIDE: f32 = 200.0;
/// Minimum score in the coarser level, as a fraction of the requested minimum confidence; less if a
/// lower score can give that confidence.
pub(super) const CONFIRMING_SCORE_FACTOR: f32 = 0.5;
/// Smaller images are doubled: a face of 8 pixels then has 16.
const TINY: usize = 128;

/// A candidate found in one level.
#[derive(Debug, Clone)]
pub(super) struct LevelCandidate {
    /// The square root of its box's area, in pixels of the level.
    pub(super) side: f32,
    /// The face in pixels of the image; its confidence is the network's score.
    pub(super) face: Face,
    /// The confidence in it.
    pub(super) confidence: f32,
}

/// The valid candidates of all levels, finest first: confident enough, and neither too small for
/// their level nor large and unconfirmed by the next. Two boxes that overlap by more than
/// `same_face` are the same face.
pub(super) fn joined(
    levels: &[Vec<LevelCandidate>],
    min_confidence: f32,
    same_face: f32,
) -> Vec<LevelCandidate> {
    let mut candidates = Vec::new();
    for (index, level) in levels.iter().enumerate() {
        let coarser = levels.get(index + 1);
        let confirmed = |seen: &LevelCandidate| {
            let overlaps =
                |other: &LevelCandidate| other.face.bounds.iou(&seen.face.bounds) > same_face;
            seen.side < CONFIRM_FROM_SIDE || coarser.is_none_or(|level| level.iter().any(overlaps))
        };
        let counts = |seen: &&LevelCandidate| {
            seen.confidence >= min_confidence
                && (index == 0 || seen.side >= MIN_FACE_SIDE_COARSE)
                && confirmed(seen)
        };
        candidates.extend(level.iter().filter(counts).cloned());
    }
    candidates
}

/// Width and height of each level of an image, finest first.
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

/// Resizes an image, by averaging if it is reduced.
pub(super) fn at_size(isa: Isa, image: &Image, (width, height): (usize, usize)) -> Cow<'_, Image> {
    if (width, height) == (image.width(), image.height()) {
        return Cow::Borrowed(image);
    }
    let resized = shrink_area(isa, image, width, height)
        .or_else(|| resize_bilinear(image, width, height))
        .expect("a level without pixels: this is a bug");
    Cow::Owned(resized)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::align::Landmarks;
    use crate::detect::FaceBox;

    fn seen(x: f32, side: f32, shrink: f32, confidence: f32) -> LevelCandidate {
        let bounds = FaceBox { x, y: 0.0, width: side * shrink, height: side * shrink };
        let landmarks = Landmarks([[0.0; 2]; 5]);
        LevelCandidate {
            side,
            face: Face { bounds, landmarks, confidence, refined: false },
            confidence,
        }
    }

    #[test]
    fn unconfirmed_large_and_coarse_small_faces_are_dropped() {
        let fine = [
            seen(0.0, 30.0, 1.0, 0.9),
            seen(1000.0, 300.0, 1.0, 0.9),
            seen(2000.0, 300.0, 1.0, 0.9),
            seen(3000.0, 199.0, 1.0, 0.9),
            seen(3500.0, 60.0, 1.0, 0.6),
        ];
        let coarse = [
            seen(1010.0, 95.0, 3.0, 0.4),
            seen(4000.0, 150.0, 3.0, 0.9),
            seen(5000.0, 150.0, 3.0, 0.6),
            seen(6000.0, 90.0, 3.0, 0.9),
            seen(7000.0, 250.0, 3.0, 0.9),
        ];
        let places = |levels: &[Vec<LevelCandidate>]| {
            let joined = joined(levels, 0.7, 0.3);
            joined.iter().map(|seen| seen.face.bounds.x).collect::<Vec<_>>()
        };
        let both = [fine.to_vec(), coarse.to_vec()];
        assert_eq!(places(&both), [0.0, 1000.0, 3000.0, 4000.0, 7000.0]);
        // Nothing confirms or refutes the candidates of the coarsest level.
        assert_eq!(places(&both[..1]), [0.0, 1000.0, 2000.0, 3000.0]);
    }

    #[test]
    fn level_sizes_of_common_images() {
        assert_eq!(levels(250, 250, WORKING_SIDE), [(250, 250)]);
        assert_eq!(levels(640, 480, WORKING_SIDE), [(640, 480), (214, 161)]);
        assert_eq!(levels(8160, 6144, WORKING_SIDE), [(1920, 1446), (640, 482), (214, 161)]);
        assert_eq!(levels(40, 30, WORKING_SIDE), [(80, 60)]);
    }

    proptest! {
        #[test]
        fn levels_keep_aspect_ratio_and_end_small(width in 1usize..9000, height in 1usize..9000) {
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
