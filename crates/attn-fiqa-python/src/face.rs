//! One face, as Python sees it.

use std::sync::Arc;

use attn_fiqa::align::Landmarks;
use attn_fiqa::causes::FoundCause;
use attn_fiqa::crop::Crop;
use attn_fiqa::decode::Note;
use attn_fiqa::engine::{Assessment, Engine};
use attn_fiqa::pipeline::{FaceInfo, ScoredFace};
use attn_fiqa::score::{Band, Method};
use attn_fiqa::status::{Failure, Status};
use numpy::{PyArray1, PyArray2, PyArray3, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// What the faces of one call have in common.
#[derive(Clone)]
pub(crate) struct Context {
    engine: Arc<Engine>,
    methods: Arc<[String]>,
    first: Method,
}

impl Context {
    pub(crate) fn new(engine: Arc<Engine>, methods: &[Method]) -> Self {
        let names = methods.iter().map(Method::to_string).collect();
        Self { engine, methods: names, first: methods[0] }
    }

    pub(crate) fn methods(&self) -> &Arc<[String]> {
        &self.methods
    }

    /// The quality for a score of the first method, 0 … 100, if the model is calibrated for it.
    pub(crate) fn quality(&self, score: f32) -> Option<i8> {
        let map = self.engine.quality_map().filter(|map| map.method() == self.first)?;
        Some(map.quality(score)).filter(|&quality| quality >= 0)
    }

    pub(crate) fn has_quality(&self) -> bool {
        self.engine.quality_map().is_some_and(|map| map.method() == self.first)
    }

    fn match_probability(&self, score: f32) -> Option<f32> {
        let law = self.engine.match_probability().filter(|_| self.has_quality())?;
        Some(law.of(score)).filter(|probability| !probability.is_nan())
    }

    /// A face and its results.
    pub(crate) fn face(
        &self,
        info: &FaceInfo,
        crop: Option<Crop>,
        outcome: Result<Assessment, Failure>,
        notes: &Arc<[String]>,
    ) -> Face {
        let (found, failure) = match outcome {
            Ok(found) => (found, None),
            Err(failure) => (Assessment::default(), Some(failure)),
        };
        let scores = match &failure {
            None => found.scores,
            Some(_) => vec![f32::NAN; self.methods.len()],
        };
        let main_cause = found.causes.as_ref().and_then(|causes| causes.main());
        let main_cause = main_cause.map(|found| found.cause.name().to_owned());
        let causes = found.causes.map(|causes| {
            let one = |found: &FoundCause| (found.cause.name().to_owned(), found.strength);
            causes.found.iter().map(one).collect()
        });
        let map = found.received.map(|map| (map.mean.grid(), map.mean.values().to_vec()));
        Face(State {
            index: info.index,
            crop_origin: info.crop_origin.name().to_owned(),
            bbox: info.bounds.map(|b| [b.x, b.y, b.x + b.width, b.y + b.height]),
            landmarks: info.landmarks.map(|landmarks| landmarks.0),
            confidence: info.confidence,
            quality: self.quality(scores[0]),
            match_probability: self.match_probability(scores[0]),
            main_cause,
            causes,
            scores,
            map,
            embedding: found.embedding,
            crop: crop.map(|crop| (crop.side(), crop.rgb().to_vec())),
            status: failure.as_ref().map_or(Status::Ok, |failure| failure.status).name().to_owned(),
            message: failure.map(|failure| failure.message),
            methods: Arc::clone(&self.methods),
            notes: Arc::clone(notes),
        })
    }

    pub(crate) fn scored(&self, face: ScoredFace, notes: &Arc<[String]>) -> Face {
        self.face(&face.info, face.crop, face.outcome, notes)
    }
}

pub(crate) fn described(notes: &[Note]) -> Arc<[String]> {
    notes.iter().map(Note::to_string).collect()
}

/// One face of an image.
#[pyclass(frozen, module = "attn_fiqa")]
pub(crate) struct Face(pub(crate) State);

/// All data of a face, without Python objects.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) index: usize,
    pub(crate) crop_origin: String,
    /// x1, y1, x2, y2.
    pub(crate) bbox: Option<[f32; 4]>,
    pub(crate) landmarks: Option<[[f32; 2]; 5]>,
    pub(crate) confidence: Option<f32>,
    /// One per method; NaN without a score.
    pub(crate) scores: Vec<f32>,
    pub(crate) quality: Option<i8>,
    pub(crate) match_probability: Option<f32>,
    /// The cause that costs the most quality.
    pub(crate) main_cause: Option<String>,
    /// Names and strengths, the strongest first; `None` if the model has no causes or the face no
    /// score.
    pub(crate) causes: Option<Vec<(String, f32)>>,
    /// The grid's side and its values, row by row.
    pub(crate) map: Option<(usize, Vec<f32>)>,
    pub(crate) embedding: Option<Vec<f32>>,
    /// The side and the RGB pixels.
    pub(crate) crop: Option<(usize, Vec<u8>)>,
    pub(crate) status: String,
    pub(crate) message: Option<String>,
    pub(crate) methods: Arc<[String]>,
    pub(crate) notes: Arc<[String]>,
}

