//! Products of AMX tiles: blocks of one or two tiles of rows by two tiles of outputs.
//!
//! A tile is 16 rows of 16 words. The eight registers hold four tiles of sums, two of the input and
//! two of the weights, so that every loaded tile is used twice. The intrinsics are unstable, so
//! this is assembly. See Intel's *Software Developer's Manual*, volume 1, chapter 18.

use std::arch::asm;
use std::marker::PhantomData;

use crate::packed::{KStep, NR};

/// Rows of a tile, and words of each row.
pub(super) const TILE: usize = 16;
/// Rows of the largest block.
pub(super) const BLOCK_ROWS: usize = 2 * TILE;

const _: () = assert!(NR == 2 * TILE, "a panel is two tiles wide");

/// The sums of a block, as f32 or i32.
#[repr(C, align(64))]
pub(super) struct Sums(pub(super) [[u32; NR]; BLOCK_ROWS]);

/// K steps of a block, [`TILE`] at a time.
#[repr(C)]
pub(super) struct Segment {
    /// The words of the first tile of rows.
    upper: *const u32,
    /// The words of the second tile of rows.
    lower: *const u32,
    /// Bytes from one row to the next.
    stride: usize,
    weights: *const KStep,
    /// Tiles along K: at least one, and whole rounds of the product.
    tiles: usize,
}

impl Segment {
    /// `tiles` tiles along K of rows that are `stride` words apart, and of a panel.
    pub(super) fn new(
        rows: *const u32,
        stride: usize,
        weights: *const KStep,
        tiles: usize,
    ) -> Self {
        let lower = rows.wrapping_add(TILE * stride);
        Self { upper: rows, lower, stride: stride * size_of::<u32>(), weights, tiles }
    }
}

/// The operand of `ldtilecfg`.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// Eight tiles of 16 rows of 64 bytes.
static WHOLE_TILES: Configuration = {
    let mut whole = Configuration {
        palette: 1,
        start_row: 0,
        reserved: [0; 14],
        row_bytes: [0; 16],
        rows: [0; 16],
    };
    let mut tile = 0;
    while tile < 8 {
        whole.row_bytes[tile] = (TILE * size_of::<u32>()) as u16;
        whole.rows[tile] = TILE as u8;
        tile += 1;
    }
    whole
};

/// This thread's tile registers, configured until this value is dropped.
pub(crate) struct Tiles {
    /// Registers belong to a thread.
    not_send: PhantomData<*mut ()>,
}

impl Tiles {
    /// # Safety
    ///
    /// [`CpuFeature::AmxTile`](crate::CpuFeature::AmxTile) must have been detected, and the thread
    /// must have no other value of this type.
    pub(crate) unsafe fn configure() -> Self {
        // SAFETY: by the contract; the configuration is one that the manual allows.
        unsafe {
            asm!(
                "ldtilecfg [{}]",
                in(reg) &raw const WHOLE_TILES,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack, preserves_flags, readonly),
            );
        }
        Self { not_send: PhantomData }
    }
}

impl Drop for Tiles {
    /// Tile registers in use slow down every switch of the thread.
    fn drop(&mut self) {
        // SAFETY: a value exists only where tiles were detected.
        unsafe {
            asm!(
                "tilerelease",
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack, preserves_flags, nomem),
            );
        }
    }
}

/// A product of two tiles, in terms of its instruction: `sums += input · weights`.
pub(super) trait TileDot {
    /// Computes the sums of a block of [`BLOCK_ROWS`] rows.
    ///
    /// # Safety
    ///
    /// The features of the instruction must have been detected. For each segment, whole tiles of
    /// the rows and weights must be readable, in whole rounds of the product.
    unsafe fn two(tiles: &Tiles, segments: &[Segment], sums: &mut Sums);

    /// Computes the sums of a block of [`TILE`] rows, the first half of `sums`.
    ///
    /// # Safety
    ///
    /// That of [`Self::two`], for half the rows.
    unsafe fn one(tiles: &Tiles, segments: &[Segment], sums: &mut Sums);
}

