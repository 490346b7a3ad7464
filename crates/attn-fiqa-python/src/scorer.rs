//! The class `Scorer`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use attn_fiqa::align::align;
use attn_fiqa::checkpoint::{BUILTIN_NAME, CheckpointOptions, Preset};
use attn_fiqa::decode::Decoded;
use attn_fiqa::detect::DEFAULT_MIN_CONFIDENCE;
use attn_fiqa::engine::{Precision, PrecisionChoice};
use attn_fiqa::face::FaceInfo;
use attn_fiqa::pipeline::{FaceChoice, FacePipeline};
use attn_fiqa::score::Method;
use attn_fiqa::source::{self, ListFrom};
use attn_fiqa::status::{Failure, Status};
use attn_fiqa::vit::config::{Activation, LandmarkBias, ScoreTokens};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::aligned::{AlignedScores, Collected, Crops};
use crate::args::{color as color_of, count, one_of, repr, within};
use crate::error::{bad_request, failed, refused, warn};
use crate::face::{Context, Face, described};
use crate::files::{FileScores, Files};
use crate::guard::detached;
use crate::image::Input;
use crate::input_checks::{InputChecks, MAX_CHECKED_CROPS, check_alignment};
use crate::landmarks::landmarks as landmarks_of;
use crate::loaded::{Arguments, Loaded, Wanted};
use crate::process::PerProcess;

/// Number of crops copied and scored between two checks for signals: initially, and at most.
const CROP_BATCH_SIZES: (usize, usize) = (32, 512);
/// The number of crops grows while a batch takes less than this.
const TARGET_BATCH_TIME: Duration = Duration::from_millis(300);

const PRECISIONS: [(&str, PrecisionChoice); 5] = [
    ("f32", PrecisionChoice::Fixed(Precision::F32)),
    ("bf16x2", PrecisionChoice::Fixed(Precision::Bf16x2)),
    ("bf16", PrecisionChoice::Fixed(Precision::Bf16)),
    ("int8", PrecisionChoice::Fixed(Precision::Int8)),
    ("auto", PrecisionChoice::Auto),
];

const ACTIVATIONS: [(&str, Activation); 4] = [
    ("relu6", Activation::Relu6),
    ("gelu", Activation::Gelu),
    ("quick-gelu", Activation::QuickGelu),
    ("swiglu", Activation::SwiGlu),
];

const TOKENS: [(&str, ScoreTokens); 2] =
    [("all", ScoreTokens::All), ("patches", ScoreTokens::Patches)];

const LANDMARK_BIASES: [(&str, LandmarkBias); 2] =
    [("softmax", LandmarkBias::Softmax), ("score", LandmarkBias::Score)];

/// A model and its threads.
#[pyclass(frozen, module = "attn_fiqa")]
pub(crate) struct Scorer {
    arguments: Arguments,
    loaded: PerProcess<Loaded>,
    input_checks: InputChecks,
}

impl Scorer {
    /// What this process has loaded; a child process loads it on its first call.
    fn loaded(&self, py: Python<'_>) -> PyResult<Arc<Loaded>> {
        if let Some(loaded) = self.loaded.get(py) {
            return Ok(loaded);
        }
        let loaded = detached(py, || Loaded::new(self.arguments.clone()))??;
        Ok(self.loaded.put(py, loaded))
    }

    /// What turns a stream of images into rows.
    fn stream(
        &self,
        py: Python<'_>,
        wanted: Wanted,
        choice: FaceChoice,
        aligned: bool,
    ) -> PyResult<(FacePipeline, Context)> {
        let loaded = self.loaded(py)?;
        let pipeline = detached(py, || loaded.pipeline(wanted, choice, aligned))??;
        let context = Context::new(Arc::clone(pipeline.engine()), loaded.methods());
        Ok((pipeline, context))
    }
}

