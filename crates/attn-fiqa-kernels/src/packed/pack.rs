//! Packs weights `[output, input]` into panels, and unpacks them.

use super::interleave::interleave;
use super::kernel::{self, Kernel};
use super::{KStep, NR, PackedWeights, Scratch, as_bits};
use crate::quantize::{
    BF16_PER_WORD, BYTES_PER_WORD, TERM_WORDS, bf16_terms_words, bf16_value, to_bf16,
    to_bf16_pairs, to_bf16_term_pairs, to_bf16_terms,
};
use crate::{Isa, Precision};

/// Maximum number of products of an unsigned and a signed byte whose sum always fits an i32.
const MOST_BYTE_INPUTS: usize = i32::MAX as usize / (255 * 127);
const LARGEST_BYTE: f32 = 127.0;

/// Quantizes one output's weights to signed bytes, four per word. Returns their scale and sum.
fn quantize_weights(row: &[f32], words: &mut [u32]) -> (f32, i32) {
    let largest = row.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    let scale = largest / LARGEST_BYTE;
    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    let mut sum = 0;
    for (word, quad) in words.iter_mut().zip(row.chunks(BYTES_PER_WORD)) {
        let mut packed = 0;
        for (i, &value) in quad.iter().enumerate() {
            let byte = (value * inverse).round() as i8;
            sum += i32::from(byte);
            packed |= u32::from(byte as u8) << (8 * i);
        }
        *word = packed;
    }
    (scale, sum)
}

/// The values of a word of two bf16.
fn bf16_values(word: u32) -> [f32; BF16_PER_WORD] {
    [bf16_value(word & 0xffff), bf16_value(word >> 16)]
}

impl PackedWeights {
    /// Packs weights `[output, input]` and a bias `[output]`; no bias means zeros.
    ///
    /// For [`Precision::Int8`], each output's weights are divided by their largest magnitude and
    /// rounded to −127…127.
    ///
    /// # Panics
    ///
    /// If `weight` does not consist of whole rows of `inputs` values, the bias is not one value per
    /// output, or int8 is requested with more than 66,311 inputs.
    pub fn new(
        isa: Isa,
        precision: Precision,
        weight: &[f32],
        bias: Option<&[f32]>,
        inputs: usize,
    ) -> Self {
        Self::for_kernel(isa, kernel::select(isa, precision), weight, bias, inputs)
    }

    /// Like [`Self::new`], for one kernel of `isa`.
    pub(super) fn for_kernel(
        isa: Isa,
        kernel: &'static dyn Kernel,
        weight: &[f32],
        bias: Option<&[f32]>,
        inputs: usize,
    ) -> Self {
        let outputs = weight.len() / inputs;
        assert_eq!(outputs * inputs, weight.len(), "a weight is not whole rows");
        assert!(
            bias.is_none_or(|bias| bias.len() == outputs),
            "a bias is not one value per output"
        );
        let mut packed = Self::empty_for(isa, kernel, inputs, outputs);
        if let Some(bias) = bias {
            packed.bias[..outputs].copy_from_slice(bias);
        }
        packed.pack_outputs(weight.chunks_exact(inputs));
        packed
    }

    /// Zero weights, to be packed later.
    pub(crate) fn empty(isa: Isa, precision: Precision, inputs: usize, outputs: usize) -> Self {
        Self::empty_for(isa, kernel::select(isa, precision), inputs, outputs)
    }

    /// Zero weights for a kernel of `isa`.
    pub(super) fn empty_for(
        isa: Isa,
        kernel: &'static dyn Kernel,
        inputs: usize,
        outputs: usize,
    ) -> Self {
        assert!(isa.features().contains_all(kernel.features()), "a kernel without its features");
        let precision = kernel.precision();
        let steps = match precision {
            Precision::F32 => inputs,
            Precision::Bf16x2 => bf16_terms_words(inputs),
            Precision::Bf16 => inputs.div_ceil(BF16_PER_WORD),
            Precision::Int8 => {
                assert!(inputs <= MOST_BYTE_INPUTS, "a sum of {inputs} products may overflow");
                inputs.div_ceil(BYTES_PER_WORD)
            }
        };
        let padded = outputs.next_multiple_of(NR);
        let bytes = if precision == Precision::Int8 { padded } else { 0 };
        Self {
            isa,
            kernel,
            precision,
            inputs,
            outputs,
            steps,
            panels: vec![KStep([0; NR]); padded / NR * steps],
            bias: vec![0.0; padded],
            scales: vec![0.0; bytes],
            weight_sums: vec![0; bytes],
        }
    }

