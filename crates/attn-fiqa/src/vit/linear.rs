//! A linear layer, `y = x·Wᵀ + b`.

use attn_fiqa_kernels::{
    Accumulate, ColumnsMut, Epilogue, Isa, Matrix, MatrixMut, PackedInput, PackedWeights,
    Precision, gemm, relu6,
};

/// Minimum multiply–adds in a part of a product that another thread may take over: about ten
/// microseconds, ten times the cost of handing it over.
const SMALLEST_PART: usize = 4 << 20;
/// Maximum parts of a product: each part reads the whole input.
const MAX_PARTS: usize = 4;
/// Threads that a single image keeps busy without splitting products: an image has two chunks of
/// tokens.
const CHUNKS: usize = 2;

pub(super) enum Linear {
    /// Packed once, if the machine has the kernel for it.
    Packed(PackedWeights),
    /// As stored in the checkpoint: without such a kernel, the general matrix product packs it
    /// faster from there than from its transpose.
    Plain(Plain),
}

pub(super) struct Plain {
    /// `[out, in]`.
    weight: Vec<f32>,
    /// `[out]`; zeros if the checkpoint has none.
    bias: Vec<f32>,
    inputs: usize,
    isa: Isa,
}

impl Linear {
    /// Creates a layer from a weight `[out, in]`, packed for `isa`.
    pub(super) fn new(
        isa: Isa,
        precision: Precision,
        weight: Vec<f32>,
        bias: Option<Vec<f32>>,
        inputs: usize,
    ) -> Self {
        if isa.computes_in(precision) == Precision::F32 && !isa.has_packed_f32() {
            let bias = bias.unwrap_or_else(|| vec![0.0; weight.len() / inputs]);
            return Self::Plain(Plain { weight, bias, inputs, isa });
        }
        Self::Packed(PackedWeights::new(isa, precision, &weight, bias.as_deref(), inputs))
    }

    pub(super) fn outputs(&self) -> usize {
        match self {
            Self::Packed(packed) => packed.outputs(),
            Self::Plain(plain) => plain.bias.len(),
        }
    }

    /// The weights of the first `count` outputs, `[out, in]`, as used in the product: rounded if
    /// the precision of the layer is not f32.
    pub(super) fn first_rows(&self, count: usize) -> Vec<f32> {
        match self {
            Self::Packed(packed) => (0..count).flat_map(|output| packed.row(output)).collect(),
            Self::Plain(plain) => plain.weight[..count * plain.inputs].to_vec(),
        }
    }

    /// `[out]`; zeros if the checkpoint has none.
    pub(super) fn bias(&self) -> &[f32] {
        match self {
            Self::Packed(packed) => packed.bias(),
            Self::Plain(plain) => &plain.bias,
        }
    }

    /// `out = epilogue(x·Wᵀ + b)`; `x` is `[row, in]` and `out` `[row, out]`.
    pub(super) fn forward(&self, x: &[f32], out: &mut [f32], epilogue: Epilogue) {
        match self {
            Self::Packed(packed) => packed.with_input(x, |input| {
                let most = (x.len() * packed.outputs() / SMALLEST_PART).clamp(1, MAX_PARTS);
                let parts = rayon::current_num_threads().div_ceil(CHUNKS).min(most);
                multiply_in_parts(input, ColumnsMut::new(out, packed.outputs()), parts, epilogue);
            }),
            Self::Plain(plain) => plain.forward(x, out, epilogue),
        }
    }
}

/// Splits a product between idle threads by panels of outputs. The sum of every output is the same
/// whatever the split, so results are bit for bit identical.
fn multiply_in_parts(
    input: PackedInput<'_>,
    out: ColumnsMut<'_>,
    parts: usize,
    epilogue: Epilogue,
) {
    let columns = out.columns();
    let panels = columns.len().div_ceil(PackedWeights::PANEL);
    if parts.min(panels) < 2 {
        return input.multiply(out, epilogue);
    }
    let first = parts / 2;
    let (left, right) =
        out.split_at(columns.start + (panels * first / parts).max(1) * PackedWeights::PANEL);
    rayon::join(
        || multiply_in_parts(input, left, first, epilogue),
        || multiply_in_parts(input, right, parts - first, epilogue),
    );
}

