//! The AMX kernels: blocks of 32 rows and one panel of 32 outputs, in tile registers.
//!
//! Blocks are whole tiles. What does not fill them is copied to zero-padded buffers: the last rows
//! and the last K steps of all rows once, and the last K steps of each panel. Sums go through
//! memory to the epilogue of the other kernels, in AVX-512.

mod tiles;

use std::arch::x86_64::{__m512, __m512i, _mm512_sub_epi32};
use std::cell::RefCell;

use super::avx512::Avx512;
use super::epilogue::{Activation, dequantize, residual};
use super::kernel::{InputForm, Kernel, Product};
use super::simd::{FloatLanes, Simd};
use super::{KStep, NR, PackedWeights, Rows};
use crate::cpu_features::{CpuFeature, CpuFeatures};
use crate::matrix::ColumnsMut;
use crate::precision::{Epilogue, Precision};
use crate::quantize::QuantParams;
pub(crate) use tiles::Tiles;
use tiles::{BLOCK_ROWS, Bf16TileDot, Bf16x2TileDot, Int8TileDot, Segment, Sums, TILE, TileDot};

/// AVX-512 registers across a panel.
const REGISTERS: usize = NR / Avx512::LANES;
/// Bytes of a cache line.
const CACHE_LINE: usize = 64;

/// Declares a kernel by its tile product and the function that finishes its sums.
macro_rules! amx_kernel {
    (
        $(#[$doc:meta])*
        $kernel:ident: $precision:ident as $input:ident,
        name: $name:literal, feature: $feature:ident, dot: $dot:ty, finish: $finish:ident $(,)?
    ) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(super) struct $kernel;

        impl Kernel for $kernel {
            fn name(&self) -> &'static str {
                $name
            }

            fn precision(&self) -> Precision {
                Precision::$precision
            }

            fn input(&self) -> InputForm {
                InputForm::$input
            }

            fn features(&self) -> CpuFeatures {
                use CpuFeature::{AmxTile, Avx512f};
                const { CpuFeatures::of(&[Avx512f, AmxTile, CpuFeature::$feature]) }
            }

            fn tile(&self) -> [usize; 2] {
                [BLOCK_ROWS, NR]
            }

            unsafe fn run(&self, product: &Product<'_>, out: &mut ColumnsMut<'_>) {
                // SAFETY: by the contract.
                unsafe { multiply::<$dot>(product, out, $finish) };
            }
        }
    };
}

amx_kernel! {
    /// bf16x2 by tile products of bf16, four per product, summed in f32.
    Bf16x2: Bf16x2 as Bf16Terms,
    name: "avx512-amx bf16x2", feature: AmxBf16, dot: Bf16x2TileDot, finish: finish_f32,
}

amx_kernel! {
    /// bf16 by tile products, summed in f32.
    Bf16: Bf16 as Bf16,
    name: "avx512-amx bf16", feature: AmxBf16, dot: Bf16TileDot, finish: finish_f32,
}

amx_kernel! {
    /// int8 by tile products, summed in i32.
    Int8: Int8 as Bytes,
    name: "avx512-amx int8", feature: AmxInt8, dot: Int8TileDot, finish: finish_int8,
}

/// Where the sums of a block go.
struct Block<'a> {
    weights: &'a PackedWeights,
    /// For bytes only: one per row.
    params: &'a [QuantParams],
    rows: usize,
    /// The first output, within the weights.
    output: usize,
    /// Outputs that exist.
    outputs: usize,
    out: *mut f32,
    out_stride: usize,
    epilogue: Epilogue,
}