/// Implements [`TileDot`] from the loads and products of one round of the loop over K, for two
/// tiles of rows and for one. A round covers `$tiles` tiles along K.
///
/// Rows are at `upper` and `lower`, weights at `weights` and 64 bytes further on. tmm0 to tmm3 hold
/// the sums, upper ones first; tmm4 and tmm5 are for rows, tmm6 and tmm7 for weights.
macro_rules! tile_dot {
    (
        $(#[$doc:meta])*
        $name:ident, tiles: $tiles:literal, two: [$($two:expr),+ $(,)?], one: [$($one:expr),+ $(,)?]
    ) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(super) struct $name;

        impl TileDot for $name {
            unsafe fn two(_: &Tiles, segments: &[Segment], Sums(sums): &mut Sums) {
                if segments.is_empty() {
                    return sums.as_flattened_mut().fill(0);
                }
                // SAFETY: by the contract; the sums hold four tiles, and the offsets of a segment's
                // fields are those of its declaration.
                unsafe {
                    asm!(
                        "tilezero tmm0",
                        "tilezero tmm1",
                        "tilezero tmm2",
                        "tilezero tmm3",
                        "2:",
                        "mov {upper}, [{segment}]",
                        "mov {lower}, [{segment} + 8]",
                        "mov {stride}, [{segment} + 16]",
                        "mov {weights}, [{segment} + 24]",
                        "mov {tiles}, [{segment} + 32]",
                        "3:",
                        $($two,)+
                        "add {upper}, {tiles_per_round} * 64",
                        "add {lower}, {tiles_per_round} * 64",
                        "add {weights}, {tiles_per_round} * {panel_tile}",
                        "sub {tiles}, {tiles_per_round}",
                        "jnz 3b",
                        "add {segment}, {size}",
                        "dec {segments}",
                        "jnz 2b",
                        "tilestored [{sums} + {step}*1], tmm0",
                        "tilestored [{sums} + {step}*1 + 64], tmm1",
                        "tilestored [{sums} + {step}*1 + {panel_tile}], tmm2",
                        "tilestored [{sums} + {step}*1 + {panel_tile} + 64], tmm3",
                        segment = inout(reg) segments.as_ptr() => _,
                        segments = inout(reg) segments.len() => _,
                        upper = out(reg) _,
                        lower = out(reg) _,
                        stride = out(reg) _,
                        weights = out(reg) _,
                        tiles = out(reg) _,
                        step = in(reg) size_of::<KStep>(),
                        sums = in(reg) sums.as_mut_ptr(),
                        panel_tile = const TILE * size_of::<KStep>(),
                        tiles_per_round = const $tiles,
                        size = const size_of::<Segment>(),
                        out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                        out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                        options(nostack),
                    );
                }
            }

            unsafe fn one(_: &Tiles, segments: &[Segment], Sums(sums): &mut Sums) {
                if segments.is_empty() {
                    return sums.as_flattened_mut().fill(0);
                }
                // SAFETY: as above, for the upper tiles.
                unsafe {
                    asm!(
                        "tilezero tmm0",
                        "tilezero tmm1",
                        "2:",
                        "mov {upper}, [{segment}]",
                        "mov {stride}, [{segment} + 16]",
                        "mov {weights}, [{segment} + 24]",
                        "mov {tiles}, [{segment} + 32]",
                        "3:",
                        $($one,)+
                        "add {upper}, {tiles_per_round} * 64",
                        "add {weights}, {tiles_per_round} * {panel_tile}",
                        "sub {tiles}, {tiles_per_round}",
                        "jnz 3b",
                        "add {segment}, {size}",
                        "dec {segments}",
                        "jnz 2b",
                        "tilestored [{sums} + {step}*1], tmm0",
                        "tilestored [{sums} + {step}*1 + 64], tmm1",
                        segment = inout(reg) segments.as_ptr() => _,
                        segments = inout(reg) segments.len() => _,
                        upper = out(reg) _,
                        stride = out(reg) _,
                        weights = out(reg) _,
                        tiles = out(reg) _,
                        step = in(reg) size_of::<KStep>(),
                        sums = in(reg) sums.as_mut_ptr(),
                        panel_tile = const TILE * size_of::<KStep>(),
                        tiles_per_round = const $tiles,
                        size = const size_of::<Segment>(),
                        out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                        out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                        options(nostack),
                    );
                }
            }
        }
    };
}