impl State {
    pub(crate) fn pose(&self) -> Option<attn_fiqa::align::HeadPose> {
        self.landmarks.map(|points| Landmarks(points).pose())
    }

    pub(crate) fn inter_eye_distance(&self) -> Option<f32> {
        self.landmarks.map(|points| Landmarks(points).inter_eye_distance())
    }

    pub(crate) fn band(&self) -> Option<&'static str> {
        self.quality.and_then(Band::of).map(Band::name)
    }
}

#[pymethods]
impl Face {
    #[getter]
    fn index(&self) -> usize {
        self.0.index
    }

    #[getter]
    fn crop_origin(&self) -> &str {
        &self.0.crop_origin
    }

    #[getter]
    fn bbox<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyArray1<f32>>> {
        self.0.bbox.map(|bbox| PyArray1::from_slice(py, &bbox))
    }

    #[getter]
    fn landmarks<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyArray2<f32>>>> {
        let points = self.0.landmarks.as_ref();
        points
            .map(|points| PyArray1::from_slice(py, points.as_flattened()).reshape([5, 2]))
            .transpose()
    }

    #[getter]
    fn confidence(&self) -> Option<f32> {
        self.0.confidence
    }

    #[getter]
    fn score(&self) -> f32 {
        self.0.scores[0]
    }

    #[getter]
    fn scores<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let scores = PyDict::new(py);
        for (method, score) in self.0.methods.iter().zip(&self.0.scores) {
            scores.set_item(method, score)?;
        }
        Ok(scores)
    }

    #[getter]
    fn quality(&self) -> Option<i8> {
        self.0.quality
    }

    #[getter]
    fn band(&self) -> Option<&'static str> {
        self.0.band()
    }

    #[getter]
    fn match_probability(&self) -> Option<f32> {
        self.0.match_probability
    }

    #[getter]
    fn causes(&self) -> Option<Vec<(String, f32)>> {
        self.0.causes.clone()
    }

    #[getter]
    fn main_cause(&self) -> Option<&str> {
        self.0.main_cause.as_deref()
    }

    #[getter]
    fn roll(&self) -> Option<f32> {
        self.0.pose().map(|pose| pose.roll)
    }

    #[getter]
    fn yaw(&self) -> Option<f32> {
        self.0.pose().map(|pose| pose.yaw)
    }

    #[getter]
    fn inter_eye_distance(&self) -> Option<f32> {
        self.0.inter_eye_distance()
    }

    #[getter]
    fn map<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyArray2<f32>>>> {
        let map = self.0.map.as_ref();
        map.map(|(grid, values)| PyArray1::from_slice(py, values).reshape([*grid, *grid]))
            .transpose()
    }

    #[getter]
    fn embedding<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyArray1<f32>>> {
        self.0.embedding.as_ref().map(|embedding| PyArray1::from_slice(py, embedding))
    }

    #[getter]
    fn crop<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyArray3<u8>>>> {
        let crop = self.0.crop.as_ref();
        crop.map(|(side, rgb)| PyArray1::from_slice(py, rgb).reshape([*side, *side, 3])).transpose()
    }

    #[getter]
    fn status(&self) -> &str {
        &self.0.status
    }

    #[getter]
    fn message(&self) -> Option<&str> {
        self.0.message.as_deref()
    }

    #[getter]
    fn notes(&self) -> Vec<String> {
        self.0.notes.to_vec()
    }

    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let state = &self.0;
        let dict = PyDict::new(py);
        dict.set_item("index", state.index)?;
        dict.set_item("crop_origin", &state.crop_origin)?;
        dict.set_item("bbox", state.bbox.map(Vec::from))?;
        let points = state.landmarks.map(|points| points.map(Vec::from).to_vec());
        dict.set_item("landmarks", points)?;
        dict.set_item("confidence", state.confidence)?;
        dict.set_item("score", state.scores[0])?;
        dict.set_item("scores", self.scores(py)?)?;
        dict.set_item("quality", state.quality)?;
        dict.set_item("band", state.band())?;
        dict.set_item("match_probability", state.match_probability)?;
        dict.set_item("main_cause", &state.main_cause)?;
        dict.set_item("causes", self.causes())?;
        dict.set_item("roll", self.roll())?;
        dict.set_item("yaw", self.yaw())?;
        dict.set_item("inter_eye_distance", state.inter_eye_distance())?;
        let rows = |(grid, values): &(usize, Vec<f32>)| -> Vec<Vec<f32>> {
            values.chunks_exact(*grid).map(<[f32]>::to_vec).collect()
        };
        dict.set_item("map", state.map.as_ref().map(rows))?;
        dict.set_item("embedding", state.embedding.as_deref())?;
        dict.set_item("status", &state.status)?;
        dict.set_item("message", &state.message)?;
        dict.set_item("notes", self.notes())?;
        Ok(dict)
    }

    fn __repr__(&self) -> String {
        let state = &self.0;
        let mut parts = Vec::new();
        if let (Some(quality), Some(band)) = (state.quality, state.band()) {
            parts.push(format!("quality={quality} ({band})"));
        }
        parts.push(format!("score={:.4}", state.scores[0]));
        if let Some(bbox) = state.bbox {
            let numbers = bbox.map(|value| format!("{value:.0}")).join(", ");
            parts.push(format!("bbox=[{numbers}]"));
        }
        if let Some(confidence) = state.confidence {
            parts.push(format!("confidence={confidence:.2}"));
        }
        if let Some(distance) = state.inter_eye_distance() {
            parts.push(format!("inter_eye_distance={distance:.1}"));
        }
        if state.status != "ok" {
            parts.push(format!("status={}", state.status));
        }
        format!("<Face {}>", parts.join(" "))
    }

    fn _repr_html_(&self, py: Python<'_>) -> PyResult<String> {
        crate::notebook::html(py, &self.0)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (PickledFace,))> {
        let restore = py.import("attn_fiqa._native")?.getattr("restore_face")?;
        Ok((restore, (PickledFace::of(&self.0),)))
    }
}

