//! The AVX-512 kernels: tiles of up to [`MR`] rows and one panel of [`NR`] outputs.
//!
//! A tile keeps its 28 accumulators in registers over all K steps, so every loaded weight is
//! used 14 times and every loaded input 32 times: 28 multiply–adds for 16 loads, which two
//! load ports hide. A row's sums run in the order of the inputs whatever its tile.

use std::arch::x86_64::*;

use super::{KStep, NR, PackedWeights, Rows};
use crate::lanes::{LANES, mask};
use crate::precision::Epilogue;
use crate::quantize::{BF16_PER_WORD, QuantParams};

/// Rows of a tile: 28 accumulators, two weights and one input fill the 32 registers. Seven
/// tiles are the 98 rows that the published networks are split into.
const MR: usize = 14;
/// K steps of f32 and bf16 per block: 64 KiB of a panel stay in the L2 cache and 28 KiB of a
/// tile's rows in the L1 cache.
const KC: usize = 512;
/// K steps between two prefetches.
const PREFETCH_STEPS: usize = 8;
/// Bytes of a cache line.
const CACHE_LINE: usize = 64;

/// The operands of one tile.
#[derive(Clone, Copy)]
struct Tile {
    /// The first row's first word of this block.
    x: *const u32,
    x_stride: usize,
    out: *mut f32,
    out_stride: usize,
    /// Masks of the panel's outputs that exist.
    masks: [__mmask16; 2],
    /// What to prefetch into the L2 cache meanwhile.
    ahead: Ahead,
}

/// The part of the next panel that one tile prefetches. Without it the first tile of a panel
/// would wait for memory at every K step.
#[derive(Clone, Copy)]
struct Ahead {
    next: *const KStep,
    /// Bytes to prefetch every [`PREFETCH_STEPS`].
    bytes: usize,
}

/// The loop shared by all precisions: `sums[row] = dot(sums[row], x[row], weights)` for every K
/// step. A macro, so that the sums stay in registers.
macro_rules! k_loop {
    ($tile:ident, $steps:ident, $sums:ident, $dot:expr) => {
        let mut ahead = $tile.ahead.next.cast::<i8>();
        for (group, steps) in $steps.chunks(PREFETCH_STEPS).enumerate() {
            for line in (0..$tile.ahead.bytes).step_by(CACHE_LINE) {
                _mm_prefetch::<_MM_HINT_T1>(ahead.wrapping_add(line));
            }
            ahead = ahead.wrapping_add($tile.ahead.bytes);
            for (step, KStep(weights)) in steps.iter().enumerate() {
                let step = group * PREFETCH_STEPS + step;
                let left = _mm512_load_si512(weights.as_ptr().cast());
                let right = _mm512_load_si512(weights.as_ptr().add(LANES).cast());
                for (row, sums) in $sums.iter_mut().enumerate() {
                    let input = _mm512_set1_epi32(*$tile.x.add(row * $tile.x_stride + step) as i32);
                    sums[0] = $dot(sums[0], input, left);
                    sums[1] = $dot(sums[1], input, right);
                }
            }
        }
    };
}

/// Calls `$run::<ROWS>` for a run-time number of rows.
macro_rules! for_rows {
    ($rows:expr, $run:ident($($arg:expr),*)) => {
        match $rows {
            14 => $run::<14>($($arg),*),
            13 => $run::<13>($($arg),*),
            12 => $run::<12>($($arg),*),
            11 => $run::<11>($($arg),*),
            10 => $run::<10>($($arg),*),
            9 => $run::<9>($($arg),*),
            8 => $run::<8>($($arg),*),
            7 => $run::<7>($($arg),*),
            6 => $run::<6>($($arg),*),
            5 => $run::<5>($($arg),*),
            4 => $run::<4>($($arg),*),
            3 => $run::<3>($($arg),*),
            2 => $run::<2>($($arg),*),
            1 => $run::<1>($($arg),*),
            rows => unreachable!("a tile of {rows} rows: this is a bug"),
        }
    };
}

