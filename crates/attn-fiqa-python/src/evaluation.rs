//! Evaluation of qualities on arrays, with the code of the command line.

use attn_fiqa_eval::comparisons::{Comparisons, Pair, ScoreScale, pair_qualities};
use attn_fiqa_eval::edc::{
    Bootstrap, Curve as Edc, CurvePoint, Evaluator, Protocol, Ranking, Target,
};
use attn_fiqa_eval::rejection::{self, Reject};
use numpy::{
    PyArray1, PyArrayDescrMethods, PyReadonlyArrayDyn, PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::intern;
use pyo3::prelude::*;

use crate::args::{one_of, whole};
use crate::error::{AttnFiqaError, bad_request};
use crate::guard::detached;
use crate::image::{dtype, tuple};
use crate::process::PerProcess;

const PROTOCOLS: [(&str, Protocol); 3] =
    [("crfiqa", Protocol::Crfiqa), ("iso", Protocol::Iso), ("nist", Protocol::Nist)];
const SCALES: [(&str, ScoreScale); 3] = [
    ("cosine", ScoreScale::Cosine),
    ("similarity", ScoreScale::Similarity),
    ("distance", ScoreScale::Distance),
];

/// Each replicate stores three numbers.
const MAX_REPLICATES: u64 = 1_000_000;

/// The threads of evaluations: rayon's global pool does not survive a fork.
static POOL: PerProcess<rayon::ThreadPool> = PerProcess::new();

fn pooled<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> PyResult<T> {
    let pool = match POOL.get(py) {
        Some(pool) => pool,
        None => {
            let pool = rayon::ThreadPoolBuilder::new().build();
            let pool = pool.map_err(|error| AttnFiqaError::new_err(error.to_string()))?;
            POOL.put(py, pool)
        }
    };
    detached(py, || pool.install(work))
}

/// One-dimensional numbers.
fn numbers(name: &str, given: &Bound<'_, PyAny>) -> PyResult<Vec<f64>> {
    Ok(array(name, "numbers of shape (comparisons,)", given, |shape| matches!(shape, [_]))?.1)
}

/// Numbers of an expected shape, in C order. The shape is checked before copying, since a broadcast
/// array may not fit in memory.
fn array(
    name: &str,
    expected: &str,
    given: &Bound<'_, PyAny>,
    is_expected: impl Fn(&[usize]) -> bool,
) -> PyResult<(Vec<usize>, Vec<f64>)> {
    let py = given.py();
    let bad =
        |found: &str| bad_request(format!("expected {name} as {expected}, and found {found}"));
    let numpy = py.import(intern!(py, "numpy"))?;
    let array = numpy.call_method1(intern!(py, "asarray"), (given,));
    let array = array.map_err(|error| bad(&format!("something else ({error})")))?;
    let array = array.cast::<PyUntypedArray>().map_err(PyErr::from)?;
    let shape = array.shape().to_vec();
    if !matches!(array.dtype().kind(), b'f' | b'i' | b'u' | b'b') || !is_expected(&shape) {
        return Err(bad(&format!("{} of shape {}", dtype(array), tuple(&shape))));
    }
    let array: PyReadonlyArrayDyn<'_, f64> =
        array.call_method1(intern!(py, "astype"), ("float64",))?.extract()?;
    Ok((shape, array.as_array().iter().copied().collect()))
}

/// Labels: booleans, or 1 and 0.
fn labels(given: &Bound<'_, PyAny>) -> PyResult<Vec<bool>> {
    let label = |(index, value): (usize, f64)| match value {
        1.0 => Ok(true),
        0.0 => Ok(false),
        _ => Err(bad_request(format!(
            "mated[{index}] is {value}; expected True or 1 for two images of one person, else False \
             or 0"
        ))),
    };
    numbers("mated", given)?.into_iter().enumerate().map(label).collect()
}

fn target(fmr: Option<f64>, fnmr: Option<f64>, threshold: Option<f64>) -> PyResult<Target> {
    match (fmr, fnmr, threshold) {
        (None, None, None) => Ok(Target::Fmr(1e-3)),
        (Some(rate), None, None) => Ok(Target::Fmr(rate)),
        (None, Some(rate), None) => Ok(Target::Fnmr(rate)),
        (None, None, Some(threshold)) => Ok(Target::Threshold(threshold)),
        _ => Err(bad_request(
            "fmr, fnmr and threshold each set the comparison threshold; give one of them",
        )),
    }
}

/// See `evaluation.py`.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "keywords of Python")]
pub(crate) fn edc(
    py: Python<'_>,
    qualities: &Bound<'_, PyAny>,
    similarities: &Bound<'_, PyAny>,
    mated: &Bound<'_, PyAny>,
    protocol: &str,
    fmr: Option<f64>,
    fnmr: Option<f64>,
    threshold: Option<f64>,
    scale: &str,
) -> PyResult<Curve> {
    let protocol = one_of("protocol", protocol, &PROTOCOLS)?;
    let scale = one_of("scale", scale, &SCALES)?;
    let target = target(fmr, fnmr, threshold)?;
    let expected = "numbers of shape (comparisons,) or (comparisons, 2)";
    let (shape, qualities) =
        array("qualities", expected, qualities, |shape| matches!(shape, [_] | [_, 2]))?;
    let qualities = match shape[..] {
        [_] => qualities,
        // The lower of the two images' qualities.
        _ => {
            let lower = |pair: &[f64]| match pair.iter().any(|quality| quality.is_nan()) {
                true => f64::NAN,
                false => pair[0].min(pair[1]),
            };
            qualities.chunks_exact(2).map(lower).collect()
        }
    };
    let (similarities, mated) = (numbers("similarities", similarities)?, labels(mated)?);
    let curve = pooled(py, || {
        let comparisons = Comparisons::new(similarities, mated, scale)?;
        let ranking = Ranking::new(&qualities)?;
        let curves = Evaluator::new(&comparisons).curves(&ranking, protocol, &[target])?;
        Ok::<_, attn_fiqa_eval::EvalError>(curves)
    })?;
    let mut curves = curve.map_err(bad_request)?;
    Ok(Curve(curves.pop().expect("one curve per target: this is a bug")))
}

/// An error-versus-discard curve.
#[pyclass(frozen, module = "attn_fiqa.evaluation")]
pub(crate) struct Curve(Edc);

impl Curve {
    fn column<'py>(
        &self,
        py: Python<'py>,
        value: impl Fn(&CurvePoint) -> Option<f64>,
    ) -> Bound<'py, PyArray1<f64>> {
        let values = self.0.points.iter().map(|point| value(point).unwrap_or(f64::NAN));
        PyArray1::from_vec(py, values.collect())
    }
}

