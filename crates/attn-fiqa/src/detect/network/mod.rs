//! The detector's network: one image in, named outputs out.

#[cfg(feature = "builtin-model")]
mod builtin;
#[cfg(feature = "onnx")]
mod onnx;
#[cfg(test)]
#[cfg(all(feature = "builtin-model", feature = "onnx"))]
mod tests;

use super::format::{InputPixels, InputSize, Output};
#[cfg(feature = "onnx")]
use super::input;
use crate::pixels::Image;

#[cfg(feature = "builtin-model")]
pub(super) use builtin::BuiltinNetwork;
#[cfg(feature = "onnx")]
pub(super) use onnx::OnnxNetwork;

/// The network and the runtime that runs it.
pub(super) enum Network {
    /// An ONNX file, run by `rten`.
    #[cfg(feature = "onnx")]
    Onnx(Box<OnnxNetwork>),
    /// The built-in weights, run by the layers of `convolution`.
    #[cfg(feature = "builtin-model")]
    Builtin(Box<BuiltinNetwork>),
}

impl Network {
    /// The input size, if the network accepts only one.
    pub(super) fn fixed_size(&self) -> Option<InputSize> {
        match *self {
            #[cfg(feature = "onnx")]
            Self::Onnx(ref network) => network.fixed_size(),
            #[cfg(feature = "builtin-model")]
            Self::Builtin(_) => None,
        }
    }

    /// Whether the weights are the built-in ones, in any format.
    pub(super) fn is_builtin(&self) -> bool {
        match *self {
            #[cfg(feature = "onnx")]
            Self::Onnx(ref network) => network.is_builtin(),
            #[cfg(feature = "builtin-model")]
            Self::Builtin(_) => true,
        }
    }

    /// Every output for an image in the top-left corner of an input of `size`, black elsewhere, or
    /// the runtime's error.
    pub(super) fn run(
        &self,
        image: &Image,
        size: InputSize,
        pixels: InputPixels,
    ) -> Result<Vec<Output>, String> {
        // Without the feature `onnx` or `builtin-model`, some of these are unused.
        let (_image, _size, _pixels) = (image, size, pixels);
        match *self {
            #[cfg(feature = "onnx")]
            Self::Onnx(ref network) => network.run(input::planes(_image, _size, _pixels), _size),
            #[cfg(feature = "builtin-model")]
            Self::Builtin(ref network) => Ok(network.run(_image, _size)),
        }
    }
}