/// Multiplies block by block and passes the sums of each block to `finish`.
///
/// # Safety
///
/// As for [`Kernel::run`], with the features of `D`. `finish` may rely on every row and output of
/// the block lying within the operands.
unsafe fn multiply<D: TileDot>(
    product: &Product<'_>,
    out: &mut ColumnsMut<'_>,
    finish: unsafe fn(&Sums, &Block<'_>),
) {
    let &Product { weights, rows, epilogue } = product;
    let columns = out.columns();
    if rows.count == 0 || columns.is_empty() {
        return;
    }
    let leftover = TileRemainder::take(rows, weights.steps);
    let (whole_steps, rest_steps) = (weights.steps / TILE, weights.steps % TILE);
    let present = usize::from(whole_steps == 0)..1 + usize::from(rest_steps > 0);
    let blocks = rows.count.div_ceil(BLOCK_ROWS);
    let mut sums = Sums([[0; NR]; BLOCK_ROWS]);
    // SAFETY: by the contract; nothing below configures tiles.
    let tiles = unsafe { Tiles::configure() };
    for panel in columns.start / NR..columns.end.div_ceil(NR) {
        let steps = weights.panel(panel);
        let mut last_steps = [KStep([0; NR]); TILE];
        last_steps[..rest_steps].copy_from_slice(&steps[whole_steps * TILE..]);
        for first in (0..rows.count).step_by(BLOCK_ROWS) {
            let count = BLOCK_ROWS.min(rows.count - first);
            let segments = [
                leftover.whole_steps(rows, first, steps.as_ptr(), whole_steps),
                leftover.last_steps(first, last_steps.as_ptr()),
            ];
            prefetch_part(weights, panel + 1, [first / BLOCK_ROWS, blocks]);
            // SAFETY: by the contract; a segment's tiles lie within the rows or the leftover, and
            // within the panel or `last_steps`.
            unsafe {
                let segments = &segments[present.clone()];
                if count > TILE {
                    D::two(&tiles, segments, &mut sums);
                } else {
                    D::one(&tiles, segments, &mut sums);
                }
            }
            let output = panel * NR;
            let block = Block {
                weights,
                params: rows.params.get(first..first + count).unwrap_or_default(),
                rows: count,
                output,
                outputs: NR.min(columns.end - output),
                out: out.place(first, output),
                out_stride: out.stride(),
                epilogue,
            };
            // SAFETY: by the contract; the block lies within the operands.
            unsafe { finish(&sums, &block) };
        }
    }
    drop(tiles);
    leftover.release();
}

/// Rows and K steps that do not fill a tile, padded with zeros.
struct TileRemainder {
    words: Vec<u32>,
    /// Words of a row of the input.
    steps: usize,
    /// Rows of whole blocks, which are read in place.
    whole_rows: usize,
    /// K steps of whole tiles.
    whole_steps: usize,
    /// Where the last K steps of all rows begin in `words`, after the whole steps of the last rows.
    last_steps: usize,
}

thread_local! {
    /// One buffer per thread, so that nothing is allocated in the steady state.
    static WORDS: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
}

impl TileRemainder {
    fn take(rows: Rows<'_>, steps: usize) -> Self {
        let whole_rows = rows.count / BLOCK_ROWS * BLOCK_ROWS;
        let whole_steps = steps / TILE * TILE;
        let last_steps = (rows.count - whole_rows).next_multiple_of(TILE) * whole_steps;
        let padded = if whole_steps < steps { rows.count.next_multiple_of(TILE) * TILE } else { 0 };
        let mut words = WORDS.take();
        words.clear();
        words.resize(last_steps + padded, 0);
        let (whole, last) = words.split_at_mut(last_steps);
        let source = |row: usize| &rows.words[row * steps..][..steps];
        if whole_steps > 0 {
            for (row, words) in (whole_rows..rows.count).zip(whole.chunks_exact_mut(whole_steps)) {
                words.copy_from_slice(&source(row)[..whole_steps]);
            }
        }
        for (row, words) in (0..rows.count).zip(last.chunks_exact_mut(TILE)) {
            words[..steps - whole_steps].copy_from_slice(&source(row)[whole_steps..]);
        }
        Self { words, steps, whole_rows, whole_steps, last_steps }
    }

    fn release(self) {
        WORDS.set(self.words);
    }

    /// The whole tiles along K of the block at row `first`.
    fn whole_steps(
        &self,
        rows: Rows<'_>,
        first: usize,
        weights: *const KStep,
        tiles: usize,
    ) -> Segment {
        if first < self.whole_rows {
            let words = rows.words[first * self.steps..].as_ptr();
            Segment::new(words, self.steps, weights, tiles)
        } else {
            Segment::new(self.words.as_ptr(), self.whole_steps, weights, tiles)
        }
    }

    /// The last tile along K of the block at row `first`.
    fn last_steps(&self, first: usize, weights: *const KStep) -> Segment {
        let words = self.words.as_ptr().wrapping_add(self.last_steps + first * TILE);
        Segment::new(words, TILE, weights, 1)
    }
}

/// Prefetches one of `blocks` parts of a panel, so that its first block does not wait for memory.
fn prefetch_part(weights: &PackedWeights, panel: usize, [block, blocks]: [usize; 2]) {
    let Some(steps) = weights.panels.get(panel * weights.steps..).filter(|s| !s.is_empty()) else {
        return;
    };
    let bytes = weights.steps * size_of::<KStep>();
    let part = bytes.div_ceil(blocks).next_multiple_of(CACHE_LINE);
    let start = steps.as_ptr().cast::<u8>();
    for line in (block * part..bytes.min((block + 1) * part)).step_by(CACHE_LINE) {
        Avx512::prefetch(start.wrapping_add(line));
    }
}

/// # Safety
///
/// AVX-512F must have been detected, and the block must lie within the operands.
#[target_feature(enable = "avx512f")]
unsafe fn finish_f32(sums: &Sums, block: &Block<'_>) {
    // SAFETY: by the contract; the words of the sums are the f32 of the tiles.
    unsafe { block.store(sums, |_, _, sums| Avx512::as_f32(sums)) };
}

/// # Safety
///
/// That of [`finish_f32`], and the block must have parameters for its rows.
#[target_feature(enable = "avx512f")]
unsafe fn finish_int8(sums: &Sums, block: &Block<'_>) {
    let Block { weights, output, params, .. } = block;
    // SAFETY: by the contract; scales and weight sums hold whole panels.
    unsafe {
        block.store(sums, |row, register, sums| {
            let first = output + register * Avx512::LANES;
            let QuantParams { scale, zero_point } = *params.get_unchecked(row);
            let weight_sums = Avx512::load_words(weights.weight_sums.as_ptr().add(first).cast());
            let less = Avx512::mul_words(weight_sums, Avx512::splat_words(zero_point as u32));
            let scales =
                Avx512::load(weights.scales.as_ptr().add(first), Avx512::first(Avx512::LANES));
            dequantize::<Avx512>(_mm512_sub_epi32(sums, less), Avx512::splat(scale), scales)
        });
    }
}

impl Block<'_> {
    /// Applies the epilogue to `product(row, register, sums)` and stores it.
    ///
    /// # Safety
    ///
    /// That of [`finish_f32`], where this is inlined, and that of `product`.
    #[inline(always)]
    unsafe fn store(&self, sums: &Sums, product: impl Fn(usize, usize, __m512i) -> __m512) {
        // SAFETY: by the contract.
        unsafe {
            if self.epilogue.adds() {
                self.store_onto::<true>(sums, product);
            } else {
                self.store_onto::<false>(sums, product);
            }
        }
    }

    /// # Safety
    ///
    /// That of [`Self::store`]; `ADDS` must be that of the epilogue.
    #[inline(always)]
    unsafe fn store_onto<const ADDS: bool>(
        &self,
        Sums(sums): &Sums,
        product: impl Fn(usize, usize, __m512i) -> __m512,
    ) {
        // SAFETY: by the contract; the bias holds whole panels, and lanes beyond the outputs are
        // neither read nor written.
        unsafe {
            let activation = Activation::<Avx512>::new(self.epilogue);
            for register in 0..REGISTERS {
                let first = register * Avx512::LANES;
                let mask = Avx512::first(self.outputs.saturating_sub(first));
                let bias = Avx512::load(
                    self.weights.bias.as_ptr().add(self.output + first),
                    Avx512::first(Avx512::LANES),
                );
                for (row, sums) in sums.iter().enumerate().take(self.rows) {
                    let sums = Avx512::load_words(sums.as_ptr().add(first));
                    let place = self.out.wrapping_add(row * self.out_stride + first);
                    let sum = Avx512::add(product(row, register, sums), bias);
                    let sum = residual::<Avx512, ADDS>(place, mask, sum);
                    Avx512::store(place, mask, activation.apply(sum));
                }
            }
        }
    }
}
