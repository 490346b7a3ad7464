//! Instructions of aarch64 that multiply bytes, in assembly, since Rust's intrinsics for them are
//! unstable.

use std::arch::aarch64::uint32x4_t;
use std::arch::asm;

/// An instruction that adds products of the bytes of two registers to the 32-bit integers of a
/// third.
macro_rules! multiply_accumulate {
    ($name:ident, $instruction:literal) => {
        /// # Safety
        ///
        /// The instruction's feature must be enabled where it is inlined.
        #[inline(always)]
        pub(crate) unsafe fn $name(sums: uint32x4_t, x: uint32x4_t, weights: uint32x4_t) -> uint32x4_t {
            let result;
            // SAFETY: by the contract; the instruction reads and writes these registers alone.
            unsafe {
                asm!(
                    concat!($instruction, " {sums:v}.4s, {x:v}.16b, {weights:v}.16b"),
                    sums = inout(vreg) sums => result,
                    x = in(vreg) x,
                    weights = in(vreg) weights,
                    options(pure, nomem, nostack, preserves_flags),
                );
            }
            result
        }
    };
}

// Four lanes of four products: signed bytes by signed ones.
multiply_accumulate!(sdot, "sdot");
// The same, of unsigned bytes by signed ones.
multiply_accumulate!(usdot, "usdot");
// `[2, 2] += [2, 8] · [2, 8]ᵀ`, of unsigned bytes by signed ones.
multiply_accumulate!(usmmla, "usmmla");
