//! The library's errors as the package's exceptions, which are defined in `_errors.py`.

use std::ffi::CString;

use attn_fiqa::align::LandmarkError;
use attn_fiqa::detect::DetectorError;
use attn_fiqa::engine::{EngineError, RequestError as EngineRequestError};
use attn_fiqa::status::{Failure, Status};
use pyo3::prelude::*;

pyo3::import_exception!(attn_fiqa._errors, AttnFiqaError);
pyo3::import_exception!(attn_fiqa._errors, AttnFiqaWarning);
pyo3::import_exception!(attn_fiqa._errors, ImageError);
pyo3::import_exception!(attn_fiqa._errors, ModelError);
pyo3::import_exception!(attn_fiqa._errors, NoFaceError);
pyo3::import_exception!(attn_fiqa._errors, RequestError);

/// The exception for invalid arguments.
pub(crate) fn bad_request(message: impl ToString) -> PyErr {
    RequestError::new_err(message.to_string())
}

/// The exception for an image without a score.
pub(crate) fn failed(failure: &Failure, path: Option<&str>) -> PyErr {
    let arguments = (failure.message.clone(), failure.status.name(), path.map(str::to_owned));
    match failure.status {
        Status::NoFace => NoFaceError::new_err(arguments),
        _ => ImageError::new_err(arguments),
    }
}

/// The exception for landmarks that are not those of a face in the image.
pub(crate) fn bad_landmarks(error: LandmarkError, path: Option<&str>) -> PyErr {
    failed(&Failure::from(error), path)
}

pub(crate) fn bad_engine(error: EngineError) -> PyErr {
    match error {
        EngineError::Threads(error) => bad_request(error),
        error => ModelError::new_err(error.to_string()),
    }
}

pub(crate) fn bad_detector(error: DetectorError) -> PyErr {
    ModelError::new_err(error.to_string())
}

pub(crate) fn refused(error: EngineRequestError) -> PyErr {
    bad_request(error)
}

/// Issues an `AttnFiqaWarning`.
pub(crate) fn warn(py: Python<'_>, text: String) -> PyResult<()> {
    let text = CString::new(text).expect("no zero byte: this is a bug");
    PyErr::warn(py, &py.get_type::<AttnFiqaWarning>(), &text, 1)
}
