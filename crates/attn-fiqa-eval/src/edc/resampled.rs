//! Bootstrap samples: how often each comparison occurs in them.

use super::{Bootstrap, Resample};
use crate::comparisons::Comparisons;
use crate::stream::Stream;

/// How often each comparison occurs in the set.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Weights<'a> {
    /// Once.
    One,
    /// As often as it was drawn.
    Each(&'a ResampledSet),
}

impl Weights<'_> {
    pub(crate) fn of(self, index: u32) -> u64 {
        match self {
            Self::One => 1,
            Self::Each(drawn) => drawn.weights[index as usize].into(),
        }
    }

    /// Total numbers of mated and non-mated comparisons.
    pub(crate) fn totals(self, comparisons: &Comparisons) -> [u64; 2] {
        match self {
            Self::One => {
                [comparisons.mated_count(), comparisons.non_mated_count()].map(|n| n as u64)
            }
            Self::Each(drawn) => drawn.totals,
        }
    }
}

/// A bootstrap sample, whose memory is reused for the next one.
///
/// A weight is a count of draws, with mean 1, or the product of two persons' counts. A comparison
/// or person drawn 256 times would count as drawn 255 times; the probability of that is below
/// 10⁻⁵⁰⁰.
#[derive(Debug, Clone, Default)]
pub(crate) struct ResampledSet {
    weights: Vec<u16>,
    totals: [u64; 2],
    /// Draws of each comparison of a kind, or of each person.
    counts: Vec<u8>,
}

impl ResampledSet {
    /// Memory of a sample with this many comparisons, in bytes.
    pub(crate) fn bytes(comparisons: usize) -> usize {
        3 * comparisons
    }

    /// A set with each selected comparison once.
    pub(crate) fn once(comparisons: &Comparisons, stays: impl Iterator<Item = bool>) -> Self {
        let mut drawn = Self { weights: vec![1; comparisons.len()], ..Self::default() };
        drawn.retain(comparisons, stays);
        drawn
    }

    pub(super) fn weights(&self) -> &[u16] {
        &self.weights
    }

    /// Removes every comparison that is not selected.
    pub(crate) fn retain(&mut self, comparisons: &Comparisons, stays: impl Iterator<Item = bool>) {
        self.totals = [0; 2];
        let kinds = comparisons.mated();
        for ((weight, &mated), stays) in self.weights.iter_mut().zip(kinds).zip(stays) {
            *weight = if stays { *weight } else { 0 };
            self.totals[usize::from(!mated)] += u64::from(*weight);
        }
    }

    /// Draws set number `replicate`.
    pub(crate) fn draw(
        &mut self,
        comparisons: &Comparisons,
        bootstrap: &Bootstrap<'_>,
        replicate: u64,
    ) {
        let mut random = Stream::new(bootstrap.seed, replicate);
        self.weights.clear();
        match bootstrap.resample {
            Resample::Pairs => {
                // Counted separately for each kind, contiguously, and scattered afterwards: draws
                // access memory at random, so the counts should be small.
                let [mated, non_mated] = [comparisons.mated_count(), comparisons.non_mated_count()];
                self.counts.clear();
                self.counts.resize(mated + non_mated, 0);
                let (of_mated, of_non_mated) = self.counts.split_at_mut(mated);
                for counts in [&mut *of_mated, &mut *of_non_mated] {
                    count_draws(counts, &mut random);
                }
                let (mut of_mated, mut of_non_mated) = (of_mated.iter(), of_non_mated.iter());
                self.weights.extend(comparisons.mated().iter().map(|&mated| {
                    let of_kind = if mated { &mut of_mated } else { &mut of_non_mated };
                    u16::from(*of_kind.next().expect("a count of each: this is a bug"))
                }));
                self.totals = [mated, non_mated].map(|count| count as u64);
            }
            Resample::Identities(identities) => {
                let count = identities.iter().flatten().max().map_or(0, |&last| last as usize + 1);
                self.counts.clear();
                self.counts.resize(count, 0);
                count_draws(&mut self.counts, &mut random);
                let drawn = |person: u32| u16::from(self.counts[person as usize]);
                self.totals = [0; 2];
                let kinds = comparisons.mated();
                self.weights.extend(identities.iter().zip(kinds).map(|(&[a, b], &mated)| {
                    let weight = if mated { drawn(a) } else { drawn(a) * drawn(b) };
                    self.totals[usize::from(!mated)] += u64::from(weight);
                    weight
                }));
            }
        }
    }
}

/// Draws as many times as there are counts.
fn count_draws(counts: &mut [u8], random: &mut Stream) {
    for _ in 0..counts.len() {
        let count = &mut counts[random.below(counts.len())];
        *count = count.saturating_add(1);
    }
}