/// The pickled form of a face.
#[derive(FromPyObject, IntoPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct PickledFace {
    index: usize,
    crop_origin: String,
    bbox: Option<[f32; 4]>,
    landmarks: Option<[[f32; 2]; 5]>,
    confidence: Option<f32>,
    scores: Vec<f32>,
    quality: Option<i8>,
    match_probability: Option<f32>,
    main_cause: Option<String>,
    causes: Option<Vec<(String, f32)>>,
    map: Option<(usize, Vec<f32>)>,
    embedding: Option<Vec<f32>>,
    crop: Option<(usize, Vec<u8>)>,
    status: String,
    message: Option<String>,
    methods: Vec<String>,
    notes: Vec<String>,
}

impl PickledFace {
    pub(crate) fn of(state: &State) -> Self {
        let State { methods, notes, .. } = state;
        let state = state.clone();
        Self {
            index: state.index,
            crop_origin: state.crop_origin,
            bbox: state.bbox,
            landmarks: state.landmarks,
            confidence: state.confidence,
            scores: state.scores,
            quality: state.quality,
            match_probability: state.match_probability,
            main_cause: state.main_cause,
            causes: state.causes,
            map: state.map,
            embedding: state.embedding,
            crop: state.crop,
            status: state.status,
            message: state.message,
            methods: methods.to_vec(),
            notes: notes.to_vec(),
        }
    }

    /// `None` if it was not made by [`Self::of`].
    fn unpack(self) -> Option<State> {
        let square = |side: usize, channels: usize, found: usize| {
            side.checked_mul(side).and_then(|area| area.checked_mul(channels)) == Some(found)
        };
        let map = self
            .map
            .as_ref()
            .is_none_or(|(grid, values)| *grid > 0 && square(*grid, 1, values.len()));
        let crop = self.crop.as_ref().is_none_or(|(side, rgb)| square(*side, 3, rgb.len()));
        let scores = !self.scores.is_empty() && self.scores.len() == self.methods.len();
        (map && crop && scores).then(|| State {
            index: self.index,
            crop_origin: self.crop_origin,
            bbox: self.bbox,
            landmarks: self.landmarks,
            confidence: self.confidence,
            scores: self.scores,
            quality: self.quality,
            match_probability: self.match_probability,
            main_cause: self.main_cause,
            causes: self.causes,
            map: self.map,
            embedding: self.embedding,
            crop: self.crop,
            status: self.status,
            message: self.message,
            methods: self.methods.into(),
            notes: self.notes.into(),
        })
    }
}

/// Restores a pickled face.
#[pyfunction]
pub(crate) fn restore_face(packed: PickledFace) -> PyResult<Face> {
    packed.unpack().map(Face).ok_or_else(|| crate::error::bad_request("not a pickled face"))
}
