//! Faces and maps as pixels.

use attn_fiqa::align::{Landmarks, align as align_face};
use attn_fiqa::crop::Crop;
use attn_fiqa::detect::{Face as DetectedFace, FaceBox};
use attn_fiqa::pixels::Image;
use attn_fiqa::visualize::{
    ColorRange, Colormap, DEFAULT_SIDE, MapStyle, PatchGrid, draw_faces, overlay as overlay_map,
};
use numpy::{
    PyArray1, PyArray3, PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyReadonlyArray2,
    PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::intern;
use pyo3::prelude::*;

use crate::args::{color as color_of, count, one_of, within};
use crate::error::{bad_landmarks, bad_request, failed};
use crate::face::{Face, State};
use crate::guard::detached;
use crate::image::{Input, dtype, to_channel_order, tuple};
use crate::landmarks::landmarks as landmarks_of;

/// Maximum side of a crop, in pixels.
const MAX_SIZE: usize = 2048;

/// Maximum number of rows and of columns of a map.
const MAX_GRID: usize = 4096;

/// See `__init__.pyi`.
#[pyfunction]
#[pyo3(signature = (image, landmarks, *, color=None, size=None))]
pub(crate) fn align<'py>(
    py: Python<'py>,
    image: &Bound<'py, PyAny>,
    landmarks: &Bound<'py, PyAny>,
    color: Option<&Bound<'py, PyAny>>,
    size: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArrayDyn<u8>>> {
    let side = count("size", size)?.map_or(DEFAULT_SIDE, usize::from);
    if side > MAX_SIZE {
        return Err(bad_request(format!("size is {side}; expected at most {MAX_SIZE} pixels")));
    }
    let given = landmarks_of(landmarks)?;
    let input = Input::of(image, color_of(color)?)?;
    let (order, path) = (input.order, input.path());
    let pixels = detached(py, || {
        let decoded = input.decode().map_err(|failure| failed(&failure, path.as_deref()))?;
        let mut pixels = Vec::new();
        for points in &given.faces {
            let aligned = align_face(&decoded.image, points, side)
                .map_err(|error| bad_landmarks(error, path.as_deref()))?;
            let crop = Image::from_rgb(side, side, aligned.crop.rgb().to_vec());
            let crop = to_channel_order(crop.expect("a crop is an image: this is a bug"), order);
            pixels.extend_from_slice(crop.rgb());
        }
        Ok::<_, PyErr>(pixels)
    })??;
    let shape = match given.is_one {
        true => vec![side, side, 3],
        false => vec![given.faces.len(), side, side, 3],
    };
    PyArray1::from_vec(py, pixels).reshape(shape)
}

/// See `__init__.pyi`.
#[pyfunction]
#[pyo3(signature = (image, faces, *, color=None))]
pub(crate) fn draw<'py>(
    py: Python<'py>,
    image: &Bound<'py, PyAny>,
    faces: &Bound<'py, PyAny>,
    color: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray3<u8>>> {
    let mut drawn = Vec::new();
    if let Ok(face) = faces.cast::<Face>() {
        drawn.extend(drawable(&face.get().0));
    } else {
        let expected = "expected a Face or a sequence of them";
        let type_name = crate::args::type_name;
        let items = faces
            .try_iter()
            .map_err(|_| bad_request(format!("{expected}, and found {}", type_name(faces))))?;
        for item in items {
            let item = item?;
            let face = item
                .cast::<Face>()
                .map_err(|_| bad_request(format!("{expected}, and found {}", type_name(&item))))?;
            drawn.extend(drawable(&face.get().0));
        }
    }
    let input = Input::of(image, color_of(color)?)?;
    let (order, path) = (input.order, input.path());
    let image = detached(py, || {
        let decoded = input.decode().map_err(|failure| failed(&failure, path.as_deref()))?;
        Ok::<_, PyErr>(to_channel_order(draw_faces(&decoded.image, &drawn), order))
    })??;
    pixels(py, image)
}

/// A face with landmarks; without a box, only the landmarks are drawn.
fn drawable(face: &State) -> Option<DetectedFace> {
    let landmarks = Landmarks(face.landmarks?);
    let [left, top, right, bottom] = face.bbox.unwrap_or_default();
    let bounds = FaceBox { x: left, y: top, width: right - left, height: bottom - top };
    let confidence = face.confidence.unwrap_or_default();
    Some(DetectedFace { bounds, landmarks, confidence, refined: false })
}

/// See `__init__.pyi`.
#[pyfunction]
#[pyo3(signature = (crop, map, *, color=None, colormap="viridis", alpha=0.4, range=None))]
pub(crate) fn overlay<'py>(
    py: Python<'py>,
    crop: &Bound<'py, PyAny>,
    map: &Bound<'py, PyAny>,
    color: Option<&Bound<'py, PyAny>>,
    colormap: &str,
    alpha: f32,
    range: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray3<u8>>> {
    let maps: Vec<_> = Colormap::ALL.iter().map(|&map| (map.name(), map)).collect();
    let colormap = one_of("colormap", colormap, &maps)?;
    let alpha = within("alpha", alpha, 0.0, 1.0)?;
    let (rows, columns, values) = map_values(map)?;
    let input = Input::of(crop, color_of(color)?)?;
    let order = input.order;
    let image = input.decode().map_err(|failure| failed(&failure, None))?.image;
    let side = image.width();
    let found = format!("{}×{}", image.width(), image.height());
    let crop = Crop::from_rgb(side, image.into_rgb());
    let crop = crop
        .ok_or_else(|| bad_request(format!("expected a square crop, and found {found} pixels")))?;
    let grid = PatchGrid::new(&values, rows, columns).map_err(bad_request)?;
    let range = match range {
        Some(range) => {
            let (low, high) = range.extract().map_err(|_| {
                let found = crate::args::repr(range);
                bad_request(format!("range is {found}; expected two numbers, (low, high)"))
            })?;
            ColorRange::new(low, high).map_err(bad_request)?
        }
        None => value_range(&values),
    };
    let style = MapStyle { colormap, alpha, side, ..MapStyle::new(range) };
    let drawn = overlay_map(&crop, &grid, &style).map_err(bad_request)?;
    let image = Image::from_rgb(side, side, drawn.rgb);
    pixels(py, to_channel_order(image.expect("an overlay is an image: this is a bug"), order))
}

/// From the lowest to the highest finite value.
pub(crate) fn value_range(values: &[f32]) -> ColorRange {
    let low = values.iter().copied().fold(f32::INFINITY, f32::min);
    let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    ColorRange::new(low, high).expect("finite values: this is a bug")
}

fn map_values(map: &Bound<'_, PyAny>) -> PyResult<(usize, usize, Vec<f32>)> {
    let py = map.py();
    let expected = "expected a map as numbers of shape (rows, columns), such as Face.map";
    if map.is_none() {
        return Err(bad_request(format!("{expected}, and found None; score with maps=True")));
    }
    let numpy = py.import(intern!(py, "numpy"))?;
    let other = |error: PyErr| bad_request(format!("{expected}; found something else ({error})"));
    let array = numpy.call_method1(intern!(py, "asarray"), (map,)).map_err(other)?;
    let array = array.cast::<PyUntypedArray>().map_err(PyErr::from)?;
    let is_number = matches!(array.dtype().kind(), b'f' | b'i' | b'u');
    // Checked before copying: a broadcast array may not fit in memory.
    if !is_number || !matches!(array.shape(), &[1..=MAX_GRID, 1..=MAX_GRID]) {
        let found = format!("{} of shape {}", dtype(array), tuple(array.shape()));
        return Err(bad_request(format!("{expected}, and found {found}")));
    }
    let array: PyReadonlyArray2<'_, f32> =
        array.call_method1(intern!(py, "astype"), ("float32",))?.extract()?;
    let view = array.as_array();
    let (rows, columns) = view.dim();
    Ok((rows, columns, view.iter().copied().collect()))
}

/// An image as an array.
fn pixels(py: Python<'_>, image: Image) -> PyResult<Bound<'_, PyArray3<u8>>> {
    let shape = [image.height(), image.width(), 3];
    PyArray1::from_vec(py, image.into_rgb()).reshape(shape)
}
