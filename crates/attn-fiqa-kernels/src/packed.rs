//! A linear layer's weights laid out once for the product with AVX-512.
//!
//! The weights of 32 outputs lie together as `[input, 32 outputs]`: two registers
//! a step. A tile of up to 14 rows keeps its 28 sums in registers while it runs
//! down the inputs, so every loaded weight is used 14 times and every loaded
//! input 32 times.
//!
//! Each output is one chain of fused multiply–adds in the order of the inputs,
//! whatever tile its row falls into.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m512, __mmask16, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_mask_storeu_ps,
    _mm512_maskz_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps,
};

use crate::Isa;
#[cfg(target_arch = "x86_64")]
use crate::isa::Kind;

/// Values of one AVX-512 register.
const LANES: usize = 16;
/// Outputs of a panel: two registers.
const PANEL: usize = 2 * LANES;
/// Rows of a tile: 28 sums, two weights and one input fill the 32 registers. Seven
/// tiles make the 98 rows that the published networks are split into.
const TILE: usize = 14;
/// Inputs passed in one go: the panel's part, 64 KiB, and the tile's, 28 KiB, then
/// stay in the second- and first-level cache.
const DEPTH: usize = 512;

/// Weights `[output, input]` in panels of 32 outputs, the last one padded with zeros.
#[derive(Debug, Clone)]
pub struct PackedWeights {
    /// `[panel, input, 32 outputs]`.
    panels: Vec<f32>,
    inputs: usize,
    outputs: usize,
    isa: Isa,
}

impl PackedWeights {
    /// Packs weights `[output, input]`; `None` on an instruction set without a
    /// kernel for them, where [`gemm`](crate::gemm) is the way.
    ///
    /// # Panics
    ///
    /// When `weight` is not whole rows of `inputs` values.
    pub fn new(isa: Isa, weight: &[f32], inputs: usize) -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if isa.0 == Kind::Avx512 {
            let outputs = weight.len() / inputs;
            assert_eq!(outputs * inputs, weight.len(), "a weight is not whole rows");
            let mut panels = vec![0.0; outputs.div_ceil(PANEL) * PANEL * inputs];
            for (output, row) in weight.chunks_exact(inputs).enumerate() {
                let panel = &mut panels[output / PANEL * PANEL * inputs..][..PANEL * inputs];
                for (step, &value) in panel.chunks_exact_mut(PANEL).zip(row) {
                    step[output % PANEL] = value;
                }
            }
            return Some(Self { panels, inputs, outputs, isa });
        }
        let _ = (isa, weight, inputs);
        None
    }

    /// The weights of one output, `[input]`.
    ///
    /// # Panics
    ///
    /// When there is no such output.
    pub fn row(&self, output: usize) -> Vec<f32> {
        assert!(output < self.outputs, "output {output} of {}", self.outputs);
        let panel = &self.panels[output / PANEL * PANEL * self.inputs..][..PANEL * self.inputs];
        panel.chunks_exact(PANEL).map(|step| step[output % PANEL]).collect()
    }

    /// `out += x · weightᵀ`; `x` is `[row, input]`, `out` `[row, output]`.
    ///
    /// # Panics
    ///
    /// When `x` and `out` are not the same number of whole rows.
    pub fn multiply_add(&self, x: &[f32], out: &mut [f32]) {
        let rows = x.len() / self.inputs;
        assert_eq!(rows * self.inputs, x.len(), "x is not whole rows");
        assert_eq!(rows * self.outputs, out.len(), "out has another number of rows than x");
        #[cfg(target_arch = "x86_64")]
        if self.isa.0 == Kind::Avx512 {
            // SAFETY: an `Isa` of this kind exists only where AVX-512F was detected.
            unsafe { self.multiply_add_avx512(x, out) };
            return;
        }
        unreachable!("packed weights exist only for AVX-512: this is a bug");
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    fn multiply_add_avx512(&self, x: &[f32], out: &mut [f32]) {
        let (inputs, outputs) = (self.inputs, self.outputs);
        let rows = x.len() / inputs;
        for from in (0..inputs).step_by(DEPTH) {
            let depth = DEPTH.min(inputs - from);
            for (panel, weights) in self.panels.chunks_exact(PANEL * inputs).enumerate() {
                let weights = &weights[from * PANEL..(from + depth) * PANEL];
                let first_output = panel * PANEL;
                for first_row in (0..rows).step_by(TILE) {
                    let tile = Tile {
                        x: &x[first_row * inputs + from..],
                        x_stride: inputs,
                        out: &mut out[first_row * outputs + first_output..],
                        out_stride: outputs,
                        width: PANEL.min(outputs - first_output),
                    };
                    tile.run(weights, TILE.min(rows - first_row));
                }
            }
        }
    }
}