/// A product with f32 sums, in blocks of `KC` steps; `out` holds the sums between blocks.
macro_rules! float_kernel {
    ($(#[$doc:meta])* $name:ident, $tile_name:ident, $features:literal, $dot:expr) => {
        $(#[$doc])*
        #[target_feature(enable = $features)]
        pub(super) fn $name(
            weights: &PackedWeights,
            rows: Rows<'_>,
            out: &mut [f32],
            epilogue: Epilogue,
        ) {
            check(weights, rows, out);
            for from in (0..weights.steps).step_by(KC) {
                let to = weights.steps.min(from + KC);
                let pass = Pass { first: from == 0, last: to == weights.steps, epilogue };
                for panel in 0..weights.bias.len() / NR {
                    let steps = &weights.panel(panel)[from..to];
                    let bias = &weights.bias[panel * NR..][..NR];
                    for first_row in (0..rows.count).step_by(MR) {
                        let ahead = Ahead::new(weights, [panel, from, to], [first_row, rows.count]);
                        let tile = Tile::new(weights, rows, out, [first_row, panel, from], ahead);
                        let count = MR.min(rows.count - first_row);
                        // SAFETY: `check` and `Tile::new` keep every row and output
                        // of the tile within `rows` and `out`.
                        unsafe { for_rows!(count, $tile_name(tile, steps, bias, pass)) };
                    }
                }
            }
        }

        /// # Safety
        ///
        /// `ROWS` rows of the words of `steps` must be readable at the tile's `x`, and
        /// as many rows of the masked outputs writable at its `out`; `bias` holds a
        /// panel.
        #[target_feature(enable = $features)]
        unsafe fn $tile_name<const ROWS: usize>(
            tile: Tile,
            steps: &[KStep],
            bias: &[f32],
            pass: Pass,
        ) {
            // SAFETY: by the contract above; masked lanes are neither read nor written.
            unsafe {
                let bias = [0, LANES].map(|from| _mm512_loadu_ps(bias.as_ptr().add(from)));
                let mut sums = [[_mm512_setzero_si512(); 2]; ROWS];
                for (row, sums) in sums.iter_mut().enumerate() {
                    for half in 0..2 {
                        let start = match (pass.first, pass.epilogue.adds()) {
                            (true, false) => bias[half],
                            (true, true) => _mm512_add_ps(tile.load(row, half), bias[half]),
                            (false, _) => tile.load(row, half),
                        };
                        sums[half] = _mm512_castps_si512(start);
                    }
                }
                k_loop!(tile, steps, sums, $dot);
                for (row, sums) in sums.iter().enumerate() {
                    for half in 0..2 {
                        let mut sum = _mm512_castsi512_ps(sums[half]);
                        if pass.last {
                            sum = activate(sum, pass.epilogue);
                        }
                        tile.store(row, half, sum);
                    }
                }
            }
        }
    };
}

/// The position of a block among the K steps.
#[derive(Clone, Copy)]
struct Pass {
    first: bool,
    last: bool,
    epilogue: Epilogue,
}

float_kernel! {
    /// f32 by fused multiply–adds.
    multiply_f32, tile_f32, "avx512f",
    |sum, x, weight| _mm512_castps_si512(_mm512_fmadd_ps(
        _mm512_castsi512_ps(x), _mm512_castsi512_ps(weight), _mm512_castsi512_ps(sum),
    ))
}

float_kernel! {
    /// bf16 by dot products of two, summed in f32.
    multiply_bf16, tile_bf16, "avx512f,avx512bf16",
    |sum, x: __m512i, weight: __m512i| _mm512_castps_si512(_mm512_dpbf16_ps(
        _mm512_castsi512_ps(sum), as_bf16(x), as_bf16(weight),
    ))
}

/// [`super::widen()`] by intrinsics: in some builds the compiler gathers and scatters single
/// words instead, which costs a fifth of the product's time.
#[target_feature(enable = "avx512f")]
fn widen<'a>(steps: &[KStep], wide: &'a mut [KStep]) -> &'a [KStep] {
    let wide = &mut wide[..BF16_PER_WORD * steps.len()];
    let (pairs, _) = wide.as_chunks_mut::<BF16_PER_WORD>();
    for (KStep(words), [low, high]) in steps.iter().zip(pairs) {
        for first in (0..NR).step_by(LANES) {
            // SAFETY: `first` and the LANES words from there lie within the step's NR.
            unsafe {
                let both = _mm512_loadu_si512(words.as_ptr().add(first).cast());
                let upper = _mm512_and_si512(both, _mm512_set1_epi32(0xffff_0000_u32 as i32));
                _mm512_storeu_si512(
                    low.0.as_mut_ptr().add(first).cast(),
                    _mm512_slli_epi32(both, 16),
                );
                _mm512_storeu_si512(high.0.as_mut_ptr().add(first).cast(), upper);
            }
        }
    }
    wide
}

