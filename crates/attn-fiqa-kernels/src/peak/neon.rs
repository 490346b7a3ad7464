//! The aarch64 loops.

use std::arch::aarch64::*;
use std::hint::black_box;

use super::{CHAINS, PeakLoop, peak_loop};
use crate::neon_products::{sdot, usmmla};
use crate::{CpuFeature, Precision};

/// The loops for a precision, fastest first; f32 has none, since plain Rust is as fast.
pub(super) fn loops(precision: Precision) -> Vec<PeakLoop> {
    match precision {
        Precision::F32 | Precision::Bf16x2 | Precision::Bf16 => vec![],
        Precision::Int8 => vec![
            PeakLoop { features: &[CpuFeature::I8mm], run: matrices, operations: 2 * 32 * CHAINS },
            PeakLoop { features: &[CpuFeature::Dotprod], run: bytes, operations: 2 * 16 * CHAINS },
        ],
    }
}

peak_loop!(
    matrices,
    "neon,i8mm",
    CHAINS of vdupq_n_u32(0),
    vdupq_n_u32(0x3f7f_3f7f),
    // SAFETY: the instruction is enabled.
    |sum, factor| unsafe { usmmla(sum, factor, factor) }
);
peak_loop!(
    bytes,
    "neon,dotprod",
    CHAINS of vdupq_n_u32(0),
    vdupq_n_u32(0x3f7f_3f7f),
    // SAFETY: the instruction is enabled.
    |sum, factor| unsafe { sdot(sum, factor, factor) }
);