/// One product per tile of rows and of weights.
macro_rules! plain_tile_dot {
    ($(#[$doc:meta])* $name:ident: $dot:literal) => {
        tile_dot! {
            $(#[$doc])*
            $name, tiles: 1,
            two: [
                "tileloadd tmm6, [{weights} + {step}*1]",
                "tileloadd tmm4, [{upper} + {stride}*1]",
                "tileloadd tmm7, [{weights} + {step}*1 + 64]",
                concat!($dot, " tmm0, tmm4, tmm6"),
                "tileloadd tmm5, [{lower} + {stride}*1]",
                concat!($dot, " tmm1, tmm4, tmm7"),
                concat!($dot, " tmm2, tmm5, tmm6"),
                concat!($dot, " tmm3, tmm5, tmm7"),
            ],
            one: [
                "tileloadd tmm6, [{weights} + {step}*1]",
                "tileloadd tmm4, [{upper} + {stride}*1]",
                "tileloadd tmm7, [{weights} + {step}*1 + 64]",
                concat!($dot, " tmm0, tmm4, tmm6"),
                concat!($dot, " tmm1, tmm4, tmm7"),
            ]
        }
    };
}

plain_tile_dot! {
    /// Two bf16 per word, summed in f32.
    Bf16TileDot: "tdpbf16ps"
}

plain_tile_dot! {
    /// Four bytes per word, unsigned in the input and signed in the weights, summed in i32.
    Int8TileDot: "tdpbusd"
}

tile_dot! {
    /// Sums of two bf16, with a tile of high terms before one of low terms: the four products of
    /// terms, in an order that changes either the rows or the weights between one product and the
    /// next. The order is the same for one tile of rows, so that a row's bits do not depend on the
    /// other rows.
    Bf16x2TileDot, tiles: 2,
    two: [
        "tileloadd tmm6, [{weights} + {step}*1 + {panel_tile}]",
        "tileloadd tmm4, [{upper} + {stride}*1 + 64]",
        "tileloadd tmm7, [{weights} + {step}*1 + {panel_tile} + 64]",
        "tdpbf16ps tmm0, tmm4, tmm6",
        "tileloadd tmm5, [{lower} + {stride}*1 + 64]",
        "tdpbf16ps tmm1, tmm4, tmm7",
        "tileloadd tmm4, [{upper} + {stride}*1]",
        "tdpbf16ps tmm2, tmm5, tmm6",
        "tdpbf16ps tmm3, tmm5, tmm7",
        "tileloadd tmm5, [{lower} + {stride}*1]",
        "tdpbf16ps tmm0, tmm4, tmm6",
        "tdpbf16ps tmm2, tmm5, tmm6",
        "tileloadd tmm6, [{weights} + {step}*1]",
        "tdpbf16ps tmm1, tmm4, tmm7",
        "tdpbf16ps tmm3, tmm5, tmm7",
        "tileloadd tmm7, [{weights} + {step}*1 + 64]",
        "tdpbf16ps tmm0, tmm4, tmm6",
        "tdpbf16ps tmm1, tmm4, tmm7",
        "tileloadd tmm4, [{upper} + {stride}*1 + 64]",
        "tdpbf16ps tmm2, tmm5, tmm6",
        "tdpbf16ps tmm3, tmm5, tmm7",
        "tileloadd tmm5, [{lower} + {stride}*1 + 64]",
        "tdpbf16ps tmm0, tmm4, tmm6",
        "tdpbf16ps tmm1, tmm4, tmm7",
        "tdpbf16ps tmm2, tmm5, tmm6",
        "tdpbf16ps tmm3, tmm5, tmm7",
    ],
    one: [
        "tileloadd tmm6, [{weights} + {step}*1 + {panel_tile}]",
        "tileloadd tmm5, [{upper} + {stride}*1 + 64]",
        "tileloadd tmm7, [{weights} + {step}*1 + {panel_tile} + 64]",
        "tdpbf16ps tmm0, tmm5, tmm6",
        "tileloadd tmm4, [{upper} + {stride}*1]",
        "tdpbf16ps tmm1, tmm5, tmm7",
        "tdpbf16ps tmm0, tmm4, tmm6",
        "tileloadd tmm6, [{weights} + {step}*1]",
        "tdpbf16ps tmm1, tmm4, tmm7",
        "tileloadd tmm7, [{weights} + {step}*1 + 64]",
        "tdpbf16ps tmm0, tmm4, tmm6",
        "tdpbf16ps tmm1, tmm4, tmm7",
        "tdpbf16ps tmm0, tmm5, tmm6",
        "tdpbf16ps tmm1, tmm5, tmm7",
    ]
}
