//! Peak arithmetic of one core: the roof that kernels are measured against.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
use std::hint::black_box;

#[cfg(target_arch = "x86_64")]
use crate::CpuFeature;
use crate::isa::for_every_isa;
use crate::{Isa, Precision};

/// Number of independent chains: more than any machine needs to hide an instruction's latency.
const CHAINS: usize = 24;

/// Executes `rounds` rounds of independent multiply–adds in registers with the widest
/// instruction for `precision`, and returns the number of operations (a multiply–add is two).
pub fn peak_operations(isa: Isa, precision: Precision, rounds: usize) -> f64 {
    #[cfg(target_arch = "x86_64")]
    {
        let wide = match precision {
            Precision::F32 if isa.has(CpuFeature::Avx512f) => {
                // SAFETY: an `Isa` with AVX-512F exists only where it was detected.
                unsafe { single(rounds) };
                Some(2 * 16)
            }
            Precision::Bf16 if isa.has(CpuFeature::Avx512Bf16) => {
                // SAFETY: an `Isa` with AVX-512F and its bf16 part exists only where both were
                // detected.
                unsafe { bf16(rounds) };
                Some(2 * 32)
            }
            Precision::Int8 if isa.has(CpuFeature::Avx512Vnni) => {
                // SAFETY: an `Isa` with AVX-512F and VNNI exists only where both were detected.
                unsafe { bytes(rounds) };
                Some(2 * 64)
            }
            _ => None,
        };
        if let Some(operations) = wide {
            return (operations * CHAINS * rounds) as f64;
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = precision;
    let mut sums = [[0.0; 8]; CHAINS];
    plain(isa, rounds, &mut sums);
    black_box(sums);
    (2 * 8 * CHAINS * rounds) as f64
}

for_every_isa! {
    fn plain(rounds: usize, sums: &mut [[f32; 8]; CHAINS]) {
        let factor = black_box(0.999f32);
        for _ in 0..rounds {
            for sums in sums.iter_mut() {
                for sum in sums {
                    *sum = *sum * factor + factor;
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
macro_rules! peak_loop {
    ($name:ident, $features:literal, $zero:expr, $step:expr) => {
        #[target_feature(enable = $features)]
        fn $name(rounds: usize) {
            let factor = black_box(_mm512_set1_epi32(0x3f7f_3f7f));
            let mut sums = [$zero; CHAINS];
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
peak_loop!(single, "avx512f", _mm512_setzero_ps(), |sum, factor| {
    _mm512_fmadd_ps(_mm512_castsi512_ps(factor), _mm512_castsi512_ps(factor), sum)
});
#[cfg(target_arch = "x86_64")]
peak_loop!(bf16, "avx512f,avx512bf16", _mm512_setzero_ps(), |sum, factor: __m512i| {
    // SAFETY: both are 512 bits without invalid patterns.
    let factor = unsafe { std::mem::transmute::<__m512i, __m512bh>(factor) };
    _mm512_dpbf16_ps(sum, factor, factor)
});
#[cfg(target_arch = "x86_64")]
peak_loop!(bytes, "avx512f,avx512vnni", _mm512_setzero_si512(), |sum, factor| {
    _mm512_dpbusd_epi32(sum, factor, factor)
});
