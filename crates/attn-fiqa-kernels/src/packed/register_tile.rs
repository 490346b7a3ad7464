//! The kernels whose sums stay in registers over a block of K steps (KC).
//!
//! One algorithm for every instruction set: a tile of up to MR rows and a few registers of outputs
//! is computed by `sums[row] = dot(sums[row], x[row], weights)` for every K step. Instruction sets
//! differ in their registers ([`Simd`]), precisions in one instruction ([`Dot`]). A row is summed
//! in the order of the inputs, whatever its tile.

use std::cell::RefCell;

use super::epilogue::{Activation, dequantize, residual};
use super::kernel::{Product, WIDENED_WORDS};
use super::simd::Simd;
use super::{KStep, NR, PackedWeights};
use crate::matrix::ColumnsMut;
use crate::precision::Epilogue;
use crate::quantize::QuantParams;

/// K steps between two prefetches.
const PREFETCH_STEPS: usize = 8;
/// Bytes of a cache line.
const CACHE_LINE: usize = 64;

/// The instruction in which precisions differ, on registers of `S`.
///
/// # Safety
///
/// That of [`Simd`].
pub(super) trait Dot<S: Simd>: Sized {
    /// What `dot` subtracts from each byte of the input.
    const BYTE_OFFSET: i32 = 0;

    /// The weights of one K step, as the instruction takes them.
    type Weights: Copy;

    /// Called once per K step, for all rows.
    unsafe fn prepare(weights: S::Words) -> Self::Weights;

    /// `sums + x · weights`, lane by lane; `x` is the same word in every lane.
    unsafe fn dot(sums: S::Words, x: S::Words, weights: Self::Weights) -> S::Words;

    /// Widens one K step into two, for kernels whose weights are widened. By default, two bf16
    /// become f32.
    #[inline(always)]
    unsafe fn widen(words: S::Words) -> [S::Words; WIDENED_WORDS] {
        // SAFETY: by the contract.
        unsafe { [S::lower_halves(words), S::upper_halves(words)] }
    }

    /// Adds the products of a tile's K steps, by default step by step.
    ///
    /// # Safety
    ///
    /// That of [`f32_tile`].
    #[inline(always)]
    unsafe fn accumulate<const ROWS: usize, const REGISTERS: usize>(
        tile: &Tile<'_>,
        sums: &mut [[S::Words; REGISTERS]; ROWS],
    ) {
        // SAFETY: by the contract.
        unsafe { k_loop::<S, Self, ROWS, REGISTERS>(tile, sums) }
    }
}

/// How a kernel divides a product into tiles.
#[derive(Clone, Copy)]
pub(super) struct Blocking {
    /// Rows of a tile: MR.
    pub(super) rows: usize,
    /// Outputs of a tile: the kernel's NR, which divides that of a panel.
    pub(super) outputs: usize,
    /// K steps after which the sums are stored in `out`: KC. `usize::MAX` if only after the last.
    pub(super) steps: usize,
}

/// The operands of one tile.
pub(super) struct Tile<'a> {
    weights: &'a PackedWeights,
    pub(super) steps: &'a [KStep],
    /// The tile's first output, within the weights.
    pub(super) output: usize,
    /// Outputs of the tile that exist.
    outputs: usize,
    /// For bytes only: one per row.
    params: &'a [QuantParams],
    /// The first word of the first row in this block.
    pub(super) x: *const u32,
    pub(super) x_stride: usize,
    out: *mut f32,
    out_stride: usize,
    epilogue: Epilogue,
    /// Whether this is the first block of K steps, and whether it is the last.
    first: bool,
    last: bool,
    ahead: PanelPrefetch,
}

/// The part of the next panel that one tile prefetches. Without it, the first tile of a panel would
/// wait for memory at every K step.
#[derive(Clone, Copy)]
struct PanelPrefetch {
    next: *const u8,
    /// Bytes to prefetch every [`PREFETCH_STEPS`] steps.
    bytes: usize,
}

thread_local! {
    /// A widened block of a panel, one per thread, so that nothing is allocated in the steady
    /// state.
    static WIDE: RefCell<Vec<KStep>> = const { RefCell::new(Vec::new()) };
}

