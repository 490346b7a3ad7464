//! The order in which comparisons are discarded.

use rayon::slice::ParallelSliceMut;

use crate::error::EvalError;
use crate::random::Random;

/// Comparisons by ascending quality; those of equal quality in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranking {
    /// Indices of the comparisons, the first to be discarded first.
    order: Vec<u32>,
    /// One bit an entry of `order`: whether it has the quality of the one before.
    tied: Vec<bool>,
}

impl Ranking {
    /// Sorts pair qualities, one a comparison; the lowest are discarded first.
    /// Minus infinity stands for "never usable".
    ///
    /// # Errors
    ///
    /// If one is not a number, or if there is none or too many.
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
        let keys = qualities.iter().map(|&quality| sortable(quality + 0.0));
        let mut keyed: Vec<(u64, u32)> = keys.zip(0..).collect();
        // The index makes the keys distinct and the order that of a stable sort.
        keyed.par_sort_unstable();
        let mut tied = vec![false; keyed.len()];
        for (tied, pair) in tied.iter_mut().skip(1).zip(keyed.windows(2)) {
            *tied = pair[0].0 == pair[1].0;
        }
        Ok(Self { order: keyed.into_iter().map(|(_, index)| index).collect(), tied })
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
                let mut order: Vec<u32> = (0..len as u32).collect();
                Random::new(seed, 0).shuffle(&mut order);
                Ok(Self { order, tied: vec![false; len] })
            }
        }
    }

    /// How many comparisons are ranked.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether none is; one always is.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// How many comparisons share their quality with another one.
    pub fn tied_count(&self) -> usize {
        self.ties().filter(|tie| tie.len() > 1).map(|tie| tie.len()).sum()
    }

    pub(super) fn order(&self) -> &[u32] {
        &self.order
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
    pub(super) fn shuffled_ties(&self, random: &mut Random) -> Self {
        let mut order = self.order.clone();
        for tie in self.ties() {
            random.shuffle(&mut order[tie]);
        }
        Self { order, tied: self.tied.clone() }
    }
}

/// An integer that sorts as the number does; the number is not NaN and not −0.
pub(super) fn sortable(value: f64) -> u64 {
    let bits = value.to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
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
    fn a_quality_that_is_no_number_is_refused() {
        let error = Ranking::new(&[0.0, f64::NAN]).expect_err("no order");
        assert_eq!(error, EvalError::NoQuality { what: "comparison", index: 1 });
    }
}
