//! Models: the files that they are read from and written to, and the engine that runs them.

#![allow(clippy::unwrap_used, reason = "in helpers too, a failed unwrap is a failed test")]

mod backend;
#[cfg(feature = "builtin-model")]
mod calibration;
mod checkpoint_config;
mod checkpoint_convert;
mod checkpoint_golden;
mod checkpoint_hostile;
mod checkpoint_hostile_pickle;
mod checkpoint_limits;
mod checkpoint_names;
mod checkpoint_shards;
mod checkpoint_support;
mod common;
mod engine_golden;
mod engine_invariants;
mod engine_naive;
#[cfg(all(feature = "builtin-embedding", feature = "export", feature = "onnx"))]
mod export;
mod families_golden;
mod naive;
mod onnx;
mod onnx_hostile;
mod onnx_support;
