//! The Vision Transformer, one file per part, names as in the checkpoint.

pub mod config;
