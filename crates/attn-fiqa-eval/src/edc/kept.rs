//! Which comparisons are still there at each point of a curve.

use super::Ranking;
use crate::comparisons::Comparisons;

/// How often each comparison stands in the set.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Weights<'a> {
    /// Once.
    One,
    /// As often as its entry says.
    Each(&'a [u32]),
}

impl Weights<'_> {
    pub(crate) fn of(self, index: u32) -> u64 {
        match self {
            Self::One => 1,
            Self::Each(weights) => weights[index as usize].into(),
        }
    }

    /// The sum over all of `count` comparisons.
    pub(crate) fn total(self, count: usize) -> u64 {
        match self {
            Self::One => count as u64,
            Self::Each(weights) => weights.iter().map(|&weight| u64::from(weight)).sum(),
        }
    }
}

/// Marks a comparison of which some point drops only some copies.
const PARTLY: u16 = 1 << 15;

/// What is left at each point. Points discard ever more, so a comparison is there
/// at the first few points and then no longer: one number says at how many.
#[derive(Debug)]
pub(crate) struct Kept<'a> {
    weights: Weights<'a>,
    points: usize,
    /// For each comparison, at how many points all its copies are there, perhaps
    /// with [`PARTLY`].
    wholly: Vec<u16>,
    /// Comparison, point and copies left, where a point drops some copies only.
    partly: Vec<(u32, usize, u64)>,
    /// Mated comparisons at each point.
    pub(crate) mated: Vec<u64>,
    /// Non-mated comparisons at each point.
    pub(crate) non_mated: Vec<u64>,
}

impl<'a> Kept<'a> {
    /// Drops the first `⌊u·n⌋` comparisons at each discard fraction `u`, which ascend.
    pub(crate) fn by_ranking(
        comparisons: &Comparisons,
        ranking: &Ranking,
        discards: &[f64],
        weights: Weights<'a>,
    ) -> Self {
        let total = weights.total(comparisons.len()) as f64;
        let dropped: Vec<u64> = discards.iter().map(|u| (u * total).floor() as u64).collect();
        let mut kept = Self::none(comparisons.len(), dropped.len(), weights);
        let mut before = 0;
        let mut whole_points = 0;
        for &index in ranking.order() {
            let weight = weights.of(index);
            while dropped.get(whole_points).is_some_and(|&dropped| dropped <= before) {
                whole_points += 1;
            }
            kept.add(comparisons, index, weight, whole_points);
            let after = before + weight;
            let cut = dropped.iter().enumerate().skip(whole_points);
            for (point, &dropped) in cut.take_while(|(_, dropped)| **dropped < after) {
                kept.partly.push((index, point, after - dropped));
                kept.wholly[index as usize] |= PARTLY;
            }
            before = after;
        }
        for counts in [&mut kept.mated, &mut kept.non_mated] {
            for point in (1..counts.len()).rev() {
                counts[point - 1] += counts[point];
            }
        }
        for (index, point, copies) in kept.partly.clone() {
            kept.counts(comparisons, index)[point] += copies;
        }
        kept
    }

    /// Drops nothing: a single point.
    pub(crate) fn all(comparisons: &Comparisons, weights: Weights<'a>) -> Self {
        let mut kept = Self::none(comparisons.len(), 1, weights);
        for index in 0..comparisons.len() as u32 {
            kept.add(comparisons, index, weights.of(index), 1);
        }
        kept
    }

    fn none(comparisons: usize, points: usize, weights: Weights<'a>) -> Self {
        Self {
            weights,
            points,
            wholly: vec![0; comparisons],
            partly: Vec::new(),
            mated: vec![0; points],
            non_mated: vec![0; points],
        }
    }

    /// Counts at the last point that has all copies.
    fn add(&mut self, comparisons: &Comparisons, index: u32, weight: u64, points: usize) {
        if let Some(last) = points.checked_sub(1)
            && weight > 0
        {
            self.wholly[index as usize] = points as u16;
            self.counts(comparisons, index)[last] += weight;
        }
    }

    fn counts(&mut self, comparisons: &Comparisons, index: u32) -> &mut [u64] {
        match comparisons.is_mated(index as usize) {
            true => &mut self.mated,
            false => &mut self.non_mated,
        }
    }

    /// How many points there are.
    pub(crate) fn points(&self) -> usize {
        self.points
    }

    /// Adds the copies of a comparison to the count of each point that has any, and
    /// says how many points, the first ones, that is.
    pub(crate) fn add_copies(&self, index: u32, counts: &mut [u64]) -> usize {
        let wholly = self.wholly[index as usize];
        let mut points = usize::from(wholly & !PARTLY);
        if points > 0 {
            let weight = self.weights.of(index);
            counts[..points].iter_mut().for_each(|count| *count += weight);
        }
        if wholly & PARTLY != 0 {
            for &(_, point, copies) in self.partly.iter().filter(|(partly, ..)| *partly == index) {
                counts[point] += copies;
                points = points.max(point + 1);
            }
        }
        points
    }
}
