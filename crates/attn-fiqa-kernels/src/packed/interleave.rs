//! Transposes the words of a panel's rows into K steps.

use super::{KStep, NR};
#[cfg(target_arch = "x86_64")]
use crate::CpuFeature;
use crate::Isa;
use crate::isa::for_every_isa;

/// Rows `[lane, K step]` to K steps of one word per lane.
pub(super) fn interleave(isa: Isa, rows: &[u32], panel: &mut [KStep]) {
    assert_eq!(rows.len(), NR * panel.len(), "a row for every lane: this is a bug");
    #[cfg(target_arch = "x86_64")]
    if isa.has(CpuFeature::Avx512f) {
        // SAFETY: an `Isa` with AVX-512F exists only where it was detected.
        return unsafe { avx512::interleave(rows, panel) };
    }
    plain(isa, rows, panel);
}

for_every_isa! {
    fn plain(rows: &[u32], panel: &mut [KStep]) {
        /// One cache line of every row at a time.
        const BLOCK: usize = 16;
        let steps = panel.len();
        for (block, panel) in panel.chunks_mut(BLOCK).enumerate() {
            for (lane, row) in rows.chunks_exact(steps).enumerate() {
                let row = &row[block * BLOCK..];
                for (KStep(words), word) in panel.iter_mut().zip(row) {
                    words[lane] = *word;
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    use super::super::{KStep, NR};
    use crate::lanes::{LANES, mask};

    #[target_feature(enable = "avx512f")]
    pub(super) fn interleave(rows: &[u32], panel: &mut [KStep]) {
        let steps = panel.len();
        for first_lane in (0..NR).step_by(LANES) {
            for (block, panel) in panel.chunks_mut(LANES).enumerate() {
                let from = first_lane * steps + block * LANES;
                let words = std::array::from_fn(|row| load(&rows[from + row * steps..], panel));
                for (KStep(lanes), words) in panel.iter_mut().zip(transpose(words)) {
                    let place = &mut lanes[first_lane..first_lane + LANES];
                    // SAFETY: `place` holds 16 words.
                    unsafe { _mm512_storeu_si512(place.as_mut_ptr().cast(), words) };
                }
            }
        }
    }

    /// Loads one word of a row per step of a block, padded with zeros.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load(row: &[u32], block: &[KStep]) -> __m512i {
        let row = &row[..block.len()];
        // SAFETY: lanes outside the mask are not read.
        unsafe { _mm512_maskz_loadu_epi32(mask(row.len()), row.as_ptr().cast()) }
    }

    /// Transposes 16 rows of 16 words: first pairs and fours of rows within 128-bit quarters,
    /// then the quarters.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn transpose(rows: [__m512i; LANES]) -> [__m512i; LANES] {
        let mut fours = rows;
        for first in (0..LANES).step_by(4) {
            let [a, b, c, d] = [0, 1, 2, 3].map(|row| rows[first + row]);
            let (low_ab, high_ab) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
            let (low_cd, high_cd) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
            fours[first] = _mm512_unpacklo_epi64(low_ab, low_cd);
            fours[first + 1] = _mm512_unpackhi_epi64(low_ab, low_cd);
            fours[first + 2] = _mm512_unpacklo_epi64(high_ab, high_cd);
            fours[first + 3] = _mm512_unpackhi_epi64(high_ab, high_cd);
        }
        /// Selects the even quarters of two registers.
        const EVEN: i32 = 0x88;
        /// Selects the odd quarters of two registers.
        const ODD: i32 = 0xdd;
        let mut columns = rows;
        for column in 0..4 {
            let [a, b, c, d] = [0, 4, 8, 12].map(|first| fours[first + column]);
            let even_ab = _mm512_shuffle_i32x4::<EVEN>(a, b);
            let even_cd = _mm512_shuffle_i32x4::<EVEN>(c, d);
            let odd_ab = _mm512_shuffle_i32x4::<ODD>(a, b);
            let odd_cd = _mm512_shuffle_i32x4::<ODD>(c, d);
            columns[column] = _mm512_shuffle_i32x4::<EVEN>(even_ab, even_cd);
            columns[column + 4] = _mm512_shuffle_i32x4::<EVEN>(odd_ab, odd_cd);
            columns[column + 8] = _mm512_shuffle_i32x4::<ODD>(even_ab, even_cd);
            columns[column + 12] = _mm512_shuffle_i32x4::<ODD>(odd_ab, odd_cd);
        }
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interleave_transposes_words_on_every_isa() {
        for steps in [1usize, 3, 15, 16, 17, 40] {
            let rows: Vec<u32> = (0..NR * steps).map(|word| word as u32).collect();
            for isa in Isa::available() {
                let mut panel = vec![KStep([u32::MAX; NR]); steps];
                interleave(isa, &rows, &mut panel);
                for (step, KStep(lanes)) in panel.iter().enumerate() {
                    for (lane, word) in lanes.iter().enumerate() {
                        assert_eq!(*word as usize, lane * steps + step, "{}", isa.name());
                    }
                }
            }
        }
    }
}
