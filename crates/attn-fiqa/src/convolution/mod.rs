//! The layers of the built-in convolutional networks.
//!
//! The blocks are those of `training/detector/network.py`, with batch norms folded into the
//! preceding convolutions: a [`Stem`] on the pixels of an image, [`Separable`] convolutions, which
//! make up a [`Sequence`], and [`Pointwise`] ones. A linear layer is a [`Pointwise`] on a map of
//! one cell.
//!
//! Features are laid out `[row, column, channel]`: the channels of a cell are one row of a product
//! with weights packed once (`PackedWeights`), and the lanes of a register in a depthwise filter. A
//! layer computes its output in bands of whole rows, on the threads of the current pool; a
//! separable one keeps the values between its two convolutions in the cache. Bands depend only on
//! the shape, and the values of a cell do not depend on its band, so the results do not depend on
//! the number of threads.

mod features;
mod layers;
#[cfg(test)]
mod tests;
mod weights;

pub(crate) use features::FeatureMap;
pub(crate) use layers::{Pointwise, Separable, SeparableShape, Sequence, Stem};
pub(crate) use weights::{Weights, WeightsError};