/// Calls `run(rows, tile)` for every tile of a product.
///
/// # Safety
///
/// That of [`Simd`], and [`Product::check`] must have passed. `run` may rely on every row and
/// output of the tile lying within the operands.
#[inline(always)]
pub(super) unsafe fn for_every_tile<S: Simd, D: Dot<S>>(
    product: &Product<'_>,
    out: &mut ColumnsMut<'_>,
    blocking: Blocking,
    run: impl Fn(usize, &Tile<'_>),
) {
    let &Product { weights, rows, epilogue } = product;
    let (per_step, row_words) = (weights.kernel.input().words_per_step(), weights.row_words());
    let columns = out.columns();
    let block = (blocking.steps / per_step).min(weights.steps).max(1);
    // Taken and put back instead of borrowed: a closure would be compiled without the features.
    let mut wide = WIDE.take();
    let widens = per_step == WIDENED_WORDS;
    if widens && wide.len() < WIDENED_WORDS * block {
        wide.resize(WIDENED_WORDS * block, KStep([0; NR]));
    }
    for from in (0..weights.steps).step_by(block) {
        let to = weights.steps.min(from + block);
        for panel in columns.start / NR..columns.end.div_ceil(NR) {
            let mut steps = &weights.panel(panel)[from..to];
            if widens {
                // SAFETY: by the contract.
                steps = unsafe { widen::<S, D>(steps, &mut wide) };
            }
            for output in (panel * NR..(panel + 1) * NR).step_by(blocking.outputs) {
                if output >= columns.end {
                    break;
                }
                for row in (0..rows.count).step_by(blocking.rows) {
                    let count = blocking.rows.min(rows.count - row);
                    let params = rows.params.get(row..row + count).unwrap_or_default();
                    let tile = Tile {
                        weights,
                        steps,
                        output,
                        outputs: blocking.outputs.min(columns.end - output),
                        params,
                        x: rows.words[row * row_words + from * per_step..].as_ptr(),
                        x_stride: row_words,
                        out: out.place(row, output),
                        out_stride: out.stride(),
                        epilogue,
                        first: from == 0,
                        last: to == weights.steps,
                        ahead: PanelPrefetch::new(
                            weights,
                            [panel, from, to],
                            steps.len(),
                            [row / blocking.rows, rows.count.div_ceil(blocking.rows)],
                        ),
                    };
                    run(count, &tile);
                }
            }
        }
    }
    WIDE.set(wide);
}

impl PanelPrefetch {
    /// For one of `tiles` tiles over the K steps `from` to `to` of `panel`, which take `steps`
    /// steps of the loop.
    fn new(
        weights: &PackedWeights,
        [panel, from, to]: [usize; 3],
        steps: usize,
        [tile, tiles]: [usize; 2],
    ) -> Self {
        let portion = ((to - from) * size_of::<KStep>()).div_ceil(tiles);
        let portion = portion.next_multiple_of(CACHE_LINE);
        let groups = steps.div_ceil(PREFETCH_STEPS);
        let next = (panel + 1) * weights.steps + from;
        let there = next < weights.panels.len();
        Self {
            next: weights
                .panels
                .as_ptr()
                .wrapping_add(next)
                .cast::<u8>()
                .wrapping_add(tile * portion),
            bytes: if there { portion.div_ceil(groups).next_multiple_of(CACHE_LINE) } else { 0 },
        }
    }

    /// Prefetches the share of the next [`PREFETCH_STEPS`] steps.
    #[inline(always)]
    fn prefetch<S: Simd>(&mut self) {
        for line in (0..self.bytes).step_by(CACHE_LINE) {
            S::prefetch(self.next.wrapping_add(line));
        }
        self.next = self.next.wrapping_add(self.bytes);
    }
}

/// Widens K steps to twice as many, at the front of `wide`. In some builds the compiler turns a
/// plain loop into gathers and scatters, which cost a fifth of the product's time.
///
/// # Safety
///
/// That of [`Simd`].
#[inline(always)]
unsafe fn widen<'a, S: Simd, D: Dot<S>>(steps: &[KStep], wide: &'a mut [KStep]) -> &'a [KStep] {
    let wide = &mut wide[..WIDENED_WORDS * steps.len()];
    let (pairs, _) = wide.as_chunks_mut::<WIDENED_WORDS>();
    for (KStep(words), [one, other]) in steps.iter().zip(pairs) {
        for first in (0..NR).step_by(S::LANES) {
            // SAFETY: by the contract; `first` and the lanes from there lie within the step.
            unsafe {
                let widened = D::widen(S::load_words(words.as_ptr().add(first)));
                S::store_words(one.0.as_mut_ptr().add(first), widened[0]);
                S::store_words(other.0.as_mut_ptr().add(first), widened[1]);
            }
        }
    }
    wide
}

