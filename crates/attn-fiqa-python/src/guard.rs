//! Work without the interpreter, whose panics do not reach Python.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::prelude::*;

use crate::error::AttnFiqaError;

/// Does `work` with the interpreter released. A panic, which is a bug of ours, becomes an
/// `AttnFiqaError`.
pub(crate) fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> PyResult<T> {
    py.detach(|| catching(work)).map_err(AttnFiqaError::new_err)
}

/// Does `work` and gives the message of its panic.
pub(crate) fn catching<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        format!("an internal error of attn-fiqa, please report it: {}", text(&*panic))
    })
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or(panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic")
}

/// Decoders that give up on a file are an error of that file, and what they say to their
/// authors is not for standard error.
pub(crate) fn keep_caught_panics_quiet() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !attn_fiqa::panics::is_caught() {
            report(panic);
        }
    }));
}
