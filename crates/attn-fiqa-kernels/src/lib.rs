//! CPU arithmetic of attn-fiqa: slices in, slices out; no idea what a face is.
//!
//! 1. [`Isa`] says which instruction sets this machine has. A value of it is the
//!    proof that the check was made, so the kernels need no further one.
//! 2. [`gemm`] multiplies matrices seen through [`Matrix`] and [`MatrixMut`].
//! 3. [`PackedWeights`] multiplies by weights that stay the same, faster, where
//!    there is AVX-512.
//! 4. [`layer_norm`], [`softmax`], [`relu6`] and [`gelu`] work on rows.
//!
//! # Invariant
//!
//! The row kernels give the same bits on every instruction set: sums run over a
//! fixed number of lanes in a fixed order, and no multiply–add is fused. A score
//! can therefore differ between machines only through [`gemm`] and
//! [`PackedWeights`].

mod activation;
mod gemm;
mod isa;
mod layer_norm;
mod matrix;
mod packed;
mod softmax;

pub use activation::{gelu, relu6};
pub use gemm::{Accumulate, gemm};
pub use isa::Isa;
pub use layer_norm::layer_norm;
pub use matrix::{Matrix, MatrixMut};
pub use packed::PackedWeights;
pub use softmax::softmax;