/// `sums[row] = dot(sums[row], x[row], weights)` for every K step of a tile.
///
/// # Safety
///
/// That of [`f32_tile`].
#[inline(always)]
unsafe fn k_loop<S: Simd, D: Dot<S>, const ROWS: usize, const REGISTERS: usize>(
    tile: &Tile<'_>,
    sums: &mut [[S::Words; REGISTERS]; ROWS],
) {
    let mut ahead = tile.ahead;
    for (group, steps) in tile.steps.chunks(PREFETCH_STEPS).enumerate() {
        ahead.prefetch::<S>();
        for (step, weights) in steps.iter().enumerate() {
            let step = group * PREFETCH_STEPS + step;
            // SAFETY: by the contract.
            unsafe { add_products::<S, D, ROWS, REGISTERS, 1>(tile, sums, weights, [step]) };
        }
    }
}

/// Like [`k_loop`], for groups of K steps of high terms and equally many of low terms: adds the
/// four products of each value's terms and each weight's terms.
///
/// # Safety
///
/// That of [`f32_tile`], with an input in [`InputForm::Bf16Terms`](super::kernel::InputForm).
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) unsafe fn k_loop_bf16x2<
    S: Simd,
    D: Dot<S>,
    const ROWS: usize,
    const REGISTERS: usize,
>(
    tile: &Tile<'_>,
    sums: &mut [[S::Words; REGISTERS]; ROWS],
) {
    use crate::quantize::TERM_WORDS;

    const _: () = assert!(TERM_WORDS.is_multiple_of(PREFETCH_STEPS));
    let mut ahead = tile.ahead;
    for (group, steps) in tile.steps.chunks(PREFETCH_STEPS).enumerate() {
        ahead.prefetch::<S>();
        let first = group * PREFETCH_STEPS;
        // The high terms of the same values are in the first half of the group.
        let high = first / (2 * TERM_WORDS) * 2 * TERM_WORDS + first % TERM_WORDS;
        for (step, weights) in steps.iter().enumerate() {
            let inputs = [high + TERM_WORDS + step, high + step];
            // SAFETY: by the contract: the groups of the input are those of the weights.
            unsafe { add_products::<S, D, ROWS, REGISTERS, 2>(tile, sums, weights, inputs) };
        }
    }
}

/// `sums[row] = dot(sums[row], x[row], weights)` for the words `inputs` of each row.
///
/// # Safety
///
/// That of [`f32_tile`]; the words must lie within the rows.
#[inline(always)]
unsafe fn add_products<
    S: Simd,
    D: Dot<S>,
    const ROWS: usize,
    const REGISTERS: usize,
    const INPUTS: usize,
>(
    tile: &Tile<'_>,
    sums: &mut [[S::Words; REGISTERS]; ROWS],
    KStep(weights): &KStep,
    inputs: [usize; INPUTS],
) {
    let &Tile { x, x_stride, output, .. } = tile;
    let lane = output % NR;
    // SAFETY: by the contract, and the tile's lanes lie within a panel.
    unsafe {
        let words = |register| S::load_words(weights.as_ptr().add(lane + register * S::LANES));
        let mut weights = [D::prepare(words(0)); REGISTERS];
        for (register, weights) in weights.iter_mut().enumerate().skip(1) {
            *weights = D::prepare(words(register));
        }
        for (row, sums) in sums.iter_mut().enumerate() {
            for input in inputs {
                let input = S::splat_words(*x.add(row * x_stride + input));
                for (sums, weights) in sums.iter_mut().zip(weights) {
                    *sums = D::dot(*sums, input, weights);
                }
            }
        }
    }
}

/// A tile with f32 sums. With `AT_BIAS` they start from the bias and the residual, and `out` holds
/// them between blocks of K steps; otherwise they start from zero, and there must be one block.
///
/// # Safety
///
/// That of [`Simd`]. `ROWS` rows of the words of the tile's steps must be readable at its `x`, and
/// `ROWS` rows of its outputs readable and writable at its `out`; `ADDS` must be that of its
/// epilogue.
#[inline(always)]
pub(super) unsafe fn f32_tile<
    S: Simd,
    D: Dot<S>,
    const ROWS: usize,
    const REGISTERS: usize,
    const ADDS: bool,
    const AT_BIAS: bool,
