//! The order in which comparisons are discarded.

use std::sync::OnceLock;

use rayon::slice::ParallelSliceMut;

use crate::comparisons::Comparisons;
use crate::error::EvalError;
use crate::sort_key::sort_key;
use crate::stream::Stream;

/// Comparisons by ascending quality; those of equal quality in their given order.
#[derive(Debug, Clone)]
pub struct Ranking {
    /// Indices of the comparisons, the first to be discarded first.
    order: Vec<u32>,
    /// One bit per entry of `order`: whether its quality equals the previous one.
    tied: Vec<bool>,
    /// The inverse of `order`, computed on demand.
    places: OnceLock<Vec<u32>>,
}

impl Ranking {
    /// Sorts pair qualities, one per comparison; the lowest are discarded first.
    /// Minus infinity means "unusable".
    ///
    /// # Errors
    ///
    /// If one is NaN, or if there are none or too many.
    pub fn new(qualities: &[f64]) -> Result<Self, EvalError> {
        if qualities.is_empty() {
            return Err(EvalError::Empty { what: "quality" });
        }
        let limit = u32::MAX as usize;
        if qualities.len() > limit {
            return Err(EvalError::TooMany { count: qualities.len(), limit });
        }
        if let Some(index) = qualities.iter().position(|quality| quality.is_nan()) {
            return Err(EvalError::NoQuality { what: "comparison", index });
        }
        let keys = qualities.iter().map(|&quality| sort_key(quality));
        let mut keyed: Vec<(u64, u32)> = keys.zip(0..).collect();
        // The index makes the keys unique and the order that of a stable sort.
        keyed.par_sort_unstable();
        let mut tied = vec![false; keyed.len()];
        for (tied, pair) in tied.iter_mut().skip(1).zip(keyed.windows(2)) {
            *tied = pair[0].0 == pair[1].0;
        }
        let order = keyed.into_iter().map(|(_, index)| index).collect();
        Ok(Self { order, tied, places: OnceLock::new() })
    }

    /// A random order of `len` comparisons, without ties.
    ///
    /// # Errors
    ///
    /// If `len` is 0 or too large.
    pub fn random(len: usize, seed: u64) -> Result<Self, EvalError> {
        let limit = u32::MAX as usize;
        match len {
            0 => Err(EvalError::Empty { what: "comparison" }),
            count if count > limit => Err(EvalError::TooMany { count, limit }),
            _ => {
                let mut order = Vec::new();
                random_order(&mut order, len as u32, seed);
                Ok(Self::without_ties(order))
            }
        }
    }

    /// Number of ranked comparisons.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Always false: there is at least one comparison.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// How many comparisons share their quality with another one.
    pub fn tied_count(&self) -> usize {
        self.ties().filter(|tie| tie.len() > 1).map(|tie| tie.len()).sum()
    }

    pub(super) fn without_ties(order: Vec<u32>) -> Self {
        Self { tied: vec![false; order.len()], order, places: OnceLock::new() }
    }

    /// The mated comparisons alone, in the same order.
    pub(super) fn of_mated(&self, comparisons: &Comparisons) -> Self {
        let (mut order, mut tied) = (Vec::with_capacity(comparisons.mated_count()), Vec::new());
        for tie in self.ties() {
            let mated = |index: &&u32| comparisons.is_mated(**index as usize);
            let before = order.len();
            order.extend(self.order[tie].iter().filter(mated));
            tied.extend((before..order.len()).map(|at| at > before));
        }
        Self { order, tied, places: OnceLock::new() }
    }

    pub(super) fn order(&self) -> &[u32] {
        &self.order
    }

    /// The position of each comparison in [`Self::order`], which must hold all of them.
    pub(super) fn places(&self) -> &[u32] {
        self.places.get_or_init(|| {
            let mut places = Vec::new();
            invert(&self.order, &mut places);
            places
        })
    }

    /// Ranges of `order` of equal quality, from the lowest.
    pub(super) fn ties(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        let mut next = 0;
        std::iter::from_fn(move || {
            let start = next;
            if start == self.order.len() {
                return None;
            }
            next += 1;
            while self.tied.get(next) == Some(&true) {
                next += 1;
            }
            Some(start..next)
        })
    }

    /// The same order with comparisons of equal quality shuffled.
    pub(super) fn shuffled_ties(&self, random: &mut Stream) -> Self {
        let mut order = self.order.clone();
        for tie in self.ties() {
            random.shuffle(&mut order[tie]);
        }
        Self { order, tied: self.tied.clone(), places: OnceLock::new() }
    }
}

/// A seeded random order of the numbers below `len`.
pub(super) fn random_order(order: &mut Vec<u32>, len: u32, seed: u64) {
    order.clear();
    order.extend(0..len);
    Stream::new(seed, 0).shuffle(order);
}

/// The position of each number in `order`.
pub(super) fn invert(order: &[u32], places: &mut Vec<u32>) {
    places.resize(order.len(), 0);
    order.iter().zip(0..).for_each(|(&index, place)| places[index as usize] = place);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_qualities_keep_their_order() {
        let ranking = Ranking::new(&[2.0, -1.0, 0.0, -0.0, f64::NEG_INFINITY, -1.0]).expect("it");
        assert_eq!(ranking.order(), [4, 1, 5, 2, 3, 0]);
        assert_eq!(ranking.ties().collect::<Vec<_>>(), [0..1, 1..3, 3..5, 5..6]);
        assert_eq!(ranking.tied_count(), 4);
    }

    #[test]
    fn random_ranking_is_a_seeded_permutation() {
        let order = |seed| Ranking::random(100, seed).expect("an order").order;
        let given: Vec<u32> = (0..100).collect();
        assert_eq!(order(1), order(1));
        assert!(order(1) != order(2) && order(1) != given);
        let mut sorted = order(1);
        sorted.sort_unstable();
        assert_eq!(sorted, given);
        assert_eq!(Ranking::random(100, 1).expect("an order").tied_count(), 0);
    }

    #[test]
    fn only_equal_qualities_are_shuffled() {
        let qualities: Vec<f64> = (0..90).map(|index| f64::from(index % 3)).collect();
        let ranking = Ranking::new(&qualities).expect("a ranking");
        let shuffled = ranking.shuffled_ties(&mut Stream::new(4, 0));
        assert_eq!(shuffled.tied, ranking.tied);
        for tie in ranking.ties() {
            let mut members = shuffled.order[tie.clone()].to_vec();
            assert_ne!(members, ranking.order[tie.clone()]);
            members.sort_unstable();
            assert_eq!(members, ranking.order[tie]);
        }
    }

    #[test]
    fn nan_quality_is_rejected() {
        let error = Ranking::new(&[0.0, f64::NAN]).expect_err("no order");
        assert_eq!(error, EvalError::NoQuality { what: "comparison", index: 1 });
    }
}
