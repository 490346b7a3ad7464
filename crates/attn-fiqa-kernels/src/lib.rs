//! CPU arithmetic of attn-fiqa: slices in, slices out; no idea what a face is.
//!
//! 1. [`Isa`] says which instruction sets this machine has. A value of it is the
//!    proof that the check was made, so the kernels need no further one; it is chosen by
//!    the caller, passed to every kernel and governs all of them.
//! 2. [`gemm()`] multiplies matrices seen through [`Matrix`] and [`MatrixMut`].
//! 3. [`PackedWeights`] multiplies by weights that stay the same, in one of three
//!    [`Precision`]s, and finishes each sum before it is stored.
//! 4. [`attention`] mixes the tokens of one head.
//! 5. [`layer_norm()`], [`standardise`], [`softmax()`], [`relu6`] and [`gelu`] work on rows.
//! 6. [`matrix_vector`] and [`add_rows`] sum in f64, for what a score is read from.
//! 7. [`Depthwise`] filters each channel of [`Features`] on its own, and [`patches()`]
//!    makes an image's pixels the rows of a product. A convolution of 1×1 is
//!    [`PackedWeights::apply`] on the cells.
//! 8. [`add_levels`] sums an image's rows, for shrinking.
//!
//! # Invariant
//!
//! The row kernels and the filters give the same bits on every instruction set: sums run over a
//! fixed number of lanes in a fixed order, and no multiply–add is fused. A score
//! can therefore differ between machines only through [`gemm()`], the f32 and bf16
//! sums of [`PackedWeights`], and the softmax of an [`attention`] in bf16.

mod activation;
mod attention;
mod depthwise;
mod double;
mod features;
mod gemm;
mod isa;
#[cfg(target_arch = "x86_64")]
mod lanes;
mod layer_norm;
mod levels;
mod matrix;
mod packed;
mod patches;
mod peak;
mod precision;
mod quantize;
mod softmax;

pub use activation::{gelu, relu6};
pub use attention::{AttentionShape, attention};
pub use depthwise::Depthwise;
pub use double::{add_rows, matrix_vector};
pub use features::Features;
pub use gemm::{Accumulate, gemm};
pub use isa::{ISA_VARIABLE, Isa, IsaError};
pub use layer_norm::{layer_norm, standardise};
pub use levels::add_levels;
pub use matrix::{Matrix, MatrixMut};
pub use packed::PackedWeights;
pub use patches::{PatchShape, patches};
pub use peak::peak_operations;
pub use precision::{Epilogue, Precision};
pub use softmax::softmax;
