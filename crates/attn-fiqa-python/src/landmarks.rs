//! Landmarks from another detector.

use attn_fiqa::align::Landmarks;
use numpy::{PyArrayDescrMethods, PyReadonlyArrayDyn, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::intern;
use pyo3::prelude::*;

use crate::error::bad_request;
use crate::image::{dtype, tuple};

/// The landmarks of one face or of several.
pub(crate) struct GivenLandmarks {
    pub(crate) faces: Vec<Landmarks>,
    /// Whether the shape was that of a single face.
    pub(crate) is_one: bool,
}

const EXPECTED: &str = "expected landmarks as numbers of shape (5, 2) or (faces, 5, 2): the eye on \
                        the image's left, the other eye, the nose, the mouth corner on the left, the \
                        other one, [x, y] each";

/// Numbers of shape (5, 2) or (faces, 5, 2), as an array or nested lists.
pub(crate) fn landmarks(given: &Bound<'_, PyAny>) -> PyResult<GivenLandmarks> {
    let py = given.py();
    let numpy = py.import(intern!(py, "numpy"))?;
    let unreadable =
        |error: PyErr| bad_request(format!("{EXPECTED}; found something else ({error})"));
    let array = numpy.call_method1(intern!(py, "asarray"), (given,)).map_err(unreadable)?;
    let array = array.cast::<PyUntypedArray>().map_err(PyErr::from)?;
    let shape = array.shape();
    let is_number = matches!(array.dtype().kind(), b'f' | b'i' | b'u');
    if !is_number || !matches!(shape, [5, 2] | [_, 5, 2]) {
        let found = format!("{} of shape {}", dtype(array), tuple(shape));
        return Err(bad_request(format!("{EXPECTED}; found {found}")));
    }
    let is_one = shape.len() == 2;
    // `astype` copies, so no other thread writes to it.
    let array = array.call_method1(intern!(py, "astype"), ("float32",))?;
    let array: PyReadonlyArrayDyn<'_, f32> = array.extract()?;
    let values: Vec<f32> = array.as_array().iter().copied().collect();
    let face = |values: &[f32]| {
        Landmarks(std::array::from_fn(|point| [values[2 * point], values[2 * point + 1]]))
    };
    Ok(GivenLandmarks { faces: values.chunks_exact(10).map(face).collect(), is_one })
}
