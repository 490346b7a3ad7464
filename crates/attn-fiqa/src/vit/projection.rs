//! A linear layer over all tokens of an image: many more inputs than outputs, one row per image.

use attn_fiqa_kernels::{Epilogue, Isa, PackedWeights, Precision};
use rayon::prelude::*;

/// Outputs that are computed together; each group is one task.
const GROUP: usize = 2 * PackedWeights::PANEL;
/// Inputs per block. A sum of a hundred thousand products in f32 would lose two digits, so the sums
/// of the blocks are added in f64.
const BLOCK: usize = 2048;

/// `y = (x·Wᵀ)·factor + offset`: a linear layer, and the batch norm or the bias after it.
pub(super) struct Projection {
    groups: Vec<Group>,
    inputs: usize,
    factor: Vec<f32>,
    offset: Vec<f32>,
}

/// The weights of some outputs, stored block by block in the order in which they are read.
struct Group {
    blocks: Vec<PackedWeights>,
}

impl Projection {
    /// Creates a projection from a weight `[out, in]`, and a factor and an offset per output.
    pub(super) fn new(isa: Isa, weight: Vec<f32>, factor: Vec<f32>, offset: Vec<f32>) -> Self {
        let inputs = weight.len() / factor.len();
        Self { groups: pack(isa, weight, inputs), inputs, factor, offset }
    }

    /// Vectors of many images, `[image][in]` to `[image][out]`: weights are read once for the whole
    /// batch, and the sums of each image run in the same order whatever the batch.
    pub(super) fn forward(&self, images: &[Vec<f32>]) -> Vec<Vec<f32>> {
        if images.is_empty() {
            return Vec::new();
        }
        // `[block, image, input of the block]`.
        let mut x = vec![0.0; images.len() * self.inputs];
        x.par_chunks_mut(images.len() * BLOCK).enumerate().for_each(|(block, x)| {
            let width = x.len() / images.len();
            for (x, image) in x.chunks_exact_mut(width).zip(images) {
                x.copy_from_slice(&image[block * BLOCK..][..width]);
            }
        });
        let sums: Vec<Vec<f64>> =
            self.groups.par_iter().map(|group| group.forward(&x, images.len())).collect();
        let output = |image: usize, output: usize| {
            let group = &sums[output / GROUP];
            let sum = group[image * (group.len() / images.len()) + output % GROUP];
            sum as f32 * self.factor[output] + self.offset[output]
        };
        let outputs = self.factor.len();
        (0..images.len())
            .map(|image| (0..outputs).map(|out| output(image, out)).collect())
            .collect()
    }
}

impl Group {
    /// `[image, output of the group]`.
    fn forward(&self, x: &[f32], images: usize) -> Vec<f64> {
        let outputs = self.blocks[0].outputs();
        let mut sums = vec![0.0f64; images * outputs];
        let mut part = vec![0.0; images * outputs];
        for (weights, x) in self.blocks.iter().zip(x.chunks(images * BLOCK)) {
            weights.apply(x, &mut part, Epilogue::Overwrite);
            sums.iter_mut().zip(&part).for_each(|(sum, &part)| *sum += f64::from(part));
        }
        sums
    }
}

/// Packs a weight `[out, in]`, last group first: packed rows are freed, so that the weight is not
/// held twice.
fn pack(isa: Isa, mut weight: Vec<f32>, inputs: usize) -> Vec<Group> {
    let outputs = weight.len() / inputs;
    let mut groups = Vec::with_capacity(outputs.div_ceil(GROUP));
    for first in (0..outputs).step_by(GROUP).rev() {
        let rows = &weight[first * inputs..];
        let blocks = (0..inputs).into_par_iter().step_by(BLOCK).map(|from| {
            let to = inputs.min(from + BLOCK);
            let rows = rows.chunks_exact(inputs).flat_map(|row| &row[from..to]);
            let block: Vec<f32> = rows.copied().collect();
            PackedWeights::new(isa, Precision::F32, &block, None, to - from)
        });
        groups.push(Group { blocks: blocks.collect() });
        weight.truncate(first * inputs);
        weight.shrink_to_fit();
    }
    groups.reverse();
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projection_matches_naive_on_every_instruction_set() {
        let value = |i: usize| ((i * 7919 % 1009) as f32 - 504.0) / 504.0;
        // Multiples of neither the group nor the block size.
        let (inputs, outputs, images) = (BLOCK + 37, GROUP + 21, 3);
        let weight: Vec<f32> = (0..inputs * outputs).map(value).collect();
        let factor: Vec<f32> = (0..outputs).map(|i| value(i + 11)).collect();
        let offset: Vec<f32> = (0..outputs).map(|i| value(i + 40)).collect();
        let row = |image: usize| (0..inputs).map(|i| value(i + 5 + image * inputs)).collect();
        let rows: Vec<Vec<f32>> = (0..images).map(row).collect();
        for isa in Isa::available() {
            let projection = Projection::new(isa, weight.clone(), factor.clone(), offset.clone());
            let together = projection.forward(&rows);
            for (row, found) in rows.iter().zip(&together) {
                let alone = projection.forward(std::slice::from_ref(row));
                assert_eq!(alone[0], *found, "{} alone", isa.name());
                for (output, found) in found.iter().enumerate() {
                    let weight = &weight[output * inputs..][..inputs];
                    let products =
                        row.iter().zip(weight).map(|(&x, &w)| f64::from(x) * f64::from(w));
                    let factor = f64::from(factor[output]);
                    let expected =
                        products.clone().sum::<f64>() * factor + f64::from(offset[output]);
                    // The possible effect of rounding each product and sum, which differs by
                    // instruction set.
                    let size = products.map(f64::abs).sum::<f64>() * factor.abs();
                    let error = (f64::from(*found) - expected).abs();
                    assert!(error < 3e-6 * size + 1e-6, "{}: {error} of {size}", isa.name());
                }
            }
            assert!(projection.forward(&[]).is_empty());
        }
    }
}
