//! Other people's networks: ONNX files, run by `rten`.
//!
//! [`OnnxModel`] opens a file or embedded bytes, tells its inputs and outputs, and
//! runs it: named f32 tensors in, named f32 tensors out. Nothing of `rten` shows in
//! its signatures.
//!
//! # Threads
//!
//! `rten` runs on a pool of `rayon` threads that it is handed. [`Threads`](crate::threads::Threads)
//! is such a pool, and the engine's own is one too: a network that runs on the pool from which
//! it is called stays inside it, so decoding, our network and a stranger's share one
//! number of threads. Only while a file is opened may `rten` use threads of its own.
//!
//! # What is guaranteed about a stranger's file
//!
//! `rten` is memory-safe on any file: it has no access to anything but the file's
//! weights and the inputs. The bytes are bounded before they are read, nesting before
//! they are parsed, and a panic inside `rten` becomes an [`OnnxError`] (the panic's own
//! line still appears on standard error). What nobody bounds is the memory and time
//! that a network asks for while it is opened or run: a file that declares a tensor of
//! a terabyte can end the process. Run networks of unknown origin in a container.

mod error;
mod model;
mod structure;
mod tensor;

pub use error::{OnnxError, OnnxProblem};
pub use model::OnnxModel;
pub use tensor::{Dim, Port, Tensor};

/// Whether a file's name says that it is an ONNX network, rather than a checkpoint of
/// ours.
pub fn is_onnx(file: &std::path::Path) -> bool {
    file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"))
}
