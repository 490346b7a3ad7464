//! Which comparisons are retained at each point of a curve.

use super::Evaluator;
use super::resampled::Weights;

/// Maximum number of blocks of a ranking with summed weights, so that the sums stay in the
/// processor's cache.
const BLOCKS: usize = 1 << 15;

/// Where a point of a curve divides the ranking: everything before is discarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cutoff {
    /// The first position with a remaining copy.
    place: u32,
    /// Copies discarded at that position: not all of them.
    gone: u64,
}

/// What is retained at each point. Successive points discard more, so a comparison is retained at
/// the first points only.
#[derive(Debug)]
pub(crate) struct Retained<'a> {
    weights: Weights<'a>,
    /// The position of each comparison in the ranking; `None` if nothing is discarded.
    places: Option<&'a [u32]>,
    cutoffs: Vec<Cutoff>,
    /// Number of mated comparisons at each point.
    pub(crate) mated: Vec<u64>,
    /// Number of non-mated comparisons at each point.
    pub(crate) non_mated: Vec<u64>,
}

impl<'a> Retained<'a> {
    /// Discards nothing: a single point.
    pub(crate) fn everything(evaluator: &Evaluator<'_>, weights: Weights<'a>) -> Self {
        let [mated, non_mated] = weights.totals(evaluator.comparisons()).map(|count| vec![count]);
        Self {
            weights,
            places: None,
            cutoffs: vec![Cutoff { place: 0, gone: 0 }],
            mated,
            non_mated,
        }
    }

    /// Discards the first `⌊u·n⌋` comparisons of `order` at each of the ascending discard fractions
    /// `u`; `places` is the inverse of `order`.
    pub(crate) fn new(
        evaluator: &Evaluator<'_>,
        (order, places): (&[u32], &'a [u32]),
        discards: &[f64],
        weights: Weights<'a>,
    ) -> Self {
        let total: u64 = weights.totals(evaluator.comparisons()).iter().sum();
        let dropped = dropped(discards, total);
        let cutoffs = match weights {
            Weights::One => {
                dropped.iter().map(|&gone| Cutoff { place: gone as u32, gone: 0 }).collect()
            }
            Weights::Each(drawn) => cutoffs(order, places, drawn.weights(), &dropped),
        };
        let mut retained = Self {
            weights,
            places: Some(places),
            cutoffs,
            mated: Vec::new(),
            non_mated: Vec::new(),
        };
        let mut mated = vec![0; dropped.len()];
        for &index in evaluator.mated() {
            retained.add_copies(index, &mut mated);
        }
        let left = dropped.iter().map(|dropped| total - dropped);
        retained.non_mated = left.zip(&mated).map(|(left, mated)| left - mated).collect();
        retained.mated = mated;
        retained
    }

    /// Number of points.
    pub(crate) fn points(&self) -> usize {
        self.cutoffs.len()
    }

    /// Adds the copies of a comparison to the count of each point that retains any, and returns the
    /// number of these points, which are the first ones.
    pub(crate) fn add_copies(&self, index: u32, counts: &mut [u64]) -> usize {
        let weight = self.weights.of(index);
        if weight == 0 {
            return 0;
        }
        let place = self.places.map_or(0, |places| places[index as usize]);
        let mut points = self.cutoffs.partition_point(|cutoff| cutoff.place < place);
        counts[..points].iter_mut().for_each(|count| *count += weight);
        while let Some(cutoff) = self.cutoffs.get(points).filter(|cutoff| cutoff.place == place) {
            counts[points] += weight - cutoff.gone;
            points += 1;
        }
        points
    }
}

/// How many of `total` comparisons are discarded at each discard fraction.
pub(super) fn dropped(discards: &[f64], total: u64) -> Vec<u64> {
    discards.iter().map(|discard| (discard * total as f64).floor() as u64).collect()
}

/// The ascending cutoffs before which `dropped` copies lie.
///
/// Only sums over blocks need every weight, and those are read in memory order; the ranking itself
/// is read around the cutoffs only.
fn cutoffs(order: &[u32], places: &[u32], weights: &[u16], dropped: &[u64]) -> Vec<Cutoff> {
    let mut block_bits = 0;
    while places.len() >> block_bits >= BLOCKS {
        block_bits += 1;
    }
    let mut sums = vec![0_u32; (places.len() >> block_bits) + 1];
    for (&place, &weight) in places.iter().zip(weights) {
        sums[(place >> block_bits) as usize] += u32::from(weight);
    }
    let (mut block, mut before) = (0, 0_u64);
    let cutoff = |&gone: &u64| {
        while let Some(&sum) = sums.get(block)
            && before + u64::from(sum) <= gone
        {
            before += u64::from(sum);
            block += 1;
        }
        let start = block << block_bits;
        let mut at = before;
        for (place, &index) in order.iter().enumerate().skip(start) {
            let weight = u64::from(weights[index as usize]);
            if at + weight > gone {
                return Cutoff { place: place as u32, gone: gone - at };
            }
            at += weight;
        }
        // Nothing is left.
        Cutoff { place: order.len() as u32, gone: 0 }
    };
    dropped.iter().map(cutoff).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cutoffs_discard_the_requested_number_of_copies() {
        let count = 3 * BLOCKS + 17;
        let order: Vec<u32> = (0..count as u32).map(|n| (n * 7 + 3) % count as u32).collect();
        let mut places = vec![0; count];
        order.iter().zip(0..).for_each(|(&index, place)| places[index as usize] = place);
        let weights: Vec<u16> = (0..count).map(|n| (n % 5 % 3) as u16).collect();
        let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
        let dropped: Vec<u64> =
            [0.0, 0.1, 0.1001, 0.5, 0.95].map(|u| (u * total as f64) as u64).into();
        for (cutoff, &gone) in cutoffs(&order, &places, &weights, &dropped).iter().zip(&dropped) {
            let weight = |place: usize| u64::from(weights[order[place] as usize]);
            let before: u64 = (0..cutoff.place as usize).map(weight).sum();
            assert_eq!(before + cutoff.gone, gone);
            assert!(cutoff.gone < weight(cutoff.place as usize));
        }
        let nothing = Cutoff { place: count as u32, gone: 0 };
        assert_eq!(cutoffs(&order, &places, &vec![0; count], &[0]), [nothing]);
    }
}
