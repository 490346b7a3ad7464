//! attn-fiqa for Python: the module `attn_fiqa._native`.
//!
//! The interface is documented in `python/attn_fiqa/__init__.pyi`. In the order of a call:
//! `scorer` takes arguments and an `image`, `loaded` holds what one process has loaded, and a
//! `face`, arrays (`aligned`) or a stream of rows (`files`, `arrow`) come out.
//!
//! # Invariants
//!
//! - Pixels are copied while the interpreter is held, so that no other thread changes what is
//!   scored; it is released during computation (`guard`).
//! - A panic of the library becomes an `AttnFiqaError`.
//! - Threads belong to the process that started them (`process`): a forked child starts its own.

mod aligned;
mod args;
mod arrow;
mod drawing;
mod error;
mod evaluation;
mod face;
mod files;
mod guard;
mod image;
mod input_checks;
mod landmarks;
mod loaded;
mod notebook;
mod process;
mod scorer;

use std::ffi::OsString;

use pyo3::prelude::*;

/// The native part of `attn_fiqa`.
#[pymodule(gil_used = true)]
mod _native {
    #[pymodule_export]
    use super::aligned::AlignedScores;
    #[pymodule_export]
    use super::arrow::ArrowTable;
    #[pymodule_export]
    use super::drawing::{align, draw, overlay};
    #[pymodule_export]
    use super::evaluation::{Advice, Curve, advise, edc};
    #[pymodule_export]
    use super::face::{Face, restore_face};
    #[pymodule_export]
    use super::files::{FileScore, FileScores, restore_row};
    #[pymodule_export]
    use super::main;
    #[pymodule_export]
    use super::scorer::Scorer;

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::guard::silence_caught_panics();
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}

/// Runs the command line `attn-fiqa` with these arguments, without the program's name, and returns
/// its exit status.
#[pyfunction]
fn main(py: Python<'_>, args: Vec<OsString>) -> u8 {
    py.detach(|| {
        let name = std::iter::once(OsString::from("attn-fiqa"));
        let status = attn_fiqa_cli::run(name.chain(args));
        // Rust flushes it only at the end of a Rust program.
        let _ = std::io::Write::flush(&mut std::io::stdout());
        status
    })
}