    /// Packs all weights from `rows`, `[output][input]`.
    pub(crate) fn pack_outputs<'a>(&mut self, rows: impl Iterator<Item = &'a [f32]>) {
        let (precision, isa, inputs, steps) = (self.precision, self.isa, self.inputs, self.steps);
        let mut rows = rows.fuse();
        Scratch::with(|Scratch { words: scratch, .. }| {
            scratch.resize(NR * steps, 0);
            for panel in 0..self.outputs.div_ceil(NR) {
                let first = panel * NR;
                for (lane, words) in scratch.chunks_exact_mut(steps).enumerate() {
                    let Some(row) = rows.next() else {
                        words.fill(0);
                        continue;
                    };
                    match precision {
                        Precision::F32 => words.copy_from_slice(as_bits(row)),
                        Precision::Bf16x2 => to_bf16_terms(isa, row, inputs, words),
                        Precision::Bf16 => to_bf16(isa, row, inputs, words),
                        Precision::Int8 => {
                            let (scale, sum) = quantize_weights(row, words);
                            self.scales[first + lane] = scale;
                            self.weight_sums[first + lane] = sum;
                        }
                    }
                }
                interleave(isa, scratch, &mut self.panels[panel * steps..][..steps]);
            }
        });
    }

    /// Packs all weights from `rows`, `[input][output]`: the transpose of what
    /// [`Self::pack_outputs`] takes. Not for int8, whose scale is per output.
    pub(crate) fn pack_inputs<'a>(&mut self, mut rows: impl Iterator<Item = &'a [f32]>) {
        let (isa, steps) = (self.isa, self.steps);
        let pairs = matches!(self.precision, Precision::Bf16x2 | Precision::Bf16);
        for index in 0..steps {
            let Some(row) = rows.next() else { return };
            // With an odd number of inputs, the last high halves stay zero.
            let other = if pairs { rows.next() } else { None };
            for (panel, values) in row.chunks(NR).enumerate() {
                let zeros = &[0.0; NR][..values.len()];
                let other = other.map_or(zeros, |row| &row[panel * NR..][..values.len()]);
                let panel = &mut self.panels[panel * steps..][..steps];
                match self.precision {
                    Precision::F32 => {
                        panel[index].0[..values.len()].copy_from_slice(as_bits(values));
                    }
                    Precision::Bf16x2 => {
                        let place = index / TERM_WORDS * 2 * TERM_WORDS + index % TERM_WORDS;
                        let (high, low) = panel[place..].split_at_mut(TERM_WORDS);
                        let [high, low] = [&mut high[0], &mut low[0]];
                        let [high, low] = [high, low].map(|step| &mut step.0[..values.len()]);
                        to_bf16_term_pairs(isa, values, other, high, low);
                    }
                    Precision::Bf16 => {
                        to_bf16_pairs(isa, values, other, &mut panel[index].0[..values.len()]);
                    }
                    Precision::Int8 => {
                        unreachable!("bytes are packed by output: this is a bug")
                    }
                }
            }
        }
    }

    /// The weights of one output as they enter the product, `[input]`: exact for f32, rounded for
    /// the other precisions.
    ///
    /// # Panics
    ///
    /// If there is no such output.
    pub fn row(&self, output: usize) -> Vec<f32> {
        assert!(output < self.outputs, "output {output} of {}", self.outputs);
        let words = self.panel(output / NR).iter().map(|step| step.0[output % NR]);
        let mut row: Vec<f32> = match self.precision {
            Precision::F32 => words.map(f32::from_bits).collect(),
            Precision::Bf16x2 => {
                let terms: Vec<f32> = words.flat_map(bf16_values).collect();
                terms
                    .chunks_exact(2 * BF16_PER_WORD * TERM_WORDS)
                    .map(|group| group.split_at(BF16_PER_WORD * TERM_WORDS))
                    .flat_map(|(high, low)| high.iter().zip(low).map(|(high, low)| high + low))
                    .collect()
            }
            Precision::Bf16 => words.flat_map(bf16_values).collect(),
            Precision::Int8 => {
                let scale = self.scales[output];
                words.flat_map(|w| w.to_le_bytes().map(|b| f32::from(b as i8) * scale)).collect()
            }
        };
        row.truncate(self.inputs);
        row
    }
}
