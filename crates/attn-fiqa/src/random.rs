//! Seeded random numbers that are the same on every machine, in every version and for any number of
//! threads. For noise, sampling and resampling; not for secrets.

/// The increment of SplitMix64: 2⁶⁴ divided by the golden ratio, odd.
pub(crate) const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The output function of SplitMix64 (Steele, Lea and Flood 2014): the number that follows a state.
/// Every bit of the state changes every bit of the number, so that the numbers of neighbouring
/// states are unrelated.
pub(crate) fn split_mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(STEP);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A stream of SplitMix64 numbers. The algorithms are fixed: a recorded seed gives the same numbers
/// later.
///
/// # Examples
///
/// ```
/// use attn_fiqa::random::Random;
///
/// let mut order = [0, 1, 2, 3];
/// Random::new(7, "order").shuffle(&mut order);
/// let mut again = [0, 1, 2, 3];
/// Random::new(7, "order").shuffle(&mut again);
/// assert_eq!(order, again);
/// ```
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
    /// The second of a pair of normal numbers, kept for the next call.
    spare: Option<f64>,
}

impl Random {
    /// The numbers of a `seed` for one purpose; those of other purposes are unrelated.
    pub fn new(seed: u64, purpose: &str) -> Self {
        Self::from_state(mix(seed, purpose))
    }

    /// The numbers that follow a state of SplitMix64.
    pub fn from_state(state: u64) -> Self {
        Self { state, spare: None }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        let bits = split_mix(self.state);
        self.state = self.state.wrapping_add(STEP);
        bits
    }

    /// Uniform in `0 … 1`, without 1.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// An integer below `count`, which is positive and far below 2⁵³; 0 if `count` is 0.
    pub fn below(&mut self, count: usize) -> usize {
        ((self.uniform() * count as f64) as usize).min(count.saturating_sub(1))
    }

    /// Normal with mean 0 and standard deviation 1 (Box and Muller 1958). The logarithm and
    /// the angle are computed in software, so that they are the same on every machine.
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        // The logarithm needs a number above zero.
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.uniform()));
        let angle = 2.0 * std::f64::consts::PI * self.uniform();
        self.spare = Some(radius * libm::sin(angle));
        radius * libm::cos(angle)
    }

    /// Shuffles a slice (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// A seed for `name`: `seed` and the name's bytes mixed by FNV-1a. With `mix(seed, path)` as an
/// image's seed, what happens to the image depends neither on its position in a set nor on the
/// other images.
pub fn mix(seed: u64, name: &str) -> u64 {
    let start = seed ^ 0xcbf2_9ce4_8422_2325;
    name.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_bits_match_splitmix64_reference() {
        // The first three of SplitMix64 from the seed 1234567.
        let mut random = Random::from_state(1_234_567);
        let expected =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([random.bits(), random.bits(), random.bits()], expected);
    }

    #[test]
    fn normal_numbers_have_mean_0_and_deviation_1() {
        let mut random = Random::new(7, "test");
        let numbers: Vec<f64> = (0..20_001).map(|_| random.normal()).collect();
        let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
        let variance = numbers.iter().map(|n| (n - mean).powi(2)).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
        let beyond_two = numbers.iter().filter(|n| n.abs() > 2.0).count() as f64 / 20_001.0;
        assert!((beyond_two - 0.0455).abs() < 0.006, "{beyond_two}");
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<usize> = (0..50).collect();
        Random::new(3, "order").shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
        Random::new(3, "order").shuffle::<u8>(&mut []);
    }

    #[test]
    fn bound_of_zero_or_one_gives_zero() {
        let mut random = Random::new(1, "bounds");
        assert_eq!((random.below(0), random.below(1)), (0, 0));
        assert!((0..1000).all(|_| random.below(3) < 3));
    }
}