#[pymethods]
impl Curve {
    #[getter]
    fn protocol(&self) -> &'static str {
        self.0.protocol.name()
    }

    #[getter]
    fn target(&self) -> String {
        self.0.target.to_string()
    }

    #[getter]
    fn discard<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f64>> {
        self.column(py, |point| Some(point.discard))
    }

    #[getter]
    fn fnmr<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f64>> {
        self.column(py, |point| point.fnmr)
    }

    #[getter]
    fn fmr<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f64>> {
        self.column(py, |point| point.fmr)
    }

    #[getter]
    fn threshold<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f64>> {
        self.column(py, |point| point.threshold)
    }

    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.0.warnings.iter().map(ToString::to_string).collect()
    }

    fn pauc(&self, limit: f64) -> PyResult<Option<f64>> {
        if !(0.0..=1.0).contains(&limit) {
            return Err(bad_request(format!("limit is {limit}; expected a number from 0 to 1")));
        }
        Ok(self.0.pauc(limit))
    }

    fn auc(&self) -> Option<f64> {
        self.0.auc()
    }

    fn __repr__(&self) -> String {
        let fnmr = self.0.start().map_or("unknown".to_owned(), |fnmr| format!("{fnmr:.4}"));
        format!(
            "<Curve {} at {}, FNMR {fnmr} with nothing discarded>",
            self.protocol(),
            self.0.target
        )
    }
}

