//! CPU kernels of attn-fiqa: slices in, slices out. Nothing here knows about faces.
//!
//! 1. [`Isa`] is a set of processor features that were detected on this machine. Holding one proves
//!    the detection, so kernels need no further check. The caller chooses it and passes it to every
//!    kernel.
//! 2. [`gemm()`] multiplies matrices, given as [`Matrix`] and [`MatrixMut`] views.
//! 3. [`PackedWeights`] multiplies by constant weights in one of four [`Precision`]s and applies an
//!    [`Epilogue`] to each sum before it is stored. Threads can split a product by columns
//!    ([`ColumnsMut`]).
//! 4. [`attention`] computes one head of self-attention.
//! 5. [`layer_norm()`], [`standardise`], [`softmax()`], [`relu6`] and [`gelu`] work row by row.
//! 6. [`matrix_vector`] and [`add_rows`] sum in f64, for the means that a score is computed from.
//! 7. [`Depthwise`] is a depthwise convolution of [`Features`], and [`patches()`] is im2col for an
//!    image. A 1×1 convolution is [`PackedWeights::apply`] on the cells.
//! 8. [`add_levels`] and [`average_pixels`] average an image's rows and columns, for downscaling by
//!    area.
//!
//! # Invariant
//!
//! The row kernels and the filters give the same bits on every instruction set: sums run over a
//! fixed number of lanes in a fixed order, and no multiply–add is fused. A score can therefore
//! differ between machines only through [`gemm()`], the f32, bf16x2 and bf16 sums of
//! [`PackedWeights`], and the softmax of an [`attention`] in bf16.

mod activation;
#[cfg(all(any(test, emulated_amx), target_arch = "x86_64", target_os = "linux"))]
mod amx_emulator;
mod attention;
mod cpu_features;
mod depthwise;
mod double;
mod exp;
mod features;
mod gemm;
mod isa;
#[cfg(target_arch = "x86_64")]
mod lanes;
mod layer_norm;
mod levels;
mod matrix;
#[cfg(target_arch = "aarch64")]
mod neon_products;
#[cfg(test)]
#[path = "../tests/numbers/mod.rs"]
mod numbers;
mod packed;
mod patches;
mod peak;
mod precision;
mod quantize;
mod softmax;

pub use activation::{gelu, quick_gelu, relu6, sigmoid, swiglu};
pub use attention::{AttentionShape, attention};
pub use cpu_features::{CpuFeature, CpuFeatures};
pub use depthwise::Depthwise;
pub use double::{add_rows, matrix_vector};
pub use features::Features;
pub use gemm::{Accumulate, gemm};
pub use isa::{ISA_VARIABLE, Isa, IsaError};
pub use layer_norm::{layer_norm, standardise};
pub use levels::{Footprints, add_levels, average_pixels};
pub use matrix::{ColumnsMut, Matrix, MatrixMut};
pub use packed::{PackedInput, PackedWeights};
pub use patches::{PatchShape, patches};
pub use peak::peak_operations;
pub use precision::{Epilogue, Precision};
pub use softmax::softmax;
