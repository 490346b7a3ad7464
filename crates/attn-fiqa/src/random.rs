//! Numbers that look random and are the same every time.

/// The step between two states: 2⁶⁴ over the golden ratio, odd.
pub(crate) const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64 (Steele, Lea and Flood 2014): the number that follows a state. Every bit
/// of the state moves every bit of it, so that neighbours have nothing in common.
pub(crate) fn split_mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(STEP);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_reference_program() {
        // The first three of SplitMix64 from the seed 1234567.
        let found = [0, 1, 2].map(|n| split_mix(STEP.wrapping_mul(n).wrapping_add(1_234_567)));
        let expected =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(found, expected);
    }
}