>(
    tile: &Tile<'_>,
) {
    // SAFETY: by the contract; the bias holds whole panels, and lanes beyond the tile's outputs are
    // neither read nor written.
    unsafe {
        let TileColumns { bias, masks } = tile.edges::<S, REGISTERS>();
        let mut sums = [[S::splat_words(0); REGISTERS]; ROWS];
        if AT_BIAS {
            for (row, sums) in sums.iter_mut().enumerate() {
                for (register, sums) in sums.iter_mut().enumerate() {
                    let (place, mask) = (tile.place::<S>(row, register), masks[register]);
                    let start = if tile.first {
                        residual::<S, ADDS>(place, mask, bias[register])
                    } else {
                        S::load(place, mask)
                    };
                    *sums = S::as_words(start);
                }
            }
        }
        D::accumulate(tile, &mut sums);
        let activation = Activation::<S>::new(tile.epilogue);
        for (row, sums) in sums.iter().enumerate() {
            for (register, &sums) in sums.iter().enumerate() {
                let (place, mask) = (tile.place::<S>(row, register), masks[register]);
                let mut sum = S::as_f32(sums);
                if !AT_BIAS {
                    sum = residual::<S, ADDS>(place, mask, S::add(sum, bias[register]));
                }
                if tile.last {
                    sum = activation.apply(sum);
                }
                S::store(place, mask, sum);
            }
        }
    }
}

/// A tile with i32 sums over all K steps.
///
/// # Safety
///
/// That of [`f32_tile`], and the tile must have parameters for `ROWS` rows.
#[inline(always)]
pub(super) unsafe fn int8_tile<
    S: Simd,
    D: Dot<S>,
    const ROWS: usize,
    const REGISTERS: usize,
    const ADDS: bool,
>(
    tile: &Tile<'_>,
) {
    let &Tile { weights, output, params, .. } = tile;
    // SAFETY: by the contract; bias, scales and weight sums hold whole panels, and lanes beyond the
    // tile's outputs are neither read nor written.
    unsafe {
        // The zero point is subtracted first, so that the sums stay in registers.
        let mut less = [S::splat_words(0); REGISTERS];
        for (register, less) in less.iter_mut().enumerate() {
            let place = weights.weight_sums.as_ptr().add(output + register * S::LANES);
            *less = S::negate_words(S::load_words(place.cast()));
        }
        let mut sums = [[S::splat_words(0); REGISTERS]; ROWS];
        for (row, sums) in sums.iter_mut().enumerate() {
            let zero_point = params.get_unchecked(row).zero_point - D::BYTE_OFFSET;
            let zero_point = S::splat_words(zero_point as u32);
            for (sums, less) in sums.iter_mut().zip(less) {
                *sums = S::mul_words(less, zero_point);
            }
        }
        D::accumulate(tile, &mut sums);
        let mut scales = [S::splat(0.0); REGISTERS];
        for (register, scales) in scales.iter_mut().enumerate() {
            let place = weights.scales.as_ptr().add(output + register * S::LANES);
            *scales = S::load(place, S::first(S::LANES));
        }
        let TileColumns { bias, masks } = tile.edges::<S, REGISTERS>();
        let activation = Activation::<S>::new(tile.epilogue);
        // In two loops: the sums stay in registers only if the compiler unrolls every loop that
        // indexes them, and it does not unroll a single loop that does everything.
        for (row, sums) in sums.iter_mut().enumerate() {
            let row_scale = S::splat(params.get_unchecked(row).scale);
            for (register, sums) in sums.iter_mut().enumerate() {
                let product = dequantize::<S>(*sums, row_scale, scales[register]);
                *sums = S::as_words(S::add(product, bias[register]));
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            for (register, &sums) in sums.iter().enumerate() {
                let (place, mask) = (tile.place::<S>(row, register), masks[register]);
                let sum = residual::<S, ADDS>(place, mask, S::as_f32(sums));
                S::store(place, mask, activation.apply(sum));
            }
        }
    }
}

/// What a tile's rows share: the bias, and the outputs that exist.
struct TileColumns<S: Simd, const REGISTERS: usize> {
    bias: [S::F32; REGISTERS],
    masks: [S::Mask; REGISTERS],
}

impl Tile<'_> {
    /// Whether the epilogue adds to `out`.
    pub(super) fn adds(&self) -> bool {
        self.epilogue.adds()
    }

    /// Where a register of a row is stored.
    #[inline(always)]
    fn place<S: Simd>(&self, row: usize, register: usize) -> *mut f32 {
        self.out.wrapping_add(row * self.out_stride + register * S::LANES)
    }

    /// # Safety
    ///
    /// That of [`Simd`], and the registers must lie within a panel.
    #[inline(always)]
    unsafe fn edges<S: Simd, const REGISTERS: usize>(&self) -> TileColumns<S, REGISTERS> {
        // SAFETY: by the contract; the bias holds whole panels.
        unsafe {
            let mut edges =
                TileColumns { bias: [S::splat(0.0); REGISTERS], masks: [S::first(0); REGISTERS] };
            for register in 0..REGISTERS {
                let first = register * S::LANES;
                let place = self.weights.bias.as_ptr().add(self.output + first);
                edges.bias[register] = S::load(place, S::first(S::LANES));
                edges.masks[register] = S::first(self.outputs.saturating_sub(first));
            }
            edges
        }
    }
}