#[pymethods]
impl Scorer {
    #[new]
    #[pyo3(signature = (model=None, *, detector=None, precision="f32", threads=None, methods=None,
                        preset=None, heads=None, activation=None, tokens=None,
                        landmark_bias=None))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn new(
        py: Python<'_>,
        model: Option<PathBuf>,
        detector: Option<PathBuf>,
        precision: &str,
        threads: Option<&Bound<'_, PyAny>>,
        methods: Option<&Bound<'_, PyAny>>,
        preset: Option<&str>,
        heads: Option<&Bound<'_, PyAny>>,
        activation: Option<&str>,
        tokens: Option<&str>,
        landmark_bias: Option<&str>,
    ) -> PyResult<Self> {
        let preset = preset.map(|name| {
            let presets: Vec<_> =
                Preset::ALL.iter().map(|&preset| (preset.name(), preset)).collect();
            one_of("preset", name, &presets)
        });
        let activation = activation.map(|name| one_of("activation", name, &ACTIVATIONS));
        let tokens = tokens.map(|name| one_of("tokens", name, &TOKENS));
        let landmark_bias =
            landmark_bias.map(|name| one_of("landmark_bias", name, &LANDMARK_BIASES));
        let checkpoint = CheckpointOptions {
            preset: preset.transpose()?,
            heads: count("heads", heads)?.map(usize::from),
            activation: activation.transpose()?,
            score_tokens: tokens.transpose()?,
            landmark_bias: landmark_bias.transpose()?,
            ..CheckpointOptions::default()
        };
        let says = checkpoint.preset.is_some()
            || checkpoint.heads.is_some()
            || checkpoint.activation.is_some()
            || checkpoint.score_tokens.is_some()
            || checkpoint.landmark_bias.is_some();
        if model.is_none() && says {
            return Err(bad_request(
                "preset, heads, activation, tokens and landmark_bias describe a model file; name \
                 one, since the built-in model has its own",
            ));
        }
        let arguments = Arguments {
            model: model.map(absolute_if_file),
            detector: detector.map(absolute_if_file),
            precision: one_of("precision", precision, &PRECISIONS)?,
            threads: count("threads", threads)?,
            methods: methods_of(methods)?,
            checkpoint,
        };
        let scorer =
            Self { arguments, loaded: PerProcess::new(), input_checks: InputChecks::new() };
        scorer.loaded(py)?;
        Ok(scorer)
    }

    fn __getnewargs_ex__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<((Option<PathBuf>,), Bound<'py, PyDict>)> {
        let Arguments { model, detector, precision, threads, methods, checkpoint } =
            &self.arguments;
        let named = PyDict::new(py);
        named.set_item("detector", detector)?;
        named.set_item("precision", precision.name())?;
        named.set_item("threads", threads.map(usize::from))?;
        let names: Vec<String> = methods.iter().map(Method::to_string).collect();
        named.set_item("methods", (!names.is_empty()).then_some(names))?;
        named.set_item("preset", checkpoint.preset.map(Preset::name))?;
        named.set_item("heads", checkpoint.heads)?;
        named.set_item("activation", checkpoint.activation.map(Activation::name))?;
        named.set_item("tokens", checkpoint.score_tokens.map(ScoreTokens::name))?;
        named.set_item("landmark_bias", checkpoint.landmark_bias.map(LandmarkBias::name))?;
        Ok(((model.clone(),), named))
    }

    #[getter]
    fn model(&self) -> String {
        let model = self.arguments.model.as_ref();
        model.map_or_else(|| BUILTIN_NAME.to_owned(), |model| model.display().to_string())
    }

    #[getter]
    fn methods(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        Ok(self.loaded(py)?.methods().iter().map(Method::to_string).collect())
    }

    #[getter]
    fn precision(&self, py: Python<'_>) -> PyResult<&'static str> {
        Ok(self.loaded(py)?.engine().precision().precision.name())
    }

    #[getter]
    fn threads(&self, py: Python<'_>) -> PyResult<usize> {
        let loaded = self.loaded(py)?;
        detached(py, || loaded.engine().threads().count())
    }

    #[getter]
    fn crop_size(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.loaded(py)?.engine().config().image_size)
    }

    #[getter]
    fn backend(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.loaded(py)?.engine().backend_name())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let (model, precision, methods) =
            (self.model(), self.precision(py)?, self.methods(py)?.join(", "));
        let threads = self.threads(py)?;
        Ok(format!("<Scorer {model} precision={precision} threads={threads} methods=[{methods}]>"))
    }

    #[pyo3(signature = (image, *, color=None, landmarks=None, maps=false, embeddings=false,
                        strict=false, max_faces=None, min_confidence=None,
                        min_inter_eye_distance=0.0))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn score(
        &self,
        py: Python<'_>,
        image: &Bound<'_, PyAny>,
        color: Option<&Bound<'_, PyAny>>,
        landmarks: Option<&Bound<'_, PyAny>>,
        maps: bool,
        embeddings: bool,
        strict: bool,
        max_faces: Option<&Bound<'_, PyAny>>,
        min_confidence: Option<f32>,
        min_inter_eye_distance: f32,
    ) -> PyResult<Vec<Face>> {
        let choice = choice(max_faces, min_confidence, min_inter_eye_distance)?;
        let given = landmarks.map(landmarks_of).transpose()?;
        let chooses =
            max_faces.is_some() || min_confidence.is_some() || min_inter_eye_distance != 0.0;
        if given.is_some() && chooses {
            return Err(bad_request(
                "max_faces, min_confidence and min_inter_eye_distance choose among detected faces; \
                 leave them out with landmarks",
            ));
        }
        let input = Input::of(image, color_of(color)?)?;
        let (order, path) = (input.order, input.path());
        let loaded = self.loaded(py)?;
        let wanted = Wanted { maps, embeddings };
        let found = detached(py, || match given {
            None => loaded.score(input, wanted, choice),
            Some(given) => loaded.score_with_landmarks(input, wanted, &given.faces),
        })??;
        match found {
            Ok(faces) => {
                if let Some(order) = order {
                    let crops = faces.iter().filter_map(|face| face.0.crop.as_ref());
                    let crops = crops.map(|(side, rgb)| (*side, &rgb[..]));
                    if let Some(text) = self.input_checks.check_colors(crops, order) {
                        warn(py, text)?;
                    }
                }
                Ok(faces)
            }
            Err(failure) if failure.status == Status::NoFace && !strict => Ok(Vec::new()),
            Err(failure) => Err(failed(&failure, path.as_deref())),
        }
    }

    #[pyo3(signature = (crops, *, color, maps=false, embeddings=false))]
    fn score_aligned(
        &self,
        py: Python<'_>,
        crops: &Bound<'_, PyAny>,
        color: Option<&Bound<'_, PyAny>>,
        maps: bool,
        embeddings: bool,
    ) -> PyResult<AlignedScores> {
        let order = color_of(color)?;
        let loaded = self.loaded(py)?;
        let wanted = Wanted { maps, embeddings };
        let engine = detached(py, || loaded.engine_for(wanted))??;
        let (config, request) = (engine.config(), loaded.request(wanted));
        engine.check(&request).map_err(refused)?;
        let crops = Crops::of(crops, config.image_size, order)?;
        let context = Context::new(Arc::clone(&engine), loaded.methods());
        let grid = config.image_size / config.patch_size;
        let dim = config.embedding_head.as_ref().map_or(0, |head| head.dim());
        let mut collected = Collected::new(&context, wanted, grid, dim);
        let (mut done, mut at_once) = (0, CROP_BATCH_SIZES.0);
        while done < crops.len() {
            let start = Instant::now();
            let batch = crops.copied(done, crops.len().min(done + at_once));
            done += batch.len();
            let pixels = batch.iter().map(|crop| (crop.side(), crop.rgb()));
            if let Some(text) = self.input_checks.check_colors(pixels, crops.order()) {
                warn(py, text)?;
            }
            if self.input_checks.take_alignment_check() {
                let checked = &batch[..batch.len().min(MAX_CHECKED_CROPS)];
                let said = detached(py, || {
                    let detector = loaded.builtin_detector()?;
                    Ok::<_, PyErr>(check_alignment(&detector, checked))
                })??;
                said.map_or(Ok(()), |text| warn(py, text))?;
            }
            let outcomes = detached(py, || engine.assess(&batch, &request))?.map_err(refused)?;
            outcomes.into_iter().for_each(|outcome| collected.push(&context, outcome));
            py.check_signals()?;
            if start.elapsed() < TARGET_BATCH_TIME {
                at_once = (2 * at_once).min(CROP_BATCH_SIZES.1);
            }
        }
        collected.into_arrays(py, &context)
    }

    #[pyo3(signature = (paths, *, on_error="row", recursive=true, aligned=false, maps=false,
                        embeddings=false, max_faces=None, min_confidence=None,
                        min_inter_eye_distance=0.0, batch=None, max_memory=None, progress=false))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn score_files(
        &self,
        py: Python<'_>,
        paths: &Bound<'_, PyAny>,
        on_error: &str,
        recursive: bool,
        aligned: bool,
        maps: bool,
        embeddings: bool,
        max_faces: Option<&Bound<'_, PyAny>>,
        min_confidence: Option<f32>,
        min_inter_eye_distance: f32,
        batch: Option<&Bound<'_, PyAny>>,
        max_memory: Option<&Bound<'_, PyAny>>,
        progress: bool,
    ) -> PyResult<FileScores> {
        let wanted = Wanted { maps, embeddings };
        let files = Files {
            wanted,
            on_error: one_of("on_error", on_error, &crate::files::ON_ERROR)?,
            batch: count("batch", batch)?,
            max_memory: count("max_memory", max_memory)?,
            progress,
        };
        let choice = choice(max_faces, min_confidence, min_inter_eye_distance)?;
        let (pipeline, context) = self.stream(py, wanted, choice, aligned)?;
        let inputs = crate::files::inputs(paths)?;
        FileScores::of_inputs(py, &inputs, recursive, pipeline, context, &files)
    }

    #[pyo3(signature = (list, *, root=None, on_error="row", aligned=false, maps=false,
                        embeddings=false, max_faces=None, min_confidence=None,
                        min_inter_eye_distance=0.0, batch=None, max_memory=None, progress=false))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn score_list(
        &self,
        py: Python<'_>,
        list: PathBuf,
        root: Option<PathBuf>,
        on_error: &str,
        aligned: bool,
        maps: bool,
        embeddings: bool,
        max_faces: Option<&Bound<'_, PyAny>>,
        min_confidence: Option<f32>,
        min_inter_eye_distance: f32,
        batch: Option<&Bound<'_, PyAny>>,
        max_memory: Option<&Bound<'_, PyAny>>,
        progress: bool,
    ) -> PyResult<FileScores> {
        let wanted = Wanted { maps, embeddings };
        let files = Files {
            wanted,
            on_error: one_of("on_error", on_error, &crate::files::ON_ERROR)?,
            batch: count("batch", batch)?,
            max_memory: count("max_memory", max_memory)?,
            progress,
        };
        let choice = choice(max_faces, min_confidence, min_inter_eye_distance)?;
        let (pipeline, context) = self.stream(py, wanted, choice, aligned)?;
        let inputs = [source::Input::List { path: ListFrom::File(list), root }];
        FileScores::of_inputs(py, &inputs, false, pipeline, context, &files)
    }

    #[pyo3(signature = (images, *, on_error="row", aligned=false, maps=false, embeddings=false,
                        max_faces=None, min_confidence=None, min_inter_eye_distance=0.0,
                        batch=None, max_memory=None))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn score_encoded(
        &self,
        py: Python<'_>,
        images: &Bound<'_, PyAny>,
        on_error: &str,
        aligned: bool,
        maps: bool,
        embeddings: bool,
        max_faces: Option<&Bound<'_, PyAny>>,
        min_confidence: Option<f32>,
        min_inter_eye_distance: f32,
        batch: Option<&Bound<'_, PyAny>>,
        max_memory: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<FileScores> {
        let wanted = Wanted { maps, embeddings };
        let files = Files {
            wanted,
            on_error: one_of("on_error", on_error, &crate::files::ON_ERROR)?,
            batch: count("batch", batch)?,
            max_memory: count("max_memory", max_memory)?,
            progress: false,
        };
        let choice = choice(max_faces, min_confidence, min_inter_eye_distance)?;
        let (pipeline, context) = self.stream(py, wanted, choice, aligned)?;
        FileScores::of_images(images, pipeline, context, &files)
    }
}