/// bf16 by fused multiply–adds of f32: a block of a panel is widened once for all rows.
#[target_feature(enable = "avx512f")]
pub(super) fn multiply_bf16_widened(
    weights: &PackedWeights,
    rows: Rows<'_>,
    out: &mut [f32],
    epilogue: Epilogue,
) {
    check(weights, rows, out);
    let mut wide = [KStep([0; NR]); KC];
    for from in (0..weights.steps).step_by(KC / BF16_PER_WORD) {
        let to = weights.steps.min(from + KC / BF16_PER_WORD);
        let pass = Pass { first: from == 0, last: to == weights.steps, epilogue };
        for panel in 0..weights.bias.len() / NR {
            let wide = widen(&weights.panel(panel)[from..to], &mut wide);
            let bias = &weights.bias[panel * NR..][..NR];
            for first_row in (0..rows.count).step_by(MR) {
                let ahead = Ahead::new(weights, [panel, from, to], [first_row, rows.count]);
                let tile = Tile::new(weights, rows, out, [first_row, panel, from], ahead);
                let count = MR.min(rows.count - first_row);
                // SAFETY: `check` and `Tile::new` keep every row and output of the tile
                // within `rows` and `out`.
                unsafe { for_rows!(count, tile_f32(tile, wide, bias, pass)) };
            }
        }
    }
}

/// int8 by dot products of four, summed in i32 over all K steps at once.
#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) fn multiply_int8(
    weights: &PackedWeights,
    rows: Rows<'_>,
    out: &mut [f32],
    epilogue: Epilogue,
) {
    check(weights, rows, out);
    assert_eq!(rows.params.len(), rows.count, "one set of parameters per row: this is a bug");
    for panel in 0..weights.bias.len() / NR {
        for first_row in (0..rows.count).step_by(MR) {
            let ahead = Ahead::new(weights, [panel, 0, weights.steps], [first_row, rows.count]);
            let tile = Tile::new(weights, rows, out, [first_row, panel, 0], ahead);
            let count = MR.min(rows.count - first_row);
            let params = &rows.params[first_row..][..count];
            let limits = limits(epilogue);
            // SAFETY: `check` and `Tile::new` keep every row and output of the tile
            // within `rows` and `out`, and there is a scale for every row.
            unsafe {
                if epilogue.adds() {
                    for_rows!(count, tile_int8_adding(tile, weights, panel, params, limits));
                } else {
                    for_rows!(count, tile_int8_replacing(tile, weights, panel, params, limits));
                }
            }
        }
    }
}

macro_rules! tile_int8 {
    ($name:ident, $adds:literal) => {
        /// # Safety
        ///
        /// `ROWS` rows of all steps must be readable at the tile's `x`, as many rows of the
        /// masked outputs writable at its `out`, and `params` must hold `ROWS` values.
        #[target_feature(enable = "avx512f,avx512vnni")]
        unsafe fn $name<const ROWS: usize>(
            tile: Tile,
            weights: &PackedWeights,
            panel: usize,
            params: &[QuantParams],
            limits: [f32; 2],
        ) {
            let steps = weights.panel(panel);
            let halves = [0, LANES].map(|half| panel * NR + half);
            // SAFETY: by the contract above; `bias`, `scales` and `weight_sums` hold whole
            // panels, and masked lanes are neither read nor written.
            unsafe {
                // The zero point is subtracted first, so that the sums stay in registers.
                let less = halves.map(|from| {
                    let sums = _mm512_loadu_si512(weights.weight_sums.as_ptr().add(from).cast());
                    _mm512_sub_epi32(_mm512_setzero_si512(), sums)
                });
                let mut sums = [[_mm512_setzero_si512(); 2]; ROWS];
                for (row, sums) in sums.iter_mut().enumerate() {
                    let zero_point = _mm512_set1_epi32(params.get_unchecked(row).zero_point);
                    *sums = less.map(|less| _mm512_mullo_epi32(less, zero_point));
                }
                k_loop!(tile, steps, sums, |sum, x, weight| _mm512_dpbusd_epi32(sum, x, weight));
                for half in 0..2 {
                    let bias = _mm512_loadu_ps(weights.bias.as_ptr().add(halves[half]));
                    let weight_scale = _mm512_loadu_ps(weights.scales.as_ptr().add(halves[half]));
                    for (row, sums) in sums.iter().enumerate() {
                        let scale = _mm512_set1_ps(params.get_unchecked(row).scale);
                        let factor = _mm512_mul_ps(scale, weight_scale);
                        let sum = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[half]), factor);
                        let mut sum = _mm512_add_ps(sum, bias);
                        if $adds {
                            sum = _mm512_add_ps(tile.load(row, half), sum);
                        }
                        // Of two operands these return the second where either is NaN.
                        let sum = _mm512_max_ps(_mm512_set1_ps(limits[0]), sum);
                        tile.store(row, half, _mm512_min_ps(_mm512_set1_ps(limits[1]), sum));
                    }
                }
            }
        }
    };
}

