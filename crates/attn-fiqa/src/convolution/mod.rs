//! The layers of the built-in convolutional networks.
//!
//! The blocks are those of `training/detector/network.py`, batch norms folded into the
//! convolutions before them: a [`Stem`] from an image's pixels, [`Separable`]
//! convolutions, which make up a [`Sequence`], and [`Pointwise`] ones. A linear layer is
//! a [`Pointwise`] on a map of one cell.
//!
//! Features lie `[row, column, channel]`, so that a cell's channels are one row of a
//! product with weights that are packed once (`PackedWeights`), and the lanes of a
//! register in a depthwise filter. A layer works through its output in bands of whole
//! rows, on the threads of the current pool; a separable one keeps what lies between its
//! two convolutions in the cache. Bands are cut by shape, and a cell's numbers do not
//! depend on its band, so that the answer depends on no number of threads.

mod features;
mod layers;
#[cfg(test)]
mod tests;
mod weights;

pub(crate) use features::FeatureMap;
pub(crate) use layers::{Pointwise, Separable, SeparableShape, Sequence, Stem};
pub(crate) use weights::{Weights, WeightsError};