/// Which faces are selected.
fn choice(
    max_faces: Option<&Bound<'_, PyAny>>,
    min_confidence: Option<f32>,
    min_inter_eye_distance: f32,
) -> PyResult<FaceChoice> {
    let confidence = min_confidence.unwrap_or(DEFAULT_MIN_CONFIDENCE);
    Ok(FaceChoice {
        min_confidence: within("min_confidence", confidence, 0.0, 1.0)?,
        min_inter_eye_distance: within(
            "min_inter_eye_distance",
            min_inter_eye_distance,
            0.0,
            f32::INFINITY,
        )?,
        max_faces: count("max_faces", max_faces)?.map(usize::from),
    })
}

/// An absolute path if the file exists, so that a pickled scorer finds it from any working
/// directory; the name of a model stays as it is.
fn absolute_if_file(path: PathBuf) -> PathBuf {
    if !path.is_file() {
        return path;
    }
    std::path::absolute(&path).unwrap_or(path)
}

/// Methods by name, each at most once.
fn methods_of(given: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<Method>> {
    let Some(given) = given.filter(|given| !given.is_none()) else { return Ok(Vec::new()) };
    let expected = "expected a list of names such as ['attn', 'attn-max@block=3'], or None";
    let bad = || bad_request(format!("methods is {}; {expected}", repr(given)));
    if given.is_instance_of::<PyString>() {
        return Err(bad());
    }
    let names: Vec<String> = given.extract().map_err(|_| bad())?;
    if names.is_empty() {
        return Err(bad());
    }
    let methods: Result<Vec<Method>, _> = names.iter().map(|name| name.parse()).collect();
    let methods = methods.map_err(bad_request)?;
    let twice =
        methods.iter().enumerate().find(|(index, method)| methods[..*index].contains(method));
    match twice {
        Some((_, method)) => Err(bad_request(format!("method '{method}' was named twice"))),
        None => Ok(methods),
    }
}

impl Loaded {
    /// The faces of an image, or why there is none.
    fn score(
        &self,
        input: Input,
        wanted: Wanted,
        choice: FaceChoice,
    ) -> PyResult<Result<Vec<Face>, Failure>> {
        let pipeline = self.pipeline(wanted, choice, false)?;
        let context = Context::new(Arc::clone(pipeline.engine()), self.methods());
        let image = match input.open() {
            Ok(data) => pipeline.score(data),
            Err(failure) => return Ok(Err(failure)),
        };
        let notes = described(&image.notes);
        Ok(image
            .faces
            .map(|faces| faces.into_iter().map(|face| context.scored(face, &notes)).collect()))
    }

    /// The faces of an image at the given landmarks, in the order of the landmarks.
    fn score_with_landmarks(
        &self,
        input: Input,
        wanted: Wanted,
        faces: &[attn_fiqa::align::Landmarks],
    ) -> PyResult<Result<Vec<Face>, Failure>> {
        let engine = self.engine_for(wanted)?;
        let context = Context::new(Arc::clone(&engine), self.methods());
        let Decoded { image, notes, .. } = match engine.install(|| input.decode()) {
            Ok(decoded) => decoded,
            Err(failure) => return Ok(Err(failure)),
        };
        let notes = described(&notes);
        let side = engine.config().image_size;
        let crops: Vec<_> = faces.iter().map(|points| align(&image, points, side)).collect();
        let good: Vec<_> =
            crops.iter().filter_map(|crop| Some(crop.as_ref().ok()?.crop.clone())).collect();
        let outcomes = engine.assess(&good, &self.request(wanted)).map_err(refused)?;
        let mut outcomes = outcomes.into_iter();
        let faces = faces.iter().zip(crops).enumerate().map(|(index, (&points, aligned))| {
            let (crop, outcome) = match aligned {
                Ok(aligned) => {
                    let outcome = outcomes.next().expect("one outcome per crop: this is a bug");
                    (Some(aligned.crop), outcome)
                }
                Err(error) => (None, Err(Failure::from(error))),
            };
            let info = FaceInfo::with_landmarks(index, points);
            context.face(&info, crop, outcome, &notes)
        });
        Ok(Ok(faces.collect()))
    }
}
