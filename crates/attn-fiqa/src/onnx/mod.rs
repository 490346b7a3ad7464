//! ONNX files, run by `rten`.
//!
//! [`OnnxModel`] opens a file or embedded bytes, lists its inputs and outputs, and runs it: named
//! f32 tensors in, named f32 tensors out. `rten` does not appear in the signatures.
//!
//! # Threads
//!
//! `rten` runs on a given pool of `rayon` threads. [`Threads`](crate::threads::Threads) is such a
//! pool, and so is that of the engine: a network that runs on the pool it is called from stays
//! inside it, so decoding, the ViT and ONNX networks share one set of threads. Only while opening a
//! file may `rten` use other threads.
//!
//! # Untrusted files
//!
//! `rten` is memory-safe on any file: it accesses nothing but the file's weights and the inputs. It
//! bounds neither memory nor time, so this module does, for every ONNX file:
//!
//! - a file is at most 2 GiB, and a regular file;
//! - the numbers of nodes, values and attributes are bounded before anything is parsed; subgraphs
//!   (`If`, `Loop`, `Scan`) are refused;
//! - the shape of every tensor is inferred before the network is built, and again for every set of
//!   input shapes that it is run with. A network is refused if one tensor has more than 2²⁸
//!   elements, all together more than 2³⁰, or the arithmetic more than 2⁴⁰ multiplications; if it
//!   uses an operator that face networks do not use; or if the size of a tensor depends on the
//!   input values.
//!
//! A panic inside `rten` becomes an [`OnnxError`] (the panic message still appears on standard
//! error). What remains: a network at these limits takes several gigabytes, and half a minute on
//! two cores, per run; the estimate counts tensors and multiplications, not the internal buffers of
//! `rten`; and if an allocation fails, the process aborts. Where that matters, run networks of
//! unknown origin in a process with its own limits.

mod error;
mod estimate;
mod graph;
mod model;
mod tensor;
mod wire;

pub use error::{OnnxError, OnnxProblem};
pub use model::OnnxModel;
pub use tensor::{Dim, Tensor, TensorInfo};

pub(crate) use model::read_file;
pub(crate) use tensor::list_tensors;

/// Whether a file is an ONNX network rather than a checkpoint, judged by its extension.
pub fn is_onnx(file: &std::path::Path) -> bool {
    file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"))
}
