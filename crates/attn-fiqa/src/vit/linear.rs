//! A linear layer, `y = x·Wᵀ + b`.

use attn_fiqa_kernels::{Accumulate, Isa, Matrix, MatrixMut, PackedWeights, gemm};

pub(super) struct Linear {
    weight: Weight,
    bias: Option<Vec<f32>>,
    inputs: usize,
    outputs: usize,
}

enum Weight {
    /// Laid out once, where the machine has the kernel for it.
    Packed(PackedWeights),
    /// `[out, in]`, as checkpoints hold it: the matrix product packs it faster
    /// from there than from its transpose.
    Plain(Vec<f32>),
}

impl Linear {
    /// From a weight `[out, in]`, for the best instruction set here.
    pub(super) fn new(weight: Vec<f32>, bias: Option<Vec<f32>>, inputs: usize) -> Self {
        Self::for_isa(Isa::best(), weight, bias, inputs)
    }

    fn for_isa(isa: Isa, weight: Vec<f32>, bias: Option<Vec<f32>>, inputs: usize) -> Self {
        let outputs = weight.len() / inputs;
        assert_eq!(outputs * inputs, weight.len(), "a weight is not whole rows: this is a bug");
        let weight = match PackedWeights::new(isa, &weight, inputs) {
            Some(packed) => Weight::Packed(packed),
            None => Weight::Plain(weight),
        };
        Self { weight, bias, inputs, outputs }
    }

    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    /// The weights of the first `count` outputs, `[out, in]`.
    pub(super) fn first_rows(&self, count: usize) -> Vec<f32> {
        match &self.weight {
            Weight::Packed(packed) => (0..count).flat_map(|output| packed.row(output)).collect(),
            Weight::Plain(weight) => weight[..count * self.inputs].to_vec(),
        }
    }

    pub(super) fn bias(&self) -> Option<&[f32]> {
        self.bias.as_deref()
    }

    /// `out = x·Wᵀ + b`; `x` is `[row, in]` and `out` `[row, out]`.
    pub(super) fn forward(&self, x: &[f32], out: &mut [f32]) {
        match &self.bias {
            Some(bias) => {
                out.chunks_exact_mut(self.outputs).for_each(|row| row.copy_from_slice(bias));
            }
            None => out.fill(0.0),
        }
        self.multiply_add(x, out);
    }

    /// `out += x·Wᵀ + b`: the residual connection.
    pub(super) fn forward_add(&self, x: &[f32], out: &mut [f32]) {
        if let Some(bias) = &self.bias {
            for row in out.chunks_exact_mut(self.outputs) {
                row.iter_mut().zip(bias).for_each(|(out, bias)| *out += bias);
            }
        }
        self.multiply_add(x, out);
    }

    fn multiply_add(&self, x: &[f32], out: &mut [f32]) {
        match &self.weight {
            Weight::Packed(packed) => packed.multiply_add(x, out),
            Weight::Plain(weight) => {
                let rows = x.len() / self.inputs;
                gemm(
                    MatrixMut::contiguous(out, rows, self.outputs),
                    Matrix::contiguous(x, rows, self.inputs),
                    Matrix::contiguous(weight, self.outputs, self.inputs).transposed(),
                    1.0,
                    Accumulate::Add,
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_gives_the_same_layer() {
        let (inputs, outputs, rows) = (37, 41, 5);
        let value = |i: usize| ((i * 7919 % 1009) as f32 - 504.0) / 504.0;
        let weight: Vec<f32> = (0..inputs * outputs).map(value).collect();
        let bias: Vec<f32> = (0..outputs).map(|i| value(i + 3)).collect();
        let x: Vec<f32> = (0..rows * inputs).map(|i| value(i + 5)).collect();
        let residual: Vec<f32> = (0..rows * outputs).map(|i| value(i + 11)).collect();
        for isa in Isa::available() {
            for bias in [None, Some(bias.clone())] {
                let layer = Linear::for_isa(isa, weight.clone(), bias.clone(), inputs);
                assert_eq!(layer.first_rows(3), weight[..3 * inputs], "{}", isa.name());
                // What was there before must not show through.
                let mut plain = vec![f32::NAN; rows * outputs];
                layer.forward(&x, &mut plain);
                let mut added = residual.clone();
                layer.forward_add(&x, &mut added);
                for index in 0..rows * outputs {
                    let (row, output) = (index / outputs, index % outputs);
                    let products = (0..inputs).map(|i| {
                        f64::from(x[row * inputs + i]) * f64::from(weight[output * inputs + i])
                    });
                    let bias = bias.as_ref().map_or(0.0, |bias| f64::from(bias[output]));
                    let expected = bias + products.sum::<f64>();
                    assert!((f64::from(plain[index]) - expected).abs() < 1e-5, "{}", isa.name());
                    let expected = expected + f64::from(residual[index]);
                    assert!((f64::from(added[index]) - expected).abs() < 1e-5, "{}", isa.name());
                }
            }
        }
    }
}
