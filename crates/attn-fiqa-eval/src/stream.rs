//! Numbered streams of random numbers, one per parallel task.
//!
//! Everything else uses [`attn_fiqa::random`]. These streams come from another generator and must
//! not change: the pairs of Adience and the intervals of every existing record were drawn with it.

use attn_fiqa::random::Random;

/// xoshiro256++ (Blackman and Vigna, 2019), seeded by SplitMix64.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    state: [u64; 4],
}

impl Stream {
    /// Stream `number` of `seed`.
    pub(crate) fn new(seed: u64, number: u64) -> Self {
        let mut random = Random::from_state(seed ^ number.wrapping_mul(0xD1B5_4A32_D192_ED03));
        Self { state: std::array::from_fn(|_| random.bits()) }
    }

    pub(crate) fn bits(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result
    }

    /// A number below `bound`, which must not be 0; its bias is below `bound`/2⁶⁴.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let wide = u128::from(self.bits()) * bound as u128;
        (wide >> 64) as usize
    }

    /// Shuffles the items (Fisher–Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_numbers_are_uniform_and_streams_differ() {
        let mut random = Stream::new(7, 0);
        let mut counts = [0_u32; 6];
        for _ in 0..60_000 {
            counts[random.below(6)] += 1;
        }
        assert!(counts.iter().all(|&count| (9_600..10_400).contains(&count)), "{counts:?}");
        assert_ne!(Stream::new(7, 1).bits(), Stream::new(7, 2).bits());
        assert_eq!(Stream::new(7, 1).bits(), Stream::new(7, 1).bits());
    }

    #[test]
    fn stream_matches_pinned_values() {
        let mut stream = Stream::new(7, 3);
        let found = [stream.bits(), stream.bits(), stream.bits()];
        assert_eq!(found, [0x8df6_6d86_c865_86e0, 0xd3cb_9348_a2c2_189d, 0x4f54_c0f0_14ec_5d3c]);
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<u32> = (0..100).collect();
        Stream::new(1, 0).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
