//! Converts a score of the built-in network to a confidence that means the same at every size.
//!
//! The network is far more certain of a patch of 15 pixels that is not a face than of one of 80: of
//! the boxes with a score of 0.6 or more that are not among YuNet's faces, 96 % are narrower than
//! 40 pixels. A single threshold on its scores would therefore miss large faces to exclude small
//! errors. Boxes beyond 120 pixels are rare, and folds in blurred enlargements look like faces
//! there.
//!
//! The confidence is the score to the power of `ln 0.7 / ln s`, where `s` is the score at which a
//! box of this size counts as much as 0.7 on average (`models/detector.md`). It rises with the
//! score, keeps 0 and 1, and preserves the order of boxes of the same size.

/// Box sides, in pixels of the image that the network sees, and the score that gives a confidence
/// of [`ANCHOR`] at each. In between, the score is linear in the logarithm of the side; outside, it
/// is constant.
pub(crate) const SCORES: [(f32, f32); 6] =
    [(20.0, 0.76), (32.0, 0.68), (48.0, 0.53), (72.0, 0.47), (120.0, 0.47), (180.0, 0.7)];

/// The confidence to which [`SCORES`] correspond.
pub(crate) const ANCHOR: f32 = 0.7;

/// The confidence of a box with this score, 0 … 1, and this side, the square root of its area.
pub(super) fn confidence(score: f32, side: f32) -> f32 {
    libm::powf(score, exponent(anchor_score(side)))
}

/// The lowest score that gives this confidence at any size.
pub(super) fn min_score(confidence: f32) -> f32 {
    let of = |(_, score): &(f32, f32)| libm::powf(confidence, 1.0 / exponent(*score));
    SCORES.iter().map(of).fold(1.0, f32::min)
}

fn exponent(score: f32) -> f32 {
    libm::logf(ANCHOR) / libm::logf(score)
}

fn anchor_score(side: f32) -> f32 {
    let after = SCORES.partition_point(|&(knot, _)| knot <= side);
    let (Some(&(low, from)), Some(&(high, to))) = (SCORES[..after].last(), SCORES.get(after))
    else {
        return if after == 0 { SCORES[0].1 } else { SCORES[SCORES.len() - 1].1 };
    };
    from + (to - from) * libm::logf(side / low) / libm::logf(high / low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_anchors_have_the_anchor_confidence() {
        for (side, score) in SCORES {
            assert!((confidence(score, side) - ANCHOR).abs() < 1e-6);
        }
        let between = anchor_score(40.0);
        assert!(0.53 < between && between < 0.68, "{between}");
        assert_eq!(anchor_score(3.0), 0.76);
        assert_eq!((anchor_score(100.0), anchor_score(500.0)), (0.47, 0.7));
    }

    #[test]
    fn confidence_is_monotone_and_preserves_0_and_1() {
        for side in [1.0, 15.0, 20.0, 25.0, 47.9, 48.0, 72.0, 1000.0] {
            assert_eq!((confidence(0.0, side), confidence(1.0, side)), (0.0, 1.0));
            let mut before = -1.0;
            for step in 0..=100 {
                let found = confidence(step as f32 / 100.0, side);
                assert!(found > before, "{side} {step}");
                before = found;
            }
        }
    }

    #[test]
    fn boxes_below_min_score_never_reach_the_confidence() {
        for wanted in [0.0, 0.3, 0.7, 0.95, 1.0] {
            let least = min_score(wanted);
            for side in [1.0, 18.0, 30.0, 60.0, 72.0, 400.0] {
                assert!(confidence(0.999 * least, side) < wanted || wanted == 0.0);
            }
        }
        assert!((min_score(0.7) - 0.47).abs() < 1e-6);
    }
}