/// Some rows of `x` and the part of `out` that they give with one panel.
#[cfg(target_arch = "x86_64")]
struct Tile<'a> {
    x: &'a [f32],
    x_stride: usize,
    out: &'a mut [f32],
    out_stride: usize,
    /// Outputs of the panel that exist, 1 to 32.
    width: usize,
}

#[cfg(target_arch = "x86_64")]
impl Tile<'_> {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn run(self, weights: &[f32], rows: usize) {
        match rows {
            14 => self.run_rows::<14>(weights),
            13 => self.run_rows::<13>(weights),
            12 => self.run_rows::<12>(weights),
            11 => self.run_rows::<11>(weights),
            10 => self.run_rows::<10>(weights),
            9 => self.run_rows::<9>(weights),
            8 => self.run_rows::<8>(weights),
            7 => self.run_rows::<7>(weights),
            6 => self.run_rows::<6>(weights),
            5 => self.run_rows::<5>(weights),
            4 => self.run_rows::<4>(weights),
            3 => self.run_rows::<3>(weights),
            2 => self.run_rows::<2>(weights),
            1 => self.run_rows::<1>(weights),
            _ => unreachable!("a tile of {rows} rows: this is a bug"),
        }
    }

    #[target_feature(enable = "avx512f")]
    fn run_rows<const ROWS: usize>(self, weights: &[f32]) {
        let depth = weights.len() / PANEL;
        assert!(self.x.len() >= (ROWS - 1) * self.x_stride + depth, "rows end behind x");
        assert!(self.out.len() >= (ROWS - 1) * self.out_stride + self.width, "rows end behind out");
        let masks = [lane_mask(self.width), lane_mask(self.width.saturating_sub(LANES))];
        let (x, out) = (self.x.as_ptr(), self.out.as_mut_ptr());
        let mut sums: [[__m512; 2]; ROWS] = [[_mm512_setzero_ps(); 2]; ROWS];
        // SAFETY: by the assertions above, `row · stride + column` lies within
        // `x` for every column below `depth` and within `out` for every column
        // below `width`; masked lanes are neither read nor written, and where a
        // mask is empty the wrapping pointer is not dereferenced. `weights` holds
        // `depth` steps of `PANEL` values.
        unsafe {
            for (row, sums) in sums.iter_mut().enumerate() {
                for (half, sum) in sums.iter_mut().enumerate() {
                    let place = out.wrapping_add(row * self.out_stride + half * LANES);
                    *sum = _mm512_maskz_loadu_ps(masks[half], place);
                }
            }
            for step in 0..depth {
                let place = weights.as_ptr().add(step * PANEL);
                let (left, right) = (_mm512_loadu_ps(place), _mm512_loadu_ps(place.add(LANES)));
                for (row, sums) in sums.iter_mut().enumerate() {
                    let input = _mm512_set1_ps(*x.add(row * self.x_stride + step));
                    sums[0] = _mm512_fmadd_ps(input, left, sums[0]);
                    sums[1] = _mm512_fmadd_ps(input, right, sums[1]);
                }
            }
            for (row, sums) in sums.iter().enumerate() {
                for (half, &sum) in sums.iter().enumerate() {
                    let place = out.wrapping_add(row * self.out_stride + half * LANES);
                    _mm512_mask_storeu_ps(place, masks[half], sum);
                }
            }
        }
    }
}

/// A mask of the first `count` lanes.
#[cfg(target_arch = "x86_64")]
fn lane_mask(count: usize) -> __mmask16 {
    if count >= LANES { __mmask16::MAX } else { (1 << count) - 1 }
}
