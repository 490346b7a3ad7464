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
    /// From a weight `[out, in]`.
    pub(super) fn new(weight: Vec<f32>, bias: Option<Vec<f32>>, inputs: usize) -> Self {
        let outputs = weight.len() / inputs;
        assert_eq!(outputs * inputs, weight.len(), "a weight is not whole rows: this is a bug");
        let weight = match PackedWeights::new(Isa::best(), &weight, inputs) {
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
