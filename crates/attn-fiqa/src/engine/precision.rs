//! `auto`: the fastest precision that shifts scores by at most a given bound.
//!
//! Which precisions are faster depends on the instruction set (measured in `docs/performance.md`),
//! so a given machine always decides the same. How they affect scores depends on the model and the
//! method: before the first image, a face and degraded versions of it are scored in f32 and in the
//! faster precision, by every method of the run.

use std::fmt;

use attn_fiqa_kernels::Precision;

use crate::crop::Crop;
use crate::decode;
use crate::resize::resize_bilinear;

/// The precision of the blocks' matrix products, or how to choose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PrecisionChoice {
    /// This precision.
    Fixed(Precision),
    /// The fastest precision of this machine that shifts no probe's score by more than
    /// [`MAX_SCORE_SHIFT`] of the probes' range; f32 if there is none.
    Auto,
}

/// How far `auto` lets the score of a probe shift, as a fraction of the range of the probes'
/// scores, from a clean face to ruined ones.
pub const MAX_SCORE_SHIFT: f32 = 0.02;

/// The chosen precision, and why it was chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ChosenPrecision {
    /// The precision of the blocks' products.
    pub precision: Precision,
    /// For [`PrecisionChoice::Auto`], the largest shift of a probe's score as a fraction of the
    /// probes' range; zero for f32.
    pub moved: Option<f32>,
}

impl PrecisionChoice {
    /// Every choice, with `auto` first.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Auto].into_iter().chain(Precision::ALL.map(Self::Fixed))
    }

    /// The name used on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fixed(precision) => precision.name(),
            Self::Auto => "auto",
        }
    }
}

impl Default for PrecisionChoice {
    fn default() -> Self {
        Self::Fixed(Precision::default())
    }
}

impl From<Precision> for PrecisionChoice {
    fn from(precision: Precision) -> Self {
        Self::Fixed(precision)
    }
}

impl fmt::Display for ChosenPrecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.precision.name())?;
        match self.moved {
            None => Ok(()),
            Some(_) if self.precision == Precision::F32 => write!(
                f,
                " (auto: no faster precision on this machine kept the probes within {:.0} % of \
                 their range)",
                100.0 * MAX_SCORE_SHIFT
            ),
            Some(moved) => write!(
                f,
                " (auto: probes moved by {:.2} % of their range, at most {:.0} % allowed)",
                100.0 * moved,
                100.0 * MAX_SCORE_SHIFT
            ),
        }
    }
}

/// The largest [`relative_shift`] of any method; `None` if it is undefined for one of them.
pub(super) fn max_shift(exact: &[Vec<f32>], found: &[Vec<f32>]) -> Option<f32> {
    let moved = exact.iter().zip(found).map(|(exact, found)| relative_shift(exact, found));
    moved.collect::<Option<Vec<f32>>>()?.into_iter().reduce(f32::max)
}

/// The largest shift of a score, as a fraction of the range of the exact scores; `None` if that is
/// not finite or the range is empty.
fn relative_shift(exact: &[f32], found: &[f32]) -> Option<f32> {
    let highest = exact.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let lowest = exact.iter().copied().fold(f32::INFINITY, f32::min);
    let shifts = exact.iter().zip(found).map(|(e, f)| (e - f).abs() / (highest - lowest));
    let shifts: Vec<f32> = shifts.collect();
    let finite = !shifts.is_empty() && shifts.iter().all(|shift| shift.is_finite());
    finite.then(|| shifts.into_iter().fold(0.0, f32::max))
}

/// An aligned face of good quality, and the same face blurred, darkened, with noise and covered,
/// each `side` pixels square; resized if the model takes another size than the portrait's.
pub(super) fn probes(side: usize) -> Vec<Crop> {
    /// NASA's portrait of Eileen Collins, in the public domain.
    const FACE: &[u8] = include_bytes!("probe.png");
    let face = decode::decode(FACE, &decode::DecodeLimits::default())
        .ok()
        .and_then(|decoded| resize_bilinear(&decoded.image, side, side))
        .expect("the embedded portrait: this is a bug")
        .into_rgb();
    let versions = [
        face.clone(),
        blurred(&face, side, 2),
        blurred(&face, side, 7),
        face.iter().map(|&value| value / 4).collect(),
        noisy(&face),
        covered(&face, side),
    ];
    versions.into_iter().filter_map(|rgb| Crop::from_rgb(side, rgb)).collect()
}

/// The mean over a square of `2·radius + 1` pixels, clipped to the image.
fn blurred(rgb: &[u8], side: usize, radius: usize) -> Vec<u8> {
    let near = |at: usize| at.saturating_sub(radius)..(at + radius + 1).min(side);
    let mut out = Vec::with_capacity(rgb.len());
    for (row, column) in (0..side).flat_map(|row| (0..side).map(move |column| (row, column))) {
        for channel in 0..3 {
            let pixels = near(row).flat_map(|y| near(column).map(move |x| (y * side + x) * 3));
            let (sum, count) = pixels.fold((0u32, 0u32), |(sum, count), place| {
                (sum + u32::from(rgb[place + channel]), count + 1)
            });
            out.push((sum / count) as u8);
        }
    }
    out
}

/// Adds up to 48 levels up or down, the same noise every time.
fn noisy(rgb: &[u8]) -> Vec<u8> {
    let mut state = 1u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as i16 % 97 - 48
    });
    rgb.iter().zip(noise).map(|(&v, n)| (i16::from(v) + n).clamp(0, 255) as u8).collect()
}

/// Covers the lower half in grey.
fn covered(rgb: &[u8], side: usize) -> Vec<u8> {
    let half = side / 2 * side * 3;
    rgb.iter().enumerate().map(|(at, &v)| if at < half { v } else { 128 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_is_relative_to_the_exact_scores_range() {
        assert_eq!(relative_shift(&[1.0, 3.0], &[1.5, 3.0]), Some(0.25));
        assert_eq!(relative_shift(&[1.0, 1.0], &[1.0, 1.0]), None);
        assert_eq!(relative_shift(&[1.0, 2.0], &[f32::NAN, 2.0]), None);
        assert_eq!(relative_shift(&[], &[]), None);
    }

    #[test]
    fn the_probes_are_six_different_crops_of_any_size() {
        for side in [112, 64, 224] {
            let probes = probes(side);
            assert_eq!(probes.len(), 6);
            for (index, probe) in probes.iter().enumerate() {
                assert_eq!(probe.side(), side);
                assert!(probes[..index].iter().all(|other| other != probe), "probe {index}");
            }
        }
    }

    #[test]
    fn max_shift_covers_every_method() {
        let exact = [vec![0.0, 1.0], vec![0.0, 10.0]];
        let found = [vec![0.0, 1.0], vec![5.0, 10.0]];
        assert_eq!(max_shift(&exact, &found), Some(0.5));
        assert_eq!(max_shift(&exact, &[vec![0.0, 1.0], vec![f32::NAN, 10.0]]), None);
    }
}
