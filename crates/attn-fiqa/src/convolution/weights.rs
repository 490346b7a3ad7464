//! The weights of a network, by name.

use attn_fiqa_kernels::{Isa, Precision};
use safetensors::{Dtype, SafeTensors};

/// Tensors of a safetensors file, and the instruction set and precision of the layers built from
/// them.
pub(crate) struct Weights<'a> {
    tensors: SafeTensors<'a>,
    isa: Isa,
    precision: Precision,
}

/// Weights that are not those of the network.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WeightsError {
    #[error("the weights cannot be read")]
    Unreadable(#[from] safetensors::SafeTensorError),
    #[error("the tensor '{name}' is {found}, expected f32 {expected:?}")]
    Unexpected { name: String, expected: Vec<usize>, found: String },
}

impl<'a> Weights<'a> {
    /// `precision` is that of the products; depthwise filters are always f32.
    pub(crate) fn parse(
        bytes: &'a [u8],
        isa: Isa,
        precision: Precision,
    ) -> Result<Self, WeightsError> {
        Ok(Self { tensors: SafeTensors::deserialize(bytes)?, isa, precision })
    }

    pub(super) fn isa(&self) -> Isa {
        self.isa
    }

    pub(super) fn precision(&self) -> Precision {
        self.precision
    }

    /// The values of an f32 tensor, row-major.
    pub(crate) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        let unexpected = |found| WeightsError::Unexpected {
            name: name.to_owned(),
            expected: shape.to_vec(),
            found,
        };
        let Ok(tensor) = self.tensors.tensor(name) else {
            return Err(unexpected("not there".to_owned()));
        };
        if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
            return Err(unexpected(format!("{:?} {:?}", tensor.dtype(), tensor.shape())));
        }
        let (numbers, _) = tensor.data().as_chunks::<4>();
        Ok(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }
}
