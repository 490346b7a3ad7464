//! aarch64 instructions that multiply bytes, in assembly because Rust's intrinsics for them are
//! unstable.

use std::arch::aarch64::uint32x4_t;
use std::arch::asm;

/// Defines an instruction that adds products of the bytes of two registers to the 32-bit integers
/// of a third.
macro_rules! multiply_accumulate {
    ($name:ident, $instruction:literal) => {
        /// # Safety
        ///
        /// The instruction's feature must be enabled where it is inlined.
        #[inline(always)]
        pub(crate) unsafe fn $name(sums: uint32x4_t, x: uint32x4_t, weights: uint32x4_t) -> uint32x4_t {
            let result;
            // SAFETY: by the contract; the instruction reads and writes only these registers.
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

// Four lanes of four products: signed bytes by signed bytes.
multiply_accumulate!(sdot, "sdot");
// The same, unsigned bytes by signed bytes.
multiply_accumulate!(usdot, "usdot");
// `[2, 2] += [2, 8] · [2, 8]ᵀ`, unsigned bytes by signed bytes.
multiply_accumulate!(usmmla, "usmmla");
