//! Arguments that all functions parse in the same way.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use attn_fiqa::pixels::ChannelOrder;
use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt, PyString};

use crate::error::bad_request;

/// The channel order of an array.
pub(crate) fn color(given: Option<&Bound<'_, PyAny>>) -> PyResult<Option<ChannelOrder>> {
    let Some(given) = given.filter(|given| !given.is_none()) else { return Ok(None) };
    let name = given.extract::<String>().ok();
    match name.as_deref() {
        Some("rgb") => Ok(Some(ChannelOrder::Rgb)),
        Some("bgr") => Ok(Some(ChannelOrder::Bgr)),
        _ => Err(bad_request(format!("color is {}; expected 'rgb' or 'bgr'", repr(given)))),
    }
}

/// A whole number of at least 1; `None` for `None`.
pub(crate) fn count(
    name: &str,
    given: Option<&Bound<'_, PyAny>>,
) -> PyResult<Option<NonZeroUsize>> {
    let Some(given) = given.filter(|given| !given.is_none()) else { return Ok(None) };
    let bad =
        || bad_request(format!("{name} is {}; expected a whole number of at least 1", repr(given)));
    match given.extract::<i64>() {
        Ok(number) => {
            let number = usize::try_from(number).ok().and_then(NonZeroUsize::new);
            Ok(Some(number.ok_or_else(bad)?))
        }
        Err(error) if error.is_instance_of::<PyOverflowError>(given.py()) => Err(bad()),
        Err(_) => Err(bad()),
    }
}

/// A whole number from 0 to `high`.
pub(crate) fn whole(name: &str, given: &Bound<'_, PyAny>, high: u64) -> PyResult<u64> {
    let number = given.extract::<u64>().ok().filter(|&number| number <= high);
    number.ok_or_else(|| {
        let found = repr(given);
        bad_request(format!("{name} is {found}; expected a whole number from 0 to {high}"))
    })
}

/// A number from `low` to `high`.
pub(crate) fn within(name: &str, number: f32, low: f32, high: f32) -> PyResult<f32> {
    if (low..=high).contains(&number) {
        return Ok(number);
    }
    let expected = match high.is_finite() {
        true => format!("a number from {low} to {high}"),
        false => format!("a number of at least {low}"),
    };
    Err(bad_request(format!("{name} is {number}; expected {expected}")))
}

/// One of some names.
pub(crate) fn one_of<T: Copy>(
    name: &str,
    given: &str,
    choices: &[(&'static str, T)],
) -> PyResult<T> {
    if let Some(&(_, choice)) = choices.iter().find(|&&(choice, _)| choice == given) {
        return Ok(choice);
    }
    let names: Vec<String> = choices.iter().map(|(name, _)| format!("'{name}'")).collect();
    Err(bad_request(format!("{name} is '{given}'; expected one of {}", names.join(", "))))
}

/// A path as `str` or `os.PathLike`; `None` if the object is neither.
pub(crate) fn path(given: &Bound<'_, PyAny>) -> PyResult<Option<PathBuf>> {
    let is_path = given.is_instance_of::<PyString>()
        || given.hasattr(pyo3::intern!(given.py(), "__fspath__"))?;
    is_path.then(|| given.extract()).transpose()
}

/// An argument in one short line: numbers and strings as they are, everything else by its type,
/// since the `repr` of a large array may take longer than the call itself.
pub(crate) fn repr(given: &Bound<'_, PyAny>) -> String {
    const MAX_CHARS: usize = 60;
    let is_short = given.is_none()
        || given.is_instance_of::<PyInt>()
        || given.is_instance_of::<PyFloat>()
        || given.is_instance_of::<PyString>();
    if !is_short {
        return type_name(given);
    }
    let Ok(text) = given.repr() else { return type_name(given) };
    let text = text.to_string();
    match text.chars().count() {
        0..=MAX_CHARS => text,
        _ => text.chars().take(MAX_CHARS).collect::<String>() + "…",
    }
}

pub(crate) fn type_name(given: &Bound<'_, PyAny>) -> String {
    given.get_type().fully_qualified_name().map_or_else(|_| "?".to_owned(), |name| name.to_string())
}