impl Plain {
    fn forward(&self, x: &[f32], out: &mut [f32], epilogue: Epilogue) {
        let (rows, outputs) = (x.len() / self.inputs, self.bias.len());
        for row in out.chunks_exact_mut(outputs) {
            match epilogue {
                Epilogue::Add | Epilogue::AddRelu => {
                    row.iter_mut().zip(&self.bias).for_each(|(out, b)| *out += b);
                }
                Epilogue::Overwrite | Epilogue::Relu | Epilogue::Relu6 => {
                    row.copy_from_slice(&self.bias)
                }
            }
        }
        gemm(
            self.isa,
            MatrixMut::contiguous(out, rows, outputs),
            Matrix::contiguous(x, rows, self.inputs),
            Matrix::contiguous(&self.weight, outputs, self.inputs).transposed(),
            1.0,
            Accumulate::Add,
        );
        match epilogue {
            Epilogue::Overwrite | Epilogue::Add => {}
            Epilogue::Relu | Epilogue::AddRelu => {
                out.iter_mut().filter(|out| **out < 0.0).for_each(|out| *out = 0.0);
            }
            Epilogue::Relu6 => relu6(self.isa, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_product_is_bit_identical_to_whole() {
        let (inputs, outputs, rows) = (257, 530, 98);
        let value = |i: usize| ((i * 7919 % 1009) as f32 - 504.0) / 504.0;
        let weight: Vec<f32> = (0..inputs * outputs).map(value).collect();
        let x: Vec<f32> = (0..rows * inputs).map(|i| value(i + 5)).collect();
        for isa in Isa::available().into_iter().filter(|isa| isa.has_packed_f32()) {
            for precision in Precision::ALL {
                let packed = PackedWeights::new(isa, precision, &weight, None, inputs);
                let mut whole = vec![f32::NAN; rows * outputs];
                packed.apply(&x, &mut whole, Epilogue::Relu6);
                let layer = Linear::Packed(packed);
                for threads in [3, 5, 8] {
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                    let mut parts = vec![f32::NAN; rows * outputs];
                    pool.expect("threads")
                        .install(|| layer.forward(&x, &mut parts, Epilogue::Relu6));
                    assert_eq!(whole, parts, "{threads}, {precision:?} on {}", isa.name());
                }
            }
        }
    }

    #[test]
    fn linear_matches_naive_on_every_instruction_set() {
        let (inputs, outputs, rows) = (37, 41, 5);
        let value = |i: usize| ((i * 7919 % 1009) as f32 - 504.0) / 504.0;
        let weight: Vec<f32> = (0..inputs * outputs).map(value).collect();
        let bias: Vec<f32> = (0..outputs).map(|i| value(i + 3)).collect();
        let x: Vec<f32> = (0..rows * inputs).map(|i| value(i + 5)).collect();
        let residual: Vec<f32> = (0..rows * outputs).map(|i| value(i + 11)).collect();
        for isa in Isa::available() {
            for bias in [None, Some(bias.clone())] {
                let layer = Linear::new(isa, Precision::F32, weight.clone(), bias.clone(), inputs);
                assert_eq!(layer.first_rows(3), weight[..3 * inputs], "{}", isa.name());
                assert_eq!(layer.bias(), bias.clone().unwrap_or(vec![0.0; outputs]));
                // Previous contents must not show through.
                let mut plain = vec![f32::NAN; rows * outputs];
                layer.forward(&x, &mut plain, Epilogue::Overwrite);
                let mut clipped = vec![f32::NAN; rows * outputs];
                layer.forward(&x, &mut clipped, Epilogue::Relu6);
                let mut added = residual.clone();
                layer.forward(&x, &mut added, Epilogue::Add);
                for index in 0..rows * outputs {
                    let (row, output) = (index / outputs, index % outputs);
                    let products = (0..inputs).map(|i| {
                        f64::from(x[row * inputs + i]) * f64::from(weight[output * inputs + i])
                    });
                    let bias = bias.as_ref().map_or(0.0, |bias| f64::from(bias[output]));
                    let expected = bias + products.sum::<f64>();
                    assert!((f64::from(plain[index]) - expected).abs() < 1e-5, "{}", isa.name());
                    let clip = expected.clamp(0.0, 6.0);
                    assert!((f64::from(clipped[index]) - clip).abs() < 1e-5, "{}", isa.name());
                    let expected = expected + f64::from(residual[index]);
                    assert!((f64::from(added[index]) - expected).abs() < 1e-5, "{}", isa.name());
                }
            }
        }
    }
}
