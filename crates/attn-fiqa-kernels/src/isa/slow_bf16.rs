//! Whether the bf16 dot product is slower than the f32 multiply–adds that it replaces.
//!
//! It is on some processors, and hypervisors may hide the model, so it is timed. A dot product of
//! two replaces two multiply–adds. It takes as long as one on an AMD EPYC of family 26, and as long
//! as four on Intel's model 207.

use std::sync::OnceLock;
use std::time::Instant;

use crate::{Isa, Precision, peak_operations};

/// Rounds of [`peak_operations`] per timing: a microsecond or two.
const ROUNDS: usize = 100;
/// Timings per precision. The shortest counts, because an interruption can only lengthen one.
const TIMINGS: usize = 12;

/// Measured once per process.
pub(super) fn is_slow(isa: Isa) -> bool {
    static SLOW: OnceLock<bool> = OnceLock::new();
    // An interpreter has no processor to time.
    *SLOW.get_or_init(|| !cfg!(miri) && ratio(isa) < 1.0)
}

/// The ratio of the rate of operations in bf16 to that in f32.
fn ratio(isa: Isa) -> f64 {
    let mut best = [0.0f64; 2];
    // Alternating, so that a change of clock speed affects both. The first ones run while the
    // processor powers up its wide registers.
    for _ in 0..TIMINGS {
        for (best, precision) in best.iter_mut().zip([Precision::F32, Precision::Bf16]) {
            let start = Instant::now();
            let operations = peak_operations(isa, precision, ROUNDS);
            *best = best.max(operations / start.elapsed().as_secs_f64().max(1e-9));
        }
    }
    best[1] / best[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CpuFeature;

    /// The best of many short timings always agrees with long ones, and is not near the limit.
    #[test]
    #[ignore = "times the processor: run it with --ignored while the machine is idle"]
    fn slow_bf16_detection_is_reproducible() {
        let Some(isa) = Isa::available().into_iter().find(|isa| isa.has(CpuFeature::Avx512Bf16))
        else {
            return attn_fiqa_testing::skip("the processor has no bf16 dot product");
        };
        let rate = |precision| {
            let rates = (0..5).map(|_| {
                let start = Instant::now();
                peak_operations(isa, precision, 50_000) / start.elapsed().as_secs_f64()
            });
            rates.fold(0.0, f64::max)
        };
        let slow = rate(Precision::Bf16) < rate(Precision::F32);
        let start = Instant::now();
        for _ in 0..50 {
            let ratio = ratio(isa);
            assert_eq!(ratio < 1.0, slow, "{ratio}");
            assert!(!(0.75..1.4).contains(&ratio), "{ratio} is near the limit");
        }
        assert!(start.elapsed().as_millis() < 500, "{:?} for 50 measurements", start.elapsed());
    }
}
