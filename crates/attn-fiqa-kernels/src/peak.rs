//! Peak arithmetic of one core: the roof that kernels are measured against.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
use std::hint::black_box;

#[cfg(target_arch = "x86_64")]
use crate::CpuFeature;
use crate::isa::for_every_isa;
use crate::{Isa, Precision};

/// Independent chains, more than any machine needs to hide an instruction's latency, where there
/// are 32 registers.
const CHAINS: usize = 24;
/// Where there are 16: two multiply–adds per cycle with a latency of five need ten.
#[cfg(target_arch = "x86_64")]
const CHAINS_OF_16: usize = 12;

/// Executes `rounds` rounds of independent multiply–adds in registers with the widest
/// instruction for `precision`, and returns the number of operations (a multiply–add is two).
pub fn peak_operations(isa: Isa, precision: Precision, rounds: usize) -> f64 {
    #[cfg(target_arch = "x86_64")]
    if let Some(operations) = on_x86(isa, precision, rounds) {
        return (operations * rounds) as f64;
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = precision;
    let mut sums = [[0.0; 4]; CHAINS];
    plain(isa, rounds, &mut sums);
    black_box(sums);
    (2 * 4 * CHAINS * rounds) as f64
}

for_every_isa! {
    fn plain(rounds: usize, sums: &mut [[f32; 4]; CHAINS]) {
        let factor = black_box(0.999f32);
        for _ in 0..rounds {
            for sum in sums.iter_mut().flatten() {
                // On x86-64 without FMA it would be a call.
                *sum = if cfg!(target_arch = "aarch64") {
                    sum.mul_add(factor, factor)
                } else {
                    *sum * factor + factor
                };
            }
        }
    }
}

/// A loop of multiply–adds, compiled for features.
#[cfg(target_arch = "x86_64")]
struct PeakLoop {
    features: &'static [CpuFeature],
    /// Takes the rounds. The features must have been detected.
    run: unsafe fn(usize),
    /// Per round.
    operations: usize,
}

/// Operations of a round; `None` where the instruction set has no multiply–add.
#[cfg(target_arch = "x86_64")]
fn on_x86(isa: Isa, precision: Precision, rounds: usize) -> Option<usize> {
    use CpuFeature::{Avx2, Avx512Bf16, Avx512Vnni, Avx512f, AvxVnni, Fma};
    let of = |features: &'static [CpuFeature], run: unsafe fn(usize), operations| PeakLoop {
        features,
        run,
        operations,
    };
    let own = match precision {
        Precision::F32 => vec![],
        Precision::Bf16 => vec![of(&[Avx512f, Avx512Bf16], bf16, 2 * 32 * CHAINS)],
        Precision::Int8 => vec![
            of(&[Avx512f, Avx512Vnni], bytes, 2 * 64 * CHAINS),
            of(&[Avx2, AvxVnni], bytes_of_256_bits, 2 * 32 * CHAINS_OF_16),
            // Without a dot product of bytes they are multiplied as 16-bit integers.
            of(&[Avx2], pairs, 2 * 16 * CHAINS_OF_16),
        ],
    };
    let widened = [
        of(&[Avx512f], single, 2 * 16 * CHAINS),
        of(&[Avx2, Fma], single_of_256_bits, 2 * 8 * CHAINS_OF_16),
    ];
    let fastest = own
        .into_iter()
        .chain(widened)
        .find(|candidate| candidate.features.iter().all(|&feature| isa.has(feature)))?;
    // SAFETY: an `Isa` with features exists only where they were detected.
    unsafe { (fastest.run)(rounds) };
    Some(fastest.operations)
}

#[cfg(target_arch = "x86_64")]
macro_rules! peak_loop {
    ($name:ident, $features:literal, $chains:ident of $zero:expr, $factor:expr, $step:expr) => {
        #[target_feature(enable = $features)]
        fn $name(rounds: usize) {
            let factor = black_box($factor);
            // Hidden, so that the chains are not found to be equal.
            let mut sums = black_box([$zero; $chains]);
            for _ in 0..rounds {
                for sum in &mut sums {
                    *sum = $step(*sum, factor);
                }
            }
            black_box(sums);
        }
    };
}

#[cfg(target_arch = "x86_64")]
peak_loop!(
    single,
    "avx512f",
    CHAINS of _mm512_setzero_ps(),
    _mm512_set1_ps(0.999),
    |sum, factor| _mm512_fmadd_ps(factor, factor, sum)
);
#[cfg(target_arch = "x86_64")]
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
#[cfg(target_arch = "x86_64")]
peak_loop!(
    bytes,
    "avx512f,avx512vnni",
    CHAINS of _mm512_setzero_si512(),
    _mm512_set1_epi32(0x3f7f_3f7f),
    |sum, factor| _mm512_dpbusd_epi32(sum, factor, factor)
);
#[cfg(target_arch = "x86_64")]
peak_loop!(
    single_of_256_bits,
    "avx2,fma",
    CHAINS_OF_16 of _mm256_setzero_ps(),
    _mm256_set1_ps(0.999),
    |sum, factor| _mm256_fmadd_ps(factor, factor, sum)
);
#[cfg(target_arch = "x86_64")]
peak_loop!(
    bytes_of_256_bits,
    "avx2,avxvnni",
    CHAINS_OF_16 of _mm256_setzero_si256(),
    _mm256_set1_epi32(0x3f7f_3f7f),
    |sum, factor| _mm256_dpbusd_avx_epi32(sum, factor, factor)
);
// The products depend on the sums, or they would be computed once for all rounds.
#[cfg(target_arch = "x86_64")]
peak_loop!(
    pairs,
    "avx2",
    CHAINS_OF_16 of _mm256_setzero_si256(),
    _mm256_set1_epi32(0x3f7f_3f7f),
    |sum, factor| _mm256_add_epi32(sum, _mm256_madd_epi16(sum, factor))
);
