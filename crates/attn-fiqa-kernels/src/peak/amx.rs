//! The AMX loops: products of two tiles, added to six others in turn.

use std::arch::asm;

use crate::packed::Tiles;

/// Operations per round in bf16, where a tile is 16 rows of 32 values; twice as many for bytes.
pub(super) const BF16_OPERATIONS: usize = 6 * 2 * 16 * 16 * 32;

macro_rules! tile_loop {
    ($name:ident, $dot:literal) => {
        /// # Safety
        ///
        /// The features of the product must have been detected.
        pub(super) unsafe fn $name(rounds: usize) {
            // SAFETY: by the contract; the loop configures nothing itself.
            let tiles = unsafe { Tiles::configure() };
            if rounds > 0 {
                // SAFETY: by the contract; it writes only to registers, which were all zero before.
                unsafe {
                    asm!(
                        "2:",
                        concat!($dot, " tmm0, tmm6, tmm7"),
                        concat!($dot, " tmm1, tmm6, tmm7"),
                        concat!($dot, " tmm2, tmm6, tmm7"),
                        concat!($dot, " tmm3, tmm6, tmm7"),
                        concat!($dot, " tmm4, tmm6, tmm7"),
                        concat!($dot, " tmm5, tmm6, tmm7"),
                        "dec {rounds}",
                        "jnz 2b",
                        rounds = inout(reg) rounds => _,
                        out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                        out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                        options(nostack, nomem),
                    );
                }
            }
            drop(tiles);
        }
    };
}

tile_loop!(bf16, "tdpbf16ps");
tile_loop!(bytes, "tdpbusd");
