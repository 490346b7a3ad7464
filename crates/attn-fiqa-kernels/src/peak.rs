//! Peak arithmetic rate of one core: the roof that kernels are measured against.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::hint::black_box;

use crate::isa::for_every_isa;
use crate::{Isa, Precision};

/// Independent chains on machines with 32 registers: more than any needs to hide an instruction's
/// latency.
const CHAINS: usize = 24;

/// Executes `rounds` rounds of independent multiply–adds in registers with the widest
/// instruction for `precision`, and returns the number of operations (a multiply–add is two).
pub fn peak_operations(isa: Isa, precision: Precision, rounds: usize) -> f64 {
    #[cfg(target_arch = "x86_64")]
    let loops = x86::loops(precision);
    #[cfg(target_arch = "aarch64")]
    let loops = neon::loops(precision);
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    if let Some(fastest) = loops.iter().find(|one| one.features.iter().all(|&f| isa.has(f))) {
        // SAFETY: an `Isa` with features exists only where they were detected.
        unsafe { (fastest.run)(rounds) };
        return (fastest.operations * rounds) as f64;
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
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
                // On x86-64 without FMA, `mul_add` would be a function call.
                *sum = if cfg!(target_arch = "aarch64") {
                    sum.mul_add(factor, factor)
                } else {
                    *sum * factor + factor
                };
            }
        }
    }
}

/// A loop of multiply–adds, compiled for certain features.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
struct PeakLoop {
    features: &'static [crate::CpuFeature],
    /// Takes the number of rounds. The features must have been detected.
    run: unsafe fn(usize),
    /// Operations per round.
    operations: usize,
}

/// Defines a function that runs `$step(sum, factor)` on independent sums.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! peak_loop {
    ($name:ident, $features:literal, $chains:ident of $zero:expr, $factor:expr, $step:expr) => {
        #[target_feature(enable = $features)]
        fn $name(rounds: usize) {
            let factor = black_box($factor);
            // Hides from the compiler that the chains are equal.
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
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use peak_loop;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peak_operations_scale_with_rounds() {
        for isa in Isa::available_or_emulated() {
            for precision in Precision::ALL {
                let [once, thrice] = [1, 3].map(|rounds| peak_operations(isa, precision, rounds));
                assert!(once > 0.0, "{} {}", isa.name(), precision.name());
                assert_eq!(thrice, 3.0 * once, "{} {}", isa.name(), precision.name());
            }
        }
    }
}
