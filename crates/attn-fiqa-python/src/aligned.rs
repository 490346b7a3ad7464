//! Aligned faces to arrays, without a Python object per face.

use attn_fiqa::crop::Crop;
use attn_fiqa::engine::Assessment;
use attn_fiqa::pixels::ChannelOrder;
use attn_fiqa::status::Failure;
use numpy::{
    PyArray1, PyArray2, PyArray3, PyArray4, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::error::bad_request;
use crate::face::Context;
use crate::image::{as_array, dtype, tuple};
use crate::loaded::Wanted;

/// The caller's array of aligned faces.
pub(crate) struct Crops<'py> {
    array: Bound<'py, PyArray4<u8>>,
    side: usize,
    order: ChannelOrder,
}

impl<'py> Crops<'py> {
    /// Checks an array of shape (faces, side, side, 3), or stacks a sequence of crops.
    pub(crate) fn of(
        crops: &Bound<'py, PyAny>,
        side: usize,
        order: Option<ChannelOrder>,
    ) -> PyResult<Self> {
        let py = crops.py();
        let expected = format!("expected uint8 of shape (faces, {side}, {side}, 3)");
        let is_sequence = crops.is_instance_of::<PyList>() || crops.is_instance_of::<PyTuple>();
        let array = if is_sequence && crops.len()? > 0 {
            let numpy = py.import(intern!(py, "numpy"))?;
            let stacked = numpy.call_method1(intern!(py, "stack"), (crops,));
            let stacked = stacked.map_err(|error| {
                bad_request(format!(
                    "{expected}, and found a sequence that cannot be stacked: {error}"
                ))
            })?;
            Some(stacked.cast_into::<PyUntypedArray>().map_err(PyErr::from)?)
        } else {
            as_array(crops)?
        };
        let Some(array) = array else {
            let found = crate::args::type_name(crops);
            return Err(bad_request(format!("{expected}, and found {found}")));
        };
        let order = order.ok_or_else(|| {
            bad_request(
                "color is missing: pass color='rgb' (PIL, imageio, matplotlib) or color='bgr' \
                 (OpenCV, insightface, uniface)",
            )
        })?;
        let typed = array.cast::<PyArray4<u8>>().ok();
        match (typed, array.shape()) {
            (Some(typed), &[_, height, width, 3]) if height == side && width == side => {
                Ok(Self { array: typed.clone(), side, order })
            }
            (_, shape) => {
                let what_to_do = match shape {
                    [_, _, 3] => "; make a batch of one crop: crops[None]",
                    [_, 3, _, _] => "; move the channels last: crops.transpose(0, 2, 3, 1)",
                    [_, _, _, 3] if typed.is_some() => {
                        "; align faces with attn_fiqa.align(), or pass whole images to score()"
                    }
                    _ => "",
                };
                let found = format!("{} of shape {}", dtype(&array), tuple(shape));
                Err(bad_request(format!("{expected}, and found {found}{what_to_do}")))
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.array.shape()[0]
    }

    pub(crate) fn order(&self) -> ChannelOrder {
        self.order
    }

    /// Copies crops `from..to` as RGB.
    pub(crate) fn copied(&self, from: usize, to: usize) -> Vec<Crop> {
        let array = self.array.readonly();
        let size = self.side * self.side * 3;
        let view = array.as_array();
        // Only in C order.
        let whole = view.as_slice();
        let crop = |index: usize| {
            let mut pixels = match whole {
                Some(slice) => slice[index * size..][..size].to_vec(),
                None => view.index_axis(numpy::ndarray::Axis(0), index).iter().copied().collect(),
            };
            if self.order == ChannelOrder::Bgr {
                pixels.chunks_exact_mut(3).for_each(|pixel| pixel.swap(0, 2));
            }
            Crop::from_rgb(self.side, pixels).expect("the shape was checked: this is a bug")
        };
        (from..to).map(crop).collect()
    }
}

/// Results, collected batch by batch.
pub(crate) struct Collected {
    methods: Vec<Vec<f32>>,
    quality: Option<Vec<f32>>,
    maps: Option<Vec<f32>>,
    embeddings: Option<Vec<f32>>,
    grid: usize,
    dim: usize,
    faces: usize,
}

impl Collected {
    pub(crate) fn new(context: &Context, wanted: Wanted, grid: usize, dim: usize) -> Self {
        Self {
            methods: vec![Vec::new(); context.methods().len()],
            quality: context.has_quality().then(Vec::new),
            maps: wanted.maps.then(Vec::new),
            embeddings: wanted.embeddings.then(Vec::new),
            grid,
            dim,
            faces: 0,
        }
    }

    /// Appends one crop; NaN if it has no score.
    pub(crate) fn push(&mut self, context: &Context, outcome: Result<Assessment, Failure>) {
        self.faces += 1;
        let found = outcome.unwrap_or_default();
        for (index, scores) in self.methods.iter_mut().enumerate() {
            scores.push(found.scores.get(index).copied().unwrap_or(f32::NAN));
        }
        if let Some(quality) = &mut self.quality {
            let score = found.scores.first().copied().unwrap_or(f32::NAN);
            quality.push(context.quality(score).map_or(f32::NAN, f32::from));
        }
        if let Some(maps) = &mut self.maps {
            match &found.received {
                Some(map) => maps.extend_from_slice(map.mean.values()),
                None => maps.resize(maps.len() + self.grid * self.grid, f32::NAN),
            }
        }
        if let Some(embeddings) = &mut self.embeddings {
            match &found.embedding {
                Some(embedding) => embeddings.extend_from_slice(embedding),
                None => embeddings.resize(embeddings.len() + self.dim, f32::NAN),
            }
        }
    }

    pub(crate) fn into_arrays(self, py: Python<'_>, context: &Context) -> PyResult<AlignedScores> {
        let Self { methods, quality, maps, embeddings, grid, dim, faces } = self;
        let scores = PyDict::new(py);
        let mut score = None;
        for (name, values) in context.methods().iter().zip(methods) {
            let values = PyArray1::from_vec(py, values);
            scores.set_item(name, &values)?;
            score.get_or_insert(values);
        }
        let maps = maps.map(|maps| PyArray1::from_vec(py, maps).reshape([faces, grid, grid]));
        let embeddings =
            embeddings.map(|values| PyArray1::from_vec(py, values).reshape([faces, dim]));
        Ok(AlignedScores {
            score: score.expect("there is a method: this is a bug").unbind(),
            quality: quality.map(|quality| PyArray1::from_vec(py, quality).unbind()),
            scores: scores.unbind(),
            map: maps.transpose()?.map(Bound::unbind),
            embedding: embeddings.transpose()?.map(Bound::unbind),
            faces,
        })
    }
}

/// Qualities of aligned faces; row i of every array belongs to crop i.
#[pyclass(frozen, module = "attn_fiqa")]
pub(crate) struct AlignedScores {
    #[pyo3(get)]
    score: Py<PyArray1<f32>>,
    #[pyo3(get)]
    quality: Option<Py<PyArray1<f32>>>,
    #[pyo3(get)]
    scores: Py<PyDict>,
    #[pyo3(get)]
    map: Option<Py<PyArray3<f32>>>,
    #[pyo3(get)]
    embedding: Option<Py<PyArray2<f32>>>,
    faces: usize,
}

#[pymethods]
impl AlignedScores {
    fn __len__(&self) -> usize {
        self.faces
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let faces = self.faces;
        let noun = if faces == 1 { "face" } else { "faces" };
        let Some(quality) = self.quality.as_ref().filter(|_| faces > 0) else {
            return Ok(format!("<AlignedScores of {faces} {noun}>"));
        };
        let quality = quality.bind(py).readonly();
        let mut known: Vec<f32> =
            quality.as_array().iter().copied().filter(|value| !value.is_nan()).collect();
        known.sort_unstable_by(f32::total_cmp);
        Ok(match known.get(known.len() / 2) {
            Some(median) => format!("<AlignedScores of {faces} {noun}, median quality {median}>"),
            None => format!("<AlignedScores of {faces} {noun}, none with a quality>"),
        })
    }
}
