//! The detector's network: one image in, named outputs out.

#[cfg(feature = "builtin-model")]
mod builtin;
mod onnx;
#[cfg(test)]
mod tests;

use super::format::{InputPixels, InputSize, Output};
use super::input;
use crate::pixels::Image;

#[cfg(feature = "builtin-model")]
pub(super) use builtin::BuiltinNetwork;
pub(super) use onnx::OnnxNetwork;

/// Who does the arithmetic.
pub(super) enum Network {
    /// Somebody's file, by `rten`.
    Onnx(Box<OnnxNetwork>),
    /// The built-in weights, by our own layers.
    #[cfg(feature = "builtin-model")]
    Builtin(Box<BuiltinNetwork>),
}

impl Network {
    /// The only input size that the network takes, if there is such a one.
    pub(super) fn fixed_size(&self) -> Option<InputSize> {
        match self {
            Self::Onnx(network) => network.fixed_size(),
            #[cfg(feature = "builtin-model")]
            Self::Builtin(_) => None,
        }
    }

    /// Whether the weights are the built-in ones, whoever multiplies with them.
    pub(super) fn is_builtin(&self) -> bool {
        match self {
            Self::Onnx(network) => network.is_builtin(),
            #[cfg(feature = "builtin-model")]
            Self::Builtin(_) => true,
        }
    }

    /// Every output for an image in the upper left corner of an input of `size`, black
    /// elsewhere, or what the runtime says.
    pub(super) fn run(
        &self,
        image: &Image,
        size: InputSize,
        pixels: InputPixels,
    ) -> Result<Vec<Output>, String> {
        match self {
            Self::Onnx(network) => network.run(input::planes(image, size, pixels), size),
            #[cfg(feature = "builtin-model")]
            Self::Builtin(network) => Ok(network.run(image, size)),
        }
    }
}