/// See `evaluation.py`.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "keywords of Python")]
pub(crate) fn advise(
    py: Python<'_>,
    qualities: &Bound<'_, PyAny>,
    pairs: &Bound<'_, PyAny>,
    similarities: &Bound<'_, PyAny>,
    mated: &Bound<'_, PyAny>,
    reject: Option<f64>,
    below: Option<f64>,
    fmr: Option<f64>,
    fnmr: Option<f64>,
    threshold: Option<f64>,
    scale: &str,
    bootstrap: &Bound<'_, PyAny>,
    seed: &Bound<'_, PyAny>,
) -> PyResult<Advice> {
    let replicates = whole("bootstrap", bootstrap, MAX_REPLICATES)? as usize;
    let seed = whole("seed", seed, u64::MAX)?;
    let scale = one_of("scale", scale, &SCALES)?;
    let target = target(fmr, fnmr, threshold)?;
    let reject = match (reject, below) {
        (Some(fraction), None) => Reject::Fraction(fraction),
        (None, Some(quality)) => Reject::Below(quality),
        _ => {
            return Err(bad_request(
                "reject is a fraction of the images and below a quality; give one of the two",
            ));
        }
    };
    let qualities = numbers("qualities", qualities)?;
    let (similarities, mated) = (numbers("similarities", similarities)?, labels(mated)?);
    let expected = "whole numbers of shape (comparisons, 2)";
    let (shape, indices) = array("pairs", expected, pairs, |shape| matches!(shape, [_, 2]))?;
    if shape[0] != mated.len() {
        return Err(bad_request(format!(
            "{} pairs, but {} labels in mated; each comparison needs exactly one",
            shape[0],
            mated.len()
        )));
    }
    let index =
        |value: f64| match value >= 0.0 && value < f64::from(u32::MAX) && value.fract() == 0.0 {
            true => Ok(value as u32),
            false => Err(bad_request(format!("expected pairs as {expected}, and found {value}"))),
        };
    let pairs = indices.chunks_exact(2).zip(&mated);
    let pairs =
        pairs.map(|(pair, &mated)| Ok(Pair { a: index(pair[0])?, b: index(pair[1])?, mated }));
    let pairs: Vec<Pair> = pairs.collect::<PyResult<_>>()?;
    let advice = pooled(py, || {
        // Names an image without a quality before anything is measured.
        pair_qualities(&qualities, &pairs)?;
        let comparisons = Comparisons::new(similarities, mated, scale)?;
        let evaluator = Evaluator::new(&comparisons);
        let drawn = Bootstrap { replicates, seed, ..Bootstrap::default() };
        let drawn = (replicates > 0).then_some(&drawn);
        rejection::advise(&evaluator, &pairs, &qualities, reject, target, drawn)
    })?;
    advice.map(Advice).map_err(bad_request)
}

/// The effect of rejecting images below a quality.
#[pyclass(frozen, module = "attn_fiqa.evaluation")]
pub(crate) struct Advice(rejection::Advice);

#[pymethods]
impl Advice {
    #[getter]
    fn reject_below(&self) -> f64 {
        self.0.reject_below
    }

    #[getter]
    fn images(&self) -> usize {
        self.0.images
    }

    #[getter]
    fn rejected(&self) -> usize {
        self.0.rejected
    }

    #[getter]
    fn fmr_before(&self) -> f64 {
        self.0.before[0]
    }

    #[getter]
    fn fnmr_before(&self) -> f64 {
        self.0.before[1]
    }

    #[getter]
    fn fmr_after(&self) -> Option<f64> {
        self.0.after.map(|after| after[0])
    }

    #[getter]
    fn fnmr_after(&self) -> Option<f64> {
        self.0.after.map(|after| after[1])
    }

    #[getter]
    fn fnmr_before_interval(&self) -> Option<(f64, f64)> {
        self.0.before_interval.map(|interval| (interval.low, interval.high))
    }

    #[getter]
    fn fnmr_after_interval(&self) -> Option<(f64, f64)> {
        self.0.after_interval.map(|interval| (interval.low, interval.high))
    }

    #[getter]
    fn gain_interval(&self) -> Option<(f64, f64)> {
        self.0.gain_interval.map(|interval| (interval.low, interval.high))
    }

    #[getter]
    fn unresolved(&self) -> bool {
        self.0.unresolved
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        format!("<Advice: {}>", self.0)
    }
}