tile_int8!(tile_int8_replacing, false);
tile_int8!(tile_int8_adding, true);

/// The range that an epilogue clamps to: [`activate`] for int8 tiles, where a branch on the
/// epilogue would spill the sums.
fn limits(epilogue: Epilogue) -> [f32; 2] {
    match epilogue {
        Epilogue::Overwrite | Epilogue::Add => [f32::NEG_INFINITY, f32::INFINITY],
        Epilogue::Relu | Epilogue::AddRelu => [0.0, f32::INFINITY],
        Epilogue::Relu6 => [0.0, 6.0],
    }
}

impl Ahead {
    /// For the tile that begins at `row` of `rows` rows, in the K steps `from` to `to` of
    /// `panel`.
    fn new(
        weights: &PackedWeights,
        [panel, from, to]: [usize; 3],
        [row, rows]: [usize; 2],
    ) -> Self {
        let size = (to - from) * size_of::<KStep>();
        let tiles = rows.div_ceil(MR);
        let portion = size.div_ceil(tiles).next_multiple_of(CACHE_LINE);
        let groups = (to - from).div_ceil(PREFETCH_STEPS);
        let next = (panel + 1) * weights.steps + from;
        let there = next < weights.panels.len();
        Self {
            next: weights.panels.as_ptr().wrapping_add(next).wrapping_byte_add(row / MR * portion),
            bytes: if there { portion.div_ceil(groups).next_multiple_of(CACHE_LINE) } else { 0 },
        }
    }
}

impl Tile {
    /// The tile at `[first row, panel, first K step]`, all of which exist.
    fn new(
        weights: &PackedWeights,
        rows: Rows<'_>,
        out: &mut [f32],
        [row, panel, step]: [usize; 3],
        ahead: Ahead,
    ) -> Self {
        let (row_words, outputs) = (weights.row_words(), weights.outputs);
        let step_words = row_words / weights.steps;
        let width = NR.min(outputs - panel * NR);
        Self {
            x: rows.words[row * row_words + step * step_words..].as_ptr(),
            x_stride: row_words,
            out: out[row * outputs + panel * NR..].as_mut_ptr(),
            out_stride: outputs,
            masks: [mask(width), mask(width.saturating_sub(LANES))],
            ahead,
        }
    }

    /// # Safety
    ///
    /// The row's masked outputs must be readable.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn load(self, row: usize, half: usize) -> __m512 {
        let place = self.out.wrapping_add(row * self.out_stride + half * LANES);
        // SAFETY: by the contract; lanes outside the mask are not read.
        unsafe { _mm512_maskz_loadu_ps(self.masks[half], place) }
    }

    /// # Safety
    ///
    /// The row's masked outputs must be writable.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn store(self, row: usize, half: usize, values: __m512) {
        let place = self.out.wrapping_add(row * self.out_stride + half * LANES);
        // SAFETY: by the contract; lanes outside the mask are not written.
        unsafe { _mm512_mask_storeu_ps(place, self.masks[half], values) };
    }
}

/// The bounds that the pointers of every tile rely on.
fn check(weights: &PackedWeights, rows: Rows<'_>, out: &[f32]) {
    assert!(rows.words.len() >= rows.count * weights.row_words(), "rows exceed their words");
    assert!(out.len() >= rows.count * weights.outputs, "rows exceed out");
}

/// The activation of an epilogue. Of two operands these instructions return the second where
/// either is NaN.
#[inline]
#[target_feature(enable = "avx512f")]
fn activate(values: __m512, epilogue: Epilogue) -> __m512 {
    match epilogue {
        Epilogue::Overwrite | Epilogue::Add => values,
        Epilogue::Relu | Epilogue::AddRelu => _mm512_max_ps(_mm512_setzero_ps(), values),
        Epilogue::Relu6 => {
            _mm512_min_ps(_mm512_set1_ps(6.0), _mm512_max_ps(_mm512_setzero_ps(), values))
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn as_bf16(words: __m512i) -> __m512bh {
    // SAFETY: both are 512 bits without invalid patterns.
    unsafe { std::mem::transmute(words) }
}