/// Declares a kernel whose sums stay in registers.
///
/// `rows` lists every number of rows that a tile may have, the largest first. `$sums` is the
/// function of this module that computes a tile; `at bias` is its constant after the number of
/// rows, the number of registers and `ADDS`.
macro_rules! register_kernel {
    (
        $(#[$doc:meta])*
        $kernel:ident: $precision:ident as $input:ident,
        name: $name:literal,
        features: [$($feature:ident),*], enabled by $enable:literal,
        tile: $sums:ident of $registers:literal registers of $simd:ty, dot: $dot:ty $(, at bias: $at_bias:literal)?,
        steps: $steps:expr,
        rows: [$max_rows:literal $(, $rows:literal)*] $(,)?
    ) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(super) struct $kernel;

        const _: () = {
            use $crate::cpu_features::{CpuFeature, CpuFeatures};
            use $crate::matrix::ColumnsMut;
            use $crate::packed::kernel::{InputForm, Kernel, Product};
            use $crate::packed::register_tile::{Blocking, Tile, for_every_tile, $sums};
            use $crate::packed::simd::Simd;
            use $crate::precision::Precision;

            const OUTPUTS: usize = $registers * <$simd as Simd>::LANES;

            /// # Safety
            ///
            /// That of the function that it compiles for the features.
            // Inlined into one large function with all the others, sums would be spilled.
            #[inline(never)]
            #[target_feature(enable = $enable)]
            unsafe fn tile<const ROWS: usize, const ADDS: bool>(tile: &Tile<'_>) {
                // SAFETY: by the contract.
                unsafe { $sums::<$simd, $dot, ROWS, $registers, ADDS $(, $at_bias)?>(tile) };
            }

            /// # Safety
            ///
            /// As for [`Kernel::run`].
            #[target_feature(enable = $enable)]
            unsafe fn run(product: &Product<'_>, out: &mut ColumnsMut<'_>) {
                let blocking = Blocking { rows: $max_rows, outputs: OUTPUTS, steps: $steps };
                // SAFETY: by the contract; `for_every_tile` keeps every tile within the operands
                // and passes its number of rows.
                unsafe {
                    for_every_tile::<$simd, $dot>(product, out, blocking, |rows, operands| {
                        match (rows, operands.adds()) {
                            ($max_rows, false) => tile::<$max_rows, false>(operands),
                            ($max_rows, true) => tile::<$max_rows, true>(operands),
                            $(
                                ($rows, false) => tile::<$rows, false>(operands),
                                ($rows, true) => tile::<$rows, true>(operands),
                            )*
                            (rows, _) => unreachable!("a tile of {rows} rows: this is a bug"),
                        }
                    });
                }
            }

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
                    const { CpuFeatures::of(&[$(CpuFeature::$feature),*]) }
                }

                fn tile(&self) -> [usize; 2] {
                    [$max_rows, OUTPUTS]
                }

                unsafe fn run(&self, product: &Product<'_>, out: &mut ColumnsMut<'_>) {
                    // SAFETY: by the contract.
                    unsafe { run(product, out) };
                }
            }
        };
    };
}
pub(super) use register_kernel;
