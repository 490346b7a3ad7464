//! Runs work without the interpreter and keeps its panics from reaching Python.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::prelude::*;

use crate::error::AttnFiqaError;

/// Runs `work` with the interpreter released. A panic, which is a bug in this package, becomes an
/// `AttnFiqaError`.
pub(crate) fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> PyResult<T> {
    py.detach(|| catch_panic(work)).map_err(AttnFiqaError::new_err)
}

/// Runs `work` and returns the message of its panic as an error.
pub(crate) fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        format!("an internal error of attn-fiqa, please report it: {}", text(&*panic))
    })
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or(panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic")
}

/// A decoder that panics on a file is an error of that file. Its message is meant for the decoder's
/// authors and is kept off standard error.
pub(crate) fn silence_caught_panics() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !attn_fiqa::panics::is_caught() {
            report(panic);
        }
    }));
}
