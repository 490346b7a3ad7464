//! The x86-64 loops.

use std::arch::x86_64::*;
use std::hint::black_box;

use super::{CHAINS, PeakLoop, amx, peak_loop};
use crate::{CpuFeature, Precision};

/// Chains on machines with 16 registers: two multiply–adds per cycle with a latency of five need
/// ten.
const CHAINS_OF_16: usize = 12;

/// The loops for a precision, fastest first.
pub(super) fn loops(precision: Precision) -> Vec<PeakLoop> {
    use CpuFeature::{
        AmxBf16, AmxInt8, AmxTile, Avx2, Avx512Bf16, Avx512Vnni, Avx512f, AvxVnni, Fma,
    };
    let of = |features: &'static [CpuFeature], run: unsafe fn(usize), operations| PeakLoop {
        features,
        run,
        operations,
    };
    let bf16 = [
        of(&[AmxTile, AmxBf16], amx::bf16, amx::BF16_OPERATIONS),
        of(&[Avx512f, Avx512Bf16], bf16, 2 * 32 * CHAINS),
    ];
    let own = match precision {
        Precision::F32 => vec![],
        Precision::Bf16x2 => {
            bf16.map(|one| PeakLoop { operations: one.operations / 4, ..one }).into()
        }
        Precision::Bf16 => bf16.into(),
        Precision::Int8 => vec![
            of(&[AmxTile, AmxInt8], amx::bytes, 2 * amx::BF16_OPERATIONS),
            of(&[Avx512f, Avx512Vnni], bytes, 2 * 64 * CHAINS),
            of(&[Avx2, AvxVnni], bytes_of_256_bits, 2 * 32 * CHAINS_OF_16),
            // Without a dot product of bytes, bytes are multiplied as 16-bit integers.
            of(&[Avx2], pairs, 2 * 16 * CHAINS_OF_16),
        ],
    };
    let widened = [
        of(&[Avx512f], single, 2 * 16 * CHAINS),
        of(&[Avx2, Fma], single_of_256_bits, 2 * 8 * CHAINS_OF_16),
    ];
    own.into_iter().chain(widened).collect()
}

peak_loop!(
    single,
    "avx512f",
    CHAINS of _mm512_setzero_ps(),
    _mm512_set1_ps(0.999),
    |sum, factor| _mm512_fmadd_ps(factor, factor, sum)
);
peak_loop!(
    bf16,
    "avx512f,avx512bf16",
    CHAINS of _mm512_setzero_ps(),
    _mm512_set1_epi32(0x3f7f_3f7f),
    |sum, factor: __m512i| {
        // SAFETY: both are 512 bits without invalid patterns.
        let factor = unsafe { std::mem::transmute::<__m512i, __m512bh>(factor) };
        _mm512_dpbf16_ps(sum, factor, factor)
    }
);
peak_loop!(
    bytes,
    "avx512f,avx512vnni",
    CHAINS of _mm512_setzero_si512(),
    _mm512_set1_epi32(0x3f7f_3f7f),
    |sum, factor| _mm512_dpbusd_epi32(sum, factor, factor)
);
peak_loop!(
    single_of_256_bits,
    "avx2,fma",
    CHAINS_OF_16 of _mm256_setzero_ps(),
    _mm256_set1_ps(0.999),
    |sum, factor| _mm256_fmadd_ps(factor, factor, sum)
);
peak_loop!(
    bytes_of_256_bits,
    "avx2,avxvnni",
    CHAINS_OF_16 of _mm256_setzero_si256(),
    _mm256_set1_epi32(0x3f7f_3f7f),
    |sum, factor| _mm256_dpbusd_avx_epi32(sum, factor, factor)
);
// The products depend on the sums; otherwise they would be computed once for all rounds.
peak_loop!(
    pairs,
    "avx2",
    CHAINS_OF_16 of _mm256_setzero_si256(),
    _mm256_set1_epi32(0x3f7f_3f7f),
    |sum, factor| _mm256_add_epi32(sum, _mm256_madd_epi16(sum, factor))
);
